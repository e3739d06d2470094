-- What verifiers have to be told: which sessions ended, and from when on the tokens of whom count. Rules and units:
-- src/sessions/revocations.rs.
-- issued_at is the date of the session's newest access token, tokens_end_at when the last of all its access tokens is over for
-- every verifier: until then its end is listed. 0 is never: nobody has to be told. position is the entry's place in the list, 0
-- until it has one: places are given by whoever reads, so that whoever ends a session waits for nobody.
ALTER TABLE sessions ADD COLUMN issued_at BIGINT NOT NULL DEFAULT 0;
ALTER TABLE sessions ADD COLUMN tokens_end_at BIGINT NOT NULL DEFAULT 0;
ALTER TABLE sessions ADD COLUMN position BIGINT NOT NULL DEFAULT 0;
DROP INDEX sessions_ended;
CREATE INDEX sessions_revoked ON sessions (tokens_end_at) WHERE ended_at > 0;
CREATE INDEX sessions_listed ON sessions (position) WHERE ended_at > 0 AND tokens_end_at > 0;

-- No access token of the user that is dated before not_before counts. One row a user, the latest; waiting is 1 until that has a
-- place in the list, and position is the one before, if it had one.
CREATE TABLE cutoffs (
    user_id TEXT NOT NULL PRIMARY KEY,
    not_before BIGINT NOT NULL,
    tokens_end_at BIGINT NOT NULL,
    position BIGINT NOT NULL,
    waiting BIGINT NOT NULL
);
CREATE INDEX cutoffs_over ON cutoffs (tokens_end_at);
CREATE INDEX cutoffs_listed ON cutoffs (position);
CREATE INDEX cutoffs_waiting ON cutoffs (user_id) WHERE waiting = 1;

-- One row: the name of this list, which no other has, and the newest position. Whoever gives places updates it first.
CREATE TABLE revocations (
    id BIGINT NOT NULL PRIMARY KEY,
    list TEXT NOT NULL,
    position BIGINT NOT NULL
);
