use std::sync::Arc;

use shared_http::Shared;
use shared_http::database::{StoreError, within};
use sqlx::pool::PoolConnection;
use sqlx::{Any, AnyPool, query_scalar};

use super::store::{REVISION, STORE};

/// How many writes the catalogue has seen, asked of the database once for all who want to know.
pub struct Revisions {
    pool: AnyPool,
    /// The connection of the last time is kept, as getting one from the pool costs more than the question.
    asking: Shared<Option<PoolConnection<Any>>, Result<i64, Arc<StoreError>>>,
}

impl Revisions {
    pub fn new(pool: AnyPool) -> Self {
        Self { pool, asking: Shared::default() }
    }

    /// The revision at some moment after this call: every write that was acknowledged before it is counted.
    ///
    /// # Errors
    /// The database is unavailable; all who shared the question are told the same.
    pub async fn newest(&self) -> Result<i64, Arc<StoreError>> {
        self.asking.run(async |kept| within(STORE, self.ask(kept)).await.map_err(Arc::new)).await
    }

    /// A connection that fails, or is in the midst of something when its caller goes away, is not kept.
    async fn ask(&self, kept: &mut Option<PoolConnection<Any>>) -> Result<i64, sqlx::Error> {
        if let Some(mut connection) = kept.take()
            && let Ok(revision) = query_scalar(REVISION).fetch_one(&mut *connection).await
        {
            *kept = Some(connection);
            return Ok(revision);
        }
        let mut connection = self.pool.acquire().await?;
        let revision = query_scalar(REVISION).fetch_one(&mut *connection).await?;
        *kept = Some(connection);
        Ok(revision)
    }
}
