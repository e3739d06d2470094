-- Text stands here twice: as the librarian wrote it, and folded (the *_key columns), because what counts as the same
-- letter in another case differs between databases. `added` is the catalogue's revision that brought the book, so that
-- it grows in the order of commits whatever the clocks say; `version` counts the changes to this one book.
CREATE TABLE books (
    id TEXT NOT NULL PRIMARY KEY,
    author TEXT NOT NULL,
    author_key TEXT NOT NULL,
    country TEXT NOT NULL,
    country_key TEXT NOT NULL,
    language TEXT NOT NULL,
    language_key TEXT NOT NULL,
    pages BIGINT NOT NULL,
    title TEXT NOT NULL,
    title_key TEXT NOT NULL,
    year BIGINT NOT NULL,
    added BIGINT NOT NULL,
    version BIGINT NOT NULL
);

-- One for each order that a list can have; the id makes it total.
CREATE INDEX books_by_added ON books (added, id);
CREATE INDEX books_by_author ON books (author_key, id);
CREATE INDEX books_by_country ON books (country_key, id);
CREATE INDEX books_by_language ON books (language_key, id);
CREATE INDEX books_by_pages ON books (pages, id);
CREATE INDEX books_by_title ON books (title_key, id);
CREATE INDEX books_by_year ON books (year, id);

-- One row. Every write begins by raising `revision`: this is the lock that puts writes in a row, and how a reader sees
-- that nothing has changed. `seeded` is 1 once the demo books were added, so that a deleted one stays deleted.
CREATE TABLE catalogue (
    id BIGINT NOT NULL PRIMARY KEY CHECK (id = 1),
    revision BIGINT NOT NULL,
    seeded BIGINT NOT NULL
);
INSERT INTO catalogue (id, revision, seeded) VALUES (1, 0, 0);
