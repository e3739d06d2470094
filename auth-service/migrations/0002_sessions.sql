-- A session is what a refresh token names; no token is ever stored. Rules and units: src/sessions.
-- user_id is no foreign key: sessions may live in another store, and an ended one must outlive its user (see ended_at).
-- repeats counts how often the current generation was handed out again: only so can the one statement that advances a
-- session tell the caller whether it was the one.
-- ended_at is 0 while the session is open. An ended row stays until the last access token of the session is past.
CREATE TABLE sessions (
    id TEXT NOT NULL PRIMARY KEY,
    user_id TEXT NOT NULL,
    generation BIGINT NOT NULL,
    repeats BIGINT NOT NULL,
    opened_at BIGINT NOT NULL,
    advanced_at BIGINT NOT NULL,
    idle_ends_at BIGINT NOT NULL,
    ends_at BIGINT NOT NULL,
    ended_at BIGINT NOT NULL,
    user_agent TEXT NOT NULL,
    address TEXT NOT NULL
);
CREATE INDEX sessions_of_user ON sessions (user_id);
CREATE INDEX sessions_open ON sessions (idle_ends_at) WHERE ended_at = 0;
CREATE INDEX sessions_ended ON sessions (ended_at) WHERE ended_at > 0;
