-- What changes of users have left to be done in the session store, which may be another database: the transaction of a change
-- writes a row, and whoever has done it deletes the row. tokens_only is 1 where the access tokens end and the sessions go on;
-- goes_on is the session that goes on where the others end, or ''. user_id is no foreign key: the user may be gone.
CREATE TABLE endings (
    id TEXT NOT NULL PRIMARY KEY,
    user_id TEXT NOT NULL,
    tokens_only BIGINT NOT NULL,
    goes_on TEXT NOT NULL
);
CREATE INDEX endings_of_user ON endings (user_id);
