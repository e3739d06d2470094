-- The end of all sessions of a user is one number. A session is alive only while it is of its user's era, which stands in cutoffs; the
-- end of all begins the next one, into which a session that goes on is taken along. So it takes the same time for any number of them;
-- what is of an era before is swept. Rules: src/sessions/sql_turn.rs.
-- turn changes with each step on the sessions of the user: whoever changes it is alone with them until the commit. A row without a
-- cut-off has the not_before 0.
ALTER TABLE sessions ADD COLUMN era BIGINT NOT NULL DEFAULT 0;
ALTER TABLE cutoffs ADD COLUMN era BIGINT NOT NULL DEFAULT 0;
ALTER TABLE cutoffs ADD COLUMN turn BIGINT NOT NULL DEFAULT 0;
DROP INDEX sessions_of_user;
CREATE INDEX sessions_living ON sessions (user_id, era, opened_at, id) WHERE ended_at = 0;
CREATE INDEX sessions_tokens ON sessions (user_id, tokens_end_at);
CREATE INDEX sessions_issued ON sessions (user_id, issued_at) WHERE ended_at = 0;
CREATE INDEX cutoffs_ends ON cutoffs (user_id) WHERE era > 0;
