use std::sync::Arc;

use shared_service::database::{Database, StoreError, within};
use shared_service::http::request::Integer;
use sqlx::Row;
use sqlx::any::AnyRow;
use tokio::sync::Mutex;

use super::{Book, BookId, Details, Text};

/// The store's name in errors.
pub(super) const STORE: &str = "books";

/// The columns of one book, as [`read`] takes them.
pub(super) const BOOK: &str =
    "SELECT id, author, country, language, pages, title, year, version FROM books WHERE id = $1";

/// Selects 1 if the stored total is the number of books.
const IS_COUNTED: &str = "SELECT CASE WHEN books = (SELECT COUNT(*) FROM books) THEN 1 ELSE 0 END FROM catalogue";

/// Selects the number of writes so far.
pub(super) const REVISION: &str = "SELECT revision FROM catalogue";

/// The database of books. Clones share it.
#[derive(Clone)]
pub struct Books {
    pub(super) pool: Database,
    /// Serializes the writers of this process. The database allows one write at a time anyway; a writer that waits here
    /// holds no connection.
    pub(super) turn: Arc<Mutex<()>>,
}

impl Books {
    /// The books in the migrated database `pool`.
    pub(crate) fn new(pool: Database) -> Self {
        Self { pool, turn: Arc::default() }
    }

    /// The book `id`, if there is one.
    pub(crate) async fn get(&self, id: &BookId) -> Result<Option<Book>, StoreError> {
        let query = sqlx::query(BOOK).bind(id.to_string());
        within(STORE, query.fetch_optional(&self.pool)).await?.as_ref().map(read).transpose()
    }

    /// Counts the books again if the stored total is wrong: since it was stored, instances of an earlier version, which
    /// keeps no total, may have written.
    pub(crate) async fn count_again(&self) -> Result<(), StoreError> {
        let mut reading = self.pool.begin_unlimited().await?;
        let is_counted: i64 = sqlx::query_scalar(IS_COUNTED).fetch_one(&mut *reading).await?;
        if is_counted == 1 { Ok(()) } else { self.correct_total().await }
    }

    /// The number of writes so far; each committed write increments it.
    pub(crate) async fn revision(&self) -> Result<i64, StoreError> {
        within(STORE, sqlx::query_scalar(REVISION).fetch_one(&self.pool)).await
    }
}

/// The book of a row that begins with the columns of [`BOOK`].
pub(super) fn read(row: &AnyRow) -> Result<Book, StoreError> {
    let id: String = row.try_get(0)?;
    let details = Details {
        author: Text::trusted(row.try_get::<String, _>(1)?),
        country: Text::trusted(row.try_get::<String, _>(2)?),
        language: Text::trusted(row.try_get::<String, _>(3)?),
        pages: Integer(row.try_get(4)?),
        title: Text::trusted(row.try_get::<String, _>(5)?),
        year: Integer(row.try_get(6)?),
    };
    let id = BookId::try_from(id).map_err(|error| StoreError::corrupt(STORE, format!("books.id: {error}")))?;
    Ok(Book { id, details, version: row.try_get(7)? })
}
