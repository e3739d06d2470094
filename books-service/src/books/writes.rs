use shared_service::database::{StoreError, Transaction, within};
use sqlx::any::AnyArguments;
use sqlx::query::Query;
use sqlx::{Any, query, query_scalar};

use super::store::{BOOK, STORE, read};
use super::text::key;
use super::{Book, BookId, Books, Details};

const ADD: &str = "INSERT INTO books (author, author_key, country, country_key, language, language_key, title, \
     title_key, pages, year, id, added, version) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, 1)";
const CHANGE: &str = "UPDATE books SET author = $1, author_key = $2, country = $3, country_key = $4, language = $5, \
     language_key = $6, title = $7, title_key = $8, pages = $9, year = $10, version = $11 \
     WHERE id = $12";

/// The reason why a book was not changed.
#[derive(Debug, thiserror::Error)]
pub enum NotChanged {
    /// The book does not exist.
    #[error("there is no such book")]
    Missing,
    /// The book has a version that the change does not accept.
    #[error("the book is at another version")]
    Unexpected,
    /// The database is unavailable; after a timeout the change may have been made.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Books {
    /// Adds a book; after a timeout it may have been added.
    pub(crate) async fn add(&self, details: Details) -> Result<Book, StoreError> {
        self.write(async |writing| writing.insert(details).await).await
    }

    /// Edits the book `id` if `accepts` is true for it. Of two edits that accept only the same version, the second fails.
    pub(crate) async fn edit(
        &self,
        id: &BookId,
        accepts: impl Fn(&Book) -> bool,
        edit: impl FnOnce(Details) -> Details,
    ) -> Result<Book, NotChanged> {
        self.write(async |writing| {
            let book = writing.find(id, accepts).await?;
            Ok(writing.update(book, edit).await?)
        })
        .await
    }

    /// Deletes the book `id` if `accepts` is true for it.
    pub(crate) async fn remove(&self, id: &BookId, accepts: impl Fn(&Book) -> bool) -> Result<(), NotChanged> {
        self.write(async |writing| {
            let book = writing.find(id, accepts).await?;
            Ok(writing.delete(book).await?)
        })
        .await
    }

    /// Adds `books` once per catalogue; later calls, from any instance, do nothing.
    pub(crate) async fn seed(&self, books: impl IntoIterator<Item = Details>) -> Result<(), StoreError> {
        // Begins no write for nothing: a long import must not keep a service from starting.
        let seeded = query_scalar::<_, i64>("SELECT seeded FROM catalogue").fetch_one(&self.pool);
        if within(STORE, seeded).await? == 1 {
            return Ok(());
        }
        self.write(async |writing| {
            let mark = query("UPDATE catalogue SET seeded = 1 WHERE seeded = 0");
            if mark.execute(&mut *writing.transaction).await?.rows_affected() == 1 {
                for details in books {
                    writing.insert(details).await?;
                }
            }
            Ok(())
        })
        .await
    }

    /// Counts the books, and stores the total.
    pub(super) async fn correct_total(&self) -> Result<(), StoreError> {
        let mut writing = Writing::begin(self.pool.begin_unlimited().await?).await?;
        let count = query("UPDATE catalogue SET books = (SELECT COUNT(*) FROM books)");
        count.execute(&mut *writing.transaction).await?;
        writing.end(true).await
    }

    /// Runs `work` in one transaction, after all earlier writes; rolls back if it fails.
    async fn write<T, E: From<StoreError>>(
        &self,
        work: impl AsyncFnOnce(&mut Writing) -> Result<T, E>,
    ) -> Result<T, E> {
        // The time limit starts after the wait for other writers.
        let _turn = within(STORE, async { Ok::<_, StoreError>(self.turn.lock().await) }).await?;
        within(STORE, async {
            let mut writing = Writing::begin(self.pool.begin_write().await?).await?;
            let done = work(&mut writing).await;
            writing.end(done.is_ok()).await?;
            Ok::<_, StoreError>(done)
        })
        .await?
    }
}

/// A write in progress. Its first statement increments the catalogue's revision and so locks that row. Writes therefore
/// run one at a time in every database, their reads stay valid until they commit, and revisions grow in commit order.
pub(super) struct Writing {
    pub(super) transaction: Transaction,
    pub(super) revision: i64,
    /// The number of books that this write adds, minus those that it deletes.
    pub(super) net_added: i64,
}

impl Writing {
    pub(super) async fn begin(mut transaction: Transaction) -> Result<Self, StoreError> {
        let raise = query_scalar("UPDATE catalogue SET revision = revision + 1 RETURNING revision");
        let revision = raise.fetch_one(&mut *transaction).await?;
        Ok(Self { transaction, revision, net_added: 0 })
    }

    /// Commits or rolls back, including the revision.
    pub(super) async fn end(mut self, keep: bool) -> Result<(), StoreError> {
        if keep && self.net_added != 0 {
            let total = query("UPDATE catalogue SET books = books + $1, revision = $2");
            total.bind(self.net_added).bind(self.revision).execute(&mut *self.transaction).await?;
        }
        let end = if keep { self.transaction.commit().await } else { self.transaction.rollback().await };
        Ok(end?)
    }

    async fn find(&mut self, id: &BookId, accepts: impl Fn(&Book) -> bool) -> Result<Book, NotChanged> {
        let row = query(BOOK).bind(id.to_string()).fetch_optional(&mut *self.transaction).await;
        let book = read(&row.map_err(StoreError::from)?.ok_or(NotChanged::Missing)?)?;
        if accepts(&book) { Ok(book) } else { Err(NotChanged::Unexpected) }
    }

    async fn insert(&mut self, details: Details) -> Result<Book, StoreError> {
        let id = BookId::fresh();
        let add = bind(query(ADD), &details).bind(id.to_string()).bind(self.revision);
        add.execute(&mut *self.transaction).await?;
        self.net_added += 1;
        Ok(Book { id, details, version: 1 })
    }

    async fn update(&mut self, book: Book, edit: impl FnOnce(Details) -> Details) -> Result<Book, StoreError> {
        let book = Book { details: edit(book.details), version: book.version + 1, ..book };
        let change = bind(query(CHANGE), &book.details).bind(book.version).bind(book.id.to_string());
        change.execute(&mut *self.transaction).await?;
        Ok(book)
    }

    async fn delete(&mut self, book: Book) -> Result<(), StoreError> {
        let delete = query("DELETE FROM books WHERE id = $1");
        delete.bind(book.id.to_string()).execute(&mut *self.transaction).await?;
        self.net_added -= 1;
        Ok(())
    }
}

/// Binds the columns of `details` in the order in which [`ADD`] and [`CHANGE`] begin.
fn bind<'q>(query: Query<'q, Any, AnyArguments>, details: &Details) -> Query<'q, Any, AnyArguments> {
    let Details { author, country, language, title, pages, year } = details;
    let texts: [&str; 4] = [author, country, language, title];
    texts.into_iter().fold(query, |query, text| query.bind(text.to_owned()).bind(key(text))).bind(pages.0).bind(year.0)
}
