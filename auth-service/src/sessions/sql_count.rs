use shared_service::database::{StoreError, within};

use super::{STORE, SqlSessions};

/// $1 now. Found by the index `sessions_open`: a million take some 40 ms. Those of an era before are not swept yet.
const COUNT_OPEN: &str = "
SELECT (SELECT COUNT(*) FROM sessions WHERE ended_at = 0 AND idle_ends_at > $1) - (
    SELECT COUNT(*) FROM cutoffs
    JOIN sessions ON sessions.user_id = cutoffs.user_id AND sessions.era < cutoffs.era AND sessions.ended_at = 0
    WHERE cutoffs.era > 0 AND sessions.idle_ends_at > $1)";

impl SqlSessions {
    /// How many sessions are alive, of all users.
    ///
    /// # Errors
    /// The database is unavailable.
    pub async fn count_open(&self) -> Result<i64, StoreError> {
        let count = sqlx::query_scalar(COUNT_OPEN).bind(self.clock.now());
        within(STORE, async { count.fetch_one(&mut *self.pool.list().await?).await }).await
    }
}
