use std::sync::Arc;

use shared_service::Shared;
use shared_service::database::StoreError;

use super::Books;

/// How many writes the catalogue has seen, asked of the database once for all who want to know.
pub struct Revisions {
    books: Books,
    asking: Shared<(), Result<i64, Arc<StoreError>>>,
}

impl Revisions {
    pub fn new(books: Books) -> Self {
        Self { books, asking: Shared::default() }
    }

    /// The revision at some moment after this call: every write that was acknowledged before it is counted.
    ///
    /// # Errors
    /// The database is unavailable; all who shared the question are told the same.
    pub async fn newest(&self) -> Result<i64, Arc<StoreError>> {
        self.asking.run(async |()| self.books.revision().await.map_err(Arc::new)).await
    }
}
