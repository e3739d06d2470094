use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use shared_service::database::StoreError;
use shared_service::http::request::{self, Integer};
use shared_service::operations::records::listed;
use sqlx::query;

use super::store::{STORE, read};
use super::{Author, Book, BookId, Books, Details, Name, Pages, Title, Year};

/// A page of all books in the order in which they were added, with the position of each as the last column.
const PAGE: &str = "SELECT id, author, country, language, pages, title, year, version, added FROM books \
     WHERE added > $1 OR (added = $1 AND id > $2) ORDER BY added, id LIMIT 500";

/// The greatest version that is imported; it leaves room for all later changes.
const MOST_VERSION: i64 = 1 << 53;

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
    version: Option<Integer<1, MOST_VERSION>>,
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
            // `line` may wait for its reader.
            reading.rollback().await.map_err(StoreError::from)?;
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
}

/// Reads the book of one record, or all its errors; true if the record has no id. CSV files, and some JSON files, write
/// numbers as text.
pub(super) fn book(mut record: Map<String, Value>) -> Result<(Book, bool), String> {
    for name in ["pages", "year", "version"] {
        if let Some(number) = record.get(name).and_then(Value::as_str).and_then(|text| number(text.trim())) {
            record.insert(name.to_owned(), number);
        }
    }
    let line: Line = request::read(&record).map_err(|violations| violations.to_string())?;
    let Line { id, author, country, language, pages, title, year, version } = line;
    let details = Details { author, country, language, pages, title, year };
    let (is_new, version) = (id.is_none(), version.map_or(1, |version| version.0));
    Ok((Book { id: id.unwrap_or_else(BookId::fresh), details, version }, is_new))
}

/// Parses an integer, or else a finite floating-point number.
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
