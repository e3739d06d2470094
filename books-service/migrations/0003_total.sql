-- The number of books, so that a list of all of them does not count them.
ALTER TABLE catalogue ADD COLUMN books BIGINT NOT NULL DEFAULT 0;
UPDATE catalogue SET books = (SELECT COUNT(*) FROM books), revision = revision + 1;
