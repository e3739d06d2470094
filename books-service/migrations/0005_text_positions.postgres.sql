-- Postgres:
-- The books and their texts, for conditions on both. Its index of the texts stays: it compares each text with the
-- trigrams of a word.
CREATE VIEW books_with_text AS SELECT books.*,
    '  ' || replace(author_key || ' ' || title_key || ' ' || country_key || ' ' || language_key, ' ', '  ') AS text
FROM books;
