-- What verifiers have to be told: which sessions ended, and from when on the tokens of whom count. Rules and units:
-- src/sessions/revocations.rs.
-- issued_at is the date of the session's newest access token. revoked_until is when the last of its tokens is over, told
-- when it ends, because the life of a token may be set otherwise by then. position is the entry's place in the list, 0
-- until it has one: places are given by whoever reads, so that whoever ends a session waits for nobody.
ALTER TABLE sessions ADD COLUMN issued_at BIGINT NOT NULL DEFAULT 0;
ALTER TABLE sessions ADD COLUMN revoked_until BIGINT NOT NULL DEFAULT 0;
ALTER TABLE sessions ADD COLUMN position BIGINT NOT NULL DEFAULT 0;
DROP INDEX sessions_ended;
CREATE INDEX sessions_revoked ON sessions (revoked_until) WHERE ended_at > 0;
CREATE INDEX sessions_listed ON sessions (position) WHERE ended_at > 0;

-- No access token of the user that is dated before not_before counts. One row a user: the latest.
CREATE TABLE cutoffs (
    user_id TEXT NOT NULL PRIMARY KEY,
    not_before BIGINT NOT NULL,
    revoked_until BIGINT NOT NULL,
    position BIGINT NOT NULL
);
CREATE INDEX cutoffs_revoked ON cutoffs (revoked_until);
CREATE INDEX cutoffs_listed ON cutoffs (position);

-- One row: the name of this list, which no other has, and the newest position. Whoever gives places updates it first.
CREATE TABLE revocations (
    id BIGINT NOT NULL PRIMARY KEY,
    list TEXT NOT NULL,
    position BIGINT NOT NULL
);
