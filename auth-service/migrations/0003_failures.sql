-- Wrong passwords in a row, per account and address; `name` is a digest of the two. Rules and units: src/sessions/failures.rs.
-- The next attempt is heard from allowed_at on; the row is forgotten at forget_at. Milliseconds since 1970.
CREATE TABLE failures (
    name TEXT NOT NULL PRIMARY KEY,
    in_a_row BIGINT NOT NULL,
    allowed_at BIGINT NOT NULL,
    forget_at BIGINT NOT NULL
);
CREATE INDEX failures_forgotten ON failures (forget_at);
