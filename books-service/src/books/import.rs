use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::Read;

use serde_json::{Value, json};
use shared_service::database::StoreError;
use shared_service::operations::records::Records;
use sqlx::{AssertSqlSafe, query, query_scalar};
use tokio::task::yield_now;

use super::text::key;
use super::transfer::{Imported, NotImported, book};
use super::writes::Writing;
use super::{Book, Books, Details};

/// Inserts books, except those whose id exists. `@` is a table of JSON arrays, one for each book.
const INSERT: &str = "
INSERT INTO books (id, author, author_key, country, country_key, language, language_key, title, title_key, pages, year,
    added, version)
SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, value ->> 6, value ->> 7,
    value ->> 8, CAST(value ->> 9 AS BIGINT), CAST(value ->> 10 AS BIGINT), CAST(value ->> 11 AS BIGINT),
    CAST(value ->> 12 AS BIGINT)
FROM @ WHERE TRUE ON CONFLICT (id) DO NOTHING";

/// The number of books per statement.
const MANY: usize = 500;
/// The number of books that are read before the transaction begins. If a catalogue of less than [`FEW`] books gets that
/// many, its indexes are dropped, and created again afterwards.
const FIRST: usize = 10_000;
/// A catalogue with fewer books may be filled without indexes. More than the number of demo books.
const FEW: i64 = 100;

impl Books {
    /// Adds all books of `file` (see [`Records`]), or none. A book whose id exists already is left unchanged, so that
    /// an import can be repeated; a book without an id gets a new one. The demo books are not added afterwards. There
    /// is no time limit, and other writes wait; if the catalogue has fewer than 100 books, in Postgres, reads wait too.
    /// `progress` gets the number of books that were read.
    ///
    /// An import takes some 50 bytes of memory for each id, and the memory of ten thousand books.
    ///
    /// # Errors
    /// See [`NotImported`].
    pub async fn import(&self, file: impl Read, progress: impl FnMut(usize)) -> Result<Imported, NotImported> {
        let mut file = Checked::of(file);
        let first: Vec<Book> = file.by_ref().take(FIRST).collect();
        file.check()?;
        let mut writing = Writing::begin(self.pool.begin_unlimited().await.map_err(StoreError::from)?).await?;
        let added = add(&mut writing, first, &mut file, progress).await;
        writing.end(added.is_ok()).await?;
        let added = added?;
        if added >= FIRST as u64 {
            self.pool.refresh_after_bulk("books").await;
        }
        Ok(Imported { added, present: file.books - added })
    }
}

/// Adds the books of `first` and `file`. Each gets a revision of its own, as if they were added one by one. While the
/// database runs a statement, the next one is prepared.
async fn add(
    writing: &mut Writing,
    first: Vec<Book>,
    file: &mut Checked<'_>,
    mut progress: impl FnMut(usize),
) -> Result<u64, NotImported> {
    let indexes = if first.len() < FIRST { Vec::new() } else { drop_indexes(writing).await? };
    let mut revision = writing.revision;
    let mut books = first.into_iter().chain(file.by_ref());
    let mut next = rows(&mut books, &mut revision).await;
    while let Some(ready) = next {
        progress(usize::try_from(revision - writing.revision).unwrap_or_default());
        let insert = query(AssertSqlSafe(INSERT.replace('@', writing.transaction.elements()))).bind(ready);
        let insert = insert.execute(&mut *writing.transaction);
        let (inserted, prepared) = tokio::join!(insert, rows(&mut books, &mut revision));
        writing.net_added += inserted.map_err(StoreError::from)?.rows_affected().cast_signed();
        next = prepared;
    }
    drop(books);
    file.check()?;
    for index in indexes {
        query(AssertSqlSafe(index)).execute(&mut *writing.transaction).await.map_err(StoreError::from)?;
    }
    writing.revision = revision;
    query("UPDATE catalogue SET seeded = 1").execute(&mut *writing.transaction).await.map_err(StoreError::from)?;
    Ok(writing.net_added.cast_unsigned())
}

/// Drops the indexes of a catalogue with few books; returns the statements that create them again.
async fn drop_indexes(writing: &mut Writing) -> Result<Vec<String>, StoreError> {
    let books: i64 = query_scalar("SELECT books FROM catalogue").fetch_one(&mut *writing.transaction).await?;
    if books < FEW { Ok(writing.transaction.drop_indexes("books").await?) } else { Ok(Vec::new()) }
}

/// The next books, as JSON for [`INSERT`]. Yields often, so that the statement in progress can exchange its messages with
/// the database meanwhile.
async fn rows(books: &mut impl Iterator<Item = Book>, revision: &mut i64) -> Option<String> {
    let mut rows = Vec::with_capacity(MANY);
    for Book { id, details, version } in books.take(MANY) {
        let Details { author, country, language, title, pages, year } = details;
        let mut row = vec![json!(id)];
        for text in [&*author, &country, &language, &title] {
            row.extend([json!(text), json!(key(text))]);
        }
        row.extend([pages.0, year.0, *revision, version].map(Value::from));
        rows.push(Value::Array(row));
        *revision += 1;
        if rows.len().is_multiple_of(20) {
            yield_now().await;
        }
    }
    if rows.is_empty() { None } else { Some(Value::Array(rows).to_string()) }
}

/// The books of a file. Records invalid lines; after the first one, it yields no more books and only checks them.
struct Checked<'f> {
    records: Records<'f>,
    /// For each id, the line and the digest of its book.
    ids: HashMap<[u8; 16], (u32, [u8; 8])>,
    wrong: Vec<(u64, String)>,
    /// The number of different books so far.
    books: u64,
}

impl<'f> Checked<'f> {
    fn of(file: impl Read + 'f) -> Self {
        Self { records: Records::of(file), ids: HashMap::new(), wrong: Vec::new(), books: 0 }
    }

    /// Fails if a line was invalid, after checking the rest of the file.
    fn check(&mut self) -> Result<(), NotImported> {
        if self.wrong.is_empty() {
            return Ok(());
        }
        self.by_ref().for_each(drop);
        Err(NotImported::Lines(std::mem::take(&mut self.wrong)))
    }

    /// True if no earlier line contains the same book.
    fn is_first(&mut self, line: u64, book: &Book) -> Result<bool, String> {
        let digest = digest(book);
        match self.ids.entry(book.id.bytes()) {
            Entry::Vacant(place) => {
                place.insert((line.try_into().unwrap_or(u32::MAX), digest));
                Ok(true)
            }
            Entry::Occupied(known) if known.get().1 == digest => Ok(false),
            Entry::Occupied(known) => Err(format!("id stands in line {} already, with another book", known.get().0)),
        }
    }
}

impl Iterator for Checked<'_> {
    type Item = Book;

    fn next(&mut self) -> Option<Book> {
        loop {
            let (line, record) = self.records.next()?;
            let checked = record.and_then(book).and_then(|(book, is_new)| {
                let is_first = is_new || self.is_first(line, &book)?;
                Ok(Some(book).filter(|_| is_first))
            });
            match checked {
                Ok(Some(book)) => {
                    self.books += 1;
                    if self.wrong.is_empty() {
                        return Some(book);
                    }
                }
                Ok(None) => {}
                Err(why) => self.wrong.push((line, why)),
            }
        }
    }
}

/// A hash of the details and the version, to tell equal books from different ones.
fn digest(book: &Book) -> [u8; 8] {
    let mut hasher = DefaultHasher::new();
    (&book.details, book.version).hash(&mut hasher);
    hasher.finish().to_ne_bytes()
}
