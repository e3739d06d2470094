-- With the positions of its trigrams, the index itself finds the texts that contain a word. Before, each text with the
-- trigrams of the word was read and compared. The texts are folded already.
DROP TABLE book_text;
CREATE VIRTUAL TABLE book_text USING fts5 (
    text, content = 'book_texts', content_rowid = 'number', tokenize = 'trigram case_sensitive 1'
);
INSERT INTO book_text (book_text) VALUES ('rebuild');

-- The books and their texts, for conditions on both. SQLite reads the tables of a CROSS JOIN in this order.
CREATE VIEW books_with_text AS SELECT books.*, book_text.text AS text
FROM book_text CROSS JOIN books ON books.number = book_text.rowid;
-- Postgres:
-- The books and their texts, for conditions on both. Its index of the texts stays: it compares each text with the
-- trigrams of a word.
CREATE VIEW books_with_text AS SELECT books.*,
    '  ' || replace(author_key || ' ' || title_key || ' ' || country_key || ' ' || language_key, ' ', '  ') AS text
FROM books;
