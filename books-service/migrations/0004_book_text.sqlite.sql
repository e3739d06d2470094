-- `number` gives the row a name that the index of the text can use, and that VACUUM keeps. Books have it in the order in
-- which they were added.
CREATE TABLE numbered_books (
    number INTEGER NOT NULL PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
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
INSERT INTO numbered_books (id, author, author_key, country, country_key, language, language_key, pages, title,
    title_key, year, added, version)
SELECT id, author, author_key, country, country_key, language, language_key, pages, title, title_key, year, added,
    version FROM books ORDER BY added, id;
DROP TABLE books;
ALTER TABLE numbered_books RENAME TO books;
CREATE INDEX books_by_added ON books (added, id);
CREATE INDEX books_by_author ON books (author_key, id);
CREATE INDEX books_by_country ON books (country_key, id);
CREATE INDEX books_by_language ON books (language_key, id);
CREATE INDEX books_by_pages ON books (pages, id);
CREATE INDEX books_by_title ON books (title_key, id);
CREATE INDEX books_by_year ON books (year, id);

-- The text of a book, and an index of its trigrams that answers LIKE. Two spaces before each word make a trigram of the
-- space and the first letter alone. Its column `rowid` is the book's number.
CREATE VIEW book_texts AS SELECT number,
    '  ' || replace(author_key || ' ' || title_key || ' ' || country_key || ' ' || language_key, ' ', '  ') AS text
FROM books;
CREATE VIRTUAL TABLE book_text USING fts5 (
    text, content = 'book_texts', content_rowid = 'number', tokenize = 'trigram', detail = 'none'
);
INSERT INTO book_text (book_text) VALUES ('rebuild');

-- The index is told of each change, with the text as it was.
CREATE TRIGGER book_text_of_new AFTER INSERT ON books BEGIN
    INSERT INTO book_text (rowid, text) SELECT number, text FROM book_texts WHERE number = new.number;
END;
CREATE TRIGGER book_text_of_old BEFORE DELETE ON books BEGIN
    INSERT INTO book_text (book_text, rowid, text)
    SELECT 'delete', number, text FROM book_texts WHERE number = old.number;
END;
CREATE TRIGGER book_text_before BEFORE UPDATE OF author_key, country_key, language_key, title_key ON books BEGIN
    INSERT INTO book_text (book_text, rowid, text)
    SELECT 'delete', number, text FROM book_texts WHERE number = old.number;
END;
CREATE TRIGGER book_text_after AFTER UPDATE OF author_key, country_key, language_key, title_key ON books BEGIN
    INSERT INTO book_text (rowid, text) SELECT number, text FROM book_texts WHERE number = new.number;
END;
