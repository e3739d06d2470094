use std::collections::HashMap;
use std::io::Read;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use shared_service::database::StoreError;
use shared_service::http::request::{self, Integer};
use shared_service::operations::records::{Records, listed};
use sqlx::{AssertSqlSafe, query};

use super::store::{STORE, read};
use super::writes::{Writing, bind};
use super::{Author, Book, BookId, Books, Details, Name, Pages, Title, Year};

/// A page of all books in the order in which they were added, with the position of each as the last column.
const PAGE: &str = "SELECT id, author, country, language, pages, title, year, version, added FROM books \
     WHERE added > $1 OR (added = $1 AND id > $2) ORDER BY added, id LIMIT 500";
/// The number of books that one statement adds. `SQLite` takes long to parse a statement with many more parameters.
const MANY: usize = 100;

/// A book as one line of JSON: the book of the HTTP contract and its version, so that clients' entity tags stay valid.
/// A line without an id is a new book.
#[derive(Serialize, Deserialize)]
struct Line {
    id: Option<BookId>,
    author: Author,
    country: Name,
    language: Name,
    pages: Pages,
    title: Title,
    year: Year,
    version: Option<Integer<1, { i64::MAX - 1 }>>,
}

/// The reason why nothing was imported.
#[derive(Debug, thiserror::Error)]
pub enum NotImported {
    /// The invalid lines, counted from 1, with their errors.
    #[error("nothing was imported, because of {} of the lines{}", .0.len(), listed(.0.iter().map(|(number, why)| (*number, why.as_str()))))]
    Lines(Vec<(u64, String)>),
    /// The database is unavailable.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The result of an import.
#[derive(Debug, PartialEq, Eq)]
pub struct Imported {
    /// The number of books added.
    pub added: u64,
    /// The number of books that existed already and were left unchanged.
    pub present: u64,
}

impl Books {
    /// Passes every book to `line`, as a line of JSON, in the order in which they were added.
    ///
    /// # Errors
    /// The database is unavailable, or `line` fails.
    pub async fn export<E: From<StoreError>>(&self, mut line: impl FnMut(&str) -> Result<(), E>) -> Result<(), E> {
        let mut last = (0_i64, String::new());
        loop {
            let mut reading = self.pool.begin_unlimited().await.map_err(StoreError::from)?;
            let page = query(PAGE).bind(last.0).bind(last.1.clone()).fetch_all(&mut *reading).await;
            let page = page.map_err(StoreError::from)?;
            if page.is_empty() {
                return Ok(());
            }
            for row in page {
                let book = read(&row)?;
                last = (sqlx::Row::try_get(&row, "added").map_err(StoreError::from)?, book.id.to_string());
                let json = serde_json::to_string(&Line::from(book));
                line(&json.map_err(|error| StoreError::corrupt(STORE, error))?)?;
            }
        }
    }

    /// Adds all books of `file` (see [`Records`]), or none. A book whose id exists already is left unchanged, so that
    /// an import can be repeated; one without an id gets a new one. The demo books are not added afterwards. There is
    /// no time limit, and other writes wait. `progress` gets the number of finished books.
    ///
    /// # Errors
    /// See [`NotImported`].
    pub async fn import(&self, file: impl Read, progress: impl FnMut(usize)) -> Result<Imported, NotImported> {
        let books = read_all(Records::of(file))?;
        let mut writing = Writing::begin(self.pool.begin_unlimited().await.map_err(StoreError::from)?).await?;
        let added = add(&mut writing, &books, progress).await;
        writing.end(added.is_ok()).await?;
        let added = added?;
        Ok(Imported { added, present: books.len() as u64 - added })
    }
}

/// Each book gets a revision of its own, as if they were added one by one.
async fn add(writing: &mut Writing, books: &[Book], mut progress: impl FnMut(usize)) -> Result<u64, StoreError> {
    for (number, chunk) in books.chunks(MANY).enumerate() {
        progress(number * MANY);
        let mut insert = query(AssertSqlSafe(insertion(chunk.len())));
        for book in chunk {
            insert = bind(insert, &book.details).bind(book.id.to_string()).bind(writing.revision).bind(book.version);
            writing.revision += 1;
        }
        writing.added += insert.execute(&mut *writing.transaction).await?.rows_affected().cast_signed();
    }
    query("UPDATE catalogue SET seeded = 1").execute(&mut *writing.transaction).await?;
    Ok(writing.added.cast_unsigned())
}

/// The statement that adds this number of books, and skips those whose id exists.
fn insertion(books: usize) -> String {
    let row = |book: usize| (1..=13).map(|column| format!("${}", book * 13 + column)).collect::<Vec<_>>().join(", ");
    let rows: Vec<_> = (0..books).map(|book| format!("({})", row(book))).collect();
    format!(
        "INSERT INTO books (author, author_key, country, country_key, language, language_key, title, title_key, pages, \
         year, id, added, version) VALUES {} ON CONFLICT (id) DO NOTHING",
        rows.join(", ")
    )
}

/// Reads all books, or all errors.
fn read_all(records: Records<'_>) -> Result<Vec<Book>, NotImported> {
    let (mut books, mut wrong, mut lines) = (Vec::<Book>::new(), Vec::new(), HashMap::new());
    for (number, record) in records {
        match record.and_then(book) {
            Ok(book) => match lines.get(&book.id).map(|&(line, index): &(u64, usize)| (line, &books[index])) {
                Some((_, same)) if *same == book => {}
                Some((line, _)) => wrong.push((number, format!("id stands in line {line} already, with another book"))),
                None => {
                    lines.insert(book.id.clone(), (number, books.len()));
                    books.push(book);
                }
            },
            Err(why) => wrong.push((number, why)),
        }
    }
    if wrong.is_empty() { Ok(books) } else { Err(NotImported::Lines(wrong)) }
}

/// Reads the book of one record, or all its errors. CSV, and some JSON, contains numbers as text.
fn book(mut record: Map<String, Value>) -> Result<Book, String> {
    for name in ["pages", "year", "version"] {
        if let Some(number) = record.get(name).and_then(Value::as_str).and_then(|text| number(text.trim())) {
            record.insert(name.to_owned(), number);
        }
    }
    let line: Line = request::read(&record).map_err(|violations| violations.to_string())?;
    let Line { id, author, country, language, pages, title, year, version } = line;
    let details = Details { author, country, language, pages, title, year };
    Ok(Book { id: id.unwrap_or_else(BookId::fresh), details, version: version.map_or(1, |version| version.0) })
}

/// Parses a number.
fn number(text: &str) -> Option<Value> {
    let float = || text.parse().ok().filter(|number: &f64| number.is_finite()).map(Value::from);
    text.parse().map(|integer: i64| integer.into()).ok().or_else(float)
}

impl From<Book> for Line {
    fn from(Book { id, details, version }: Book) -> Self {
        let Details { author, country, language, pages, title, year } = details;
        Self { id: Some(id), author, country, language, pages, title, year, version: Some(Integer(version)) }
    }
}
