-- `number` gives the row a name that the index of the text can use, and that VACUUM keeps.
CREATE TABLE numbered_users (
    number INTEGER NOT NULL PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    username TEXT NOT NULL UNIQUE,
    email TEXT UNIQUE,
    password_hash TEXT NOT NULL,
    role TEXT NOT NULL,
    disabled BIGINT NOT NULL DEFAULT 0,
    created_at BIGINT NOT NULL,
    email_verified_at BIGINT
);
INSERT INTO numbered_users (id, username, email, password_hash, role, disabled, created_at, email_verified_at)
SELECT id, username, email, password_hash, role, disabled, created_at, email_verified_at FROM users ORDER BY id;
DROP TABLE users;
ALTER TABLE numbered_users RENAME TO users;
CREATE INDEX users_by_role ON users (role, disabled);
CREATE INDEX users_by_cost ON users (substr(password_hash, length(password_hash) - 55, 2));

-- Name and email, and an index of their trigrams that answers LIKE. Its column `rowid` is the user's number.
CREATE VIEW user_texts AS SELECT number, username || ' ' || coalesce(email, '') AS text FROM users;
CREATE VIRTUAL TABLE user_text USING fts5 (
    text, content = 'user_texts', content_rowid = 'number', tokenize = 'trigram', detail = 'none'
);
INSERT INTO user_text (user_text) VALUES ('rebuild');

-- The index is told of each change, with the text as it was.
CREATE TRIGGER user_text_of_new AFTER INSERT ON users BEGIN
    INSERT INTO user_text (rowid, text) SELECT number, text FROM user_texts WHERE number = new.number;
END;
CREATE TRIGGER user_text_of_old BEFORE DELETE ON users BEGIN
    INSERT INTO user_text (user_text, rowid, text)
    SELECT 'delete', number, text FROM user_texts WHERE number = old.number;
END;
CREATE TRIGGER user_text_before BEFORE UPDATE OF username, email ON users BEGIN
    INSERT INTO user_text (user_text, rowid, text)
    SELECT 'delete', number, text FROM user_texts WHERE number = old.number;
END;
CREATE TRIGGER user_text_after AFTER UPDATE OF username, email ON users BEGIN
    INSERT INTO user_text (rowid, text) SELECT number, text FROM user_texts WHERE number = new.number;
END;

-- The number of users, so that a list of all of them does not count them.
CREATE TABLE user_counts (users BIGINT NOT NULL);
INSERT INTO user_counts (users) SELECT COUNT(*) FROM users;
CREATE TRIGGER user_counts_more AFTER INSERT ON users BEGIN
    UPDATE user_counts SET users = users + 1;
END;
CREATE TRIGGER user_counts_fewer AFTER DELETE ON users BEGIN
    UPDATE user_counts SET users = users - 1;
END;
