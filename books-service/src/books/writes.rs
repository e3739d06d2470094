use shared_service::database::{StoreError, Transaction, within};
use sqlx::any::AnyArguments;
use sqlx::query::Query;
use sqlx::{Any, query, query_scalar};

use super::store::{BOOK, STORE, read};
use super::text::key;
use super::{Book, BookId, Books, Details, Edit};

const ADD: &str = "INSERT INTO books (author, author_key, country, country_key, language, language_key, title, \
     title_key, pages, year, id, added, version) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, 1)";
const CHANGE: &str = "UPDATE books SET author = $1, author_key = $2, country = $3, country_key = $4, language = $5, \
     language_key = $6, title = $7, title_key = $8, pages = $9, year = $10, version = $11 \
     WHERE id = $12";

/// Which versions of a book a change accepts; by default, each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expected {
    /// The version is one of these; another means that the book has changed since.
    pub matching: Versions,
    /// The version is none of these.
    pub excluded: Versions,
}

/// A set of versions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Versions {
    /// Each that there is.
    All,
    /// These.
    Only(Vec<i64>),
}

/// Why a book was not changed.
#[derive(Debug, thiserror::Error)]
pub enum NotChanged {
    /// There is no such book.
    #[error("there is no such book")]
    Missing,
    /// The change does not accept the book's version, and the book stays as it is.
    #[error("the book is at another version")]
    Unexpected,
    /// The database is unavailable; where it was slow the change may have been made.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Books {
    /// Adds a book.
    ///
    /// # Errors
    /// The database is unavailable; where it was slow the book may have been added.
    pub async fn add(&self, details: Details) -> Result<Book, StoreError> {
        self.write(async |writing| writing.insert(details).await).await
    }

    /// Edits the book `id` if its version is `expected`. Of two edits that match one version the second fails.
    ///
    /// # Errors
    /// See [`NotChanged`].
    pub async fn edit(&self, id: &BookId, expected: &Expected, edit: Edit) -> Result<Book, NotChanged> {
        self.write(async |writing| {
            let book = writing.find(id, expected).await?;
            Ok(writing.update(book, edit).await?)
        })
        .await
    }

    /// Takes the book `id` out of the catalogue if its version is `expected`.
    ///
    /// # Errors
    /// See [`NotChanged`].
    pub async fn remove(&self, id: &BookId, expected: &Expected) -> Result<(), NotChanged> {
        self.write(async |writing| {
            let book = writing.find(id, expected).await?;
            Ok(writing.delete(book).await?)
        })
        .await
    }

    /// Adds `books`, unless this catalogue was seeded before, by this or any other instance.
    ///
    /// # Errors
    /// The database is unavailable.
    pub async fn seed(&self, books: impl IntoIterator<Item = Details>) -> Result<(), StoreError> {
        self.write(async |writing| {
            if writing.mark_seeded().await? {
                for details in books {
                    writing.insert(details).await?;
                }
            }
            Ok(())
        })
        .await
    }

    /// Does `work` in one transaction, after all writes that began before; nothing of it stays where it fails.
    async fn write<T, E: From<StoreError>>(
        &self,
        work: impl AsyncFnOnce(&mut Writing) -> Result<T, E>,
    ) -> Result<T, E> {
        // The wait for others does not shorten the time for one's own.
        let _turn = within(STORE, async { Ok::<_, StoreError>(self.turn.lock().await) }).await?;
        within(STORE, async {
            let mut writing = Writing::begin(self.pool.begin().await?).await?;
            let done = work(&mut writing).await;
            writing.end(done.is_ok()).await?;
            Ok::<_, StoreError>(done)
        })
        .await?
    }
}

/// A write under way. It began by raising the catalogue's revision and so holds the lock of that row: writes are serial in
/// every database, what one reads still holds when it commits, and a greater revision is a later commit.
pub(super) struct Writing {
    pub(super) transaction: Transaction,
    pub(super) revision: i64,
}

impl Writing {
    pub(super) async fn begin(mut transaction: Transaction) -> Result<Self, StoreError> {
        let raise = query_scalar("UPDATE catalogue SET revision = revision + 1 RETURNING revision");
        let revision = raise.fetch_one(&mut *transaction).await?;
        Ok(Self { transaction, revision })
    }

    /// Keeps what was written, or takes it back, the revision too.
    pub(super) async fn end(self, keep: bool) -> Result<(), StoreError> {
        let end = if keep { self.transaction.commit().await } else { self.transaction.rollback().await };
        Ok(end?)
    }

    async fn find(&mut self, id: &BookId, expected: &Expected) -> Result<Book, NotChanged> {
        let row = query(BOOK).bind(id.to_string()).fetch_optional(&mut *self.transaction).await;
        let book = read(&row.map_err(StoreError::from)?.ok_or(NotChanged::Missing)?)?;
        if expected.allows(book.version) { Ok(book) } else { Err(NotChanged::Unexpected) }
    }

    async fn insert(&mut self, details: Details) -> Result<Book, StoreError> {
        let id = BookId::fresh();
        let add = bind(query(ADD), &details).bind(id.to_string()).bind(self.revision);
        add.execute(&mut *self.transaction).await?;
        Ok(Book { id, details, version: 1 })
    }

    async fn update(&mut self, book: Book, edit: Edit) -> Result<Book, StoreError> {
        let book = Book { details: edit.apply(book.details), version: book.version + 1, ..book };
        let change = bind(query(CHANGE), &book.details).bind(book.version).bind(book.id.to_string());
        change.execute(&mut *self.transaction).await?;
        Ok(book)
    }

    async fn delete(&mut self, book: Book) -> Result<(), StoreError> {
        let delete = query("DELETE FROM books WHERE id = $1");
        delete.bind(book.id.to_string()).execute(&mut *self.transaction).await?;
        Ok(())
    }

    /// Whether this write is the first to seed the catalogue.
    async fn mark_seeded(&mut self) -> Result<bool, StoreError> {
        let mark = query("UPDATE catalogue SET seeded = 1 WHERE seeded = 0");
        Ok(mark.execute(&mut *self.transaction).await?.rows_affected() == 1)
    }
}

/// The columns of `details`, in the order in which [`ADD`] and [`CHANGE`] begin.
pub(super) fn bind<'q>(query: Query<'q, Any, AnyArguments>, details: &Details) -> Query<'q, Any, AnyArguments> {
    let Details { author, country, language, title, pages, year } = details;
    let texts: [&str; 4] = [author, country, language, title];
    texts.into_iter().fold(query, |query, text| query.bind(text.to_owned()).bind(key(text))).bind(pages.0).bind(year.0)
}

impl Expected {
    fn allows(&self, version: i64) -> bool {
        self.matching.contains(version) && !self.excluded.contains(version)
    }
}

impl Default for Expected {
    fn default() -> Self {
        Self { matching: Versions::All, excluded: Versions::default() }
    }
}

impl Versions {
    fn contains(&self, version: i64) -> bool {
        match self {
            Self::All => true,
            Self::Only(versions) => versions.contains(&version),
        }
    }
}

impl Default for Versions {
    fn default() -> Self {
        Self::Only(Vec::new())
    }
}
