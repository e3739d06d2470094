use std::time::Duration;

use async_trait::async_trait;
use shared_service::database::{StoreError, within};

use super::failures::{Attempt, FIRST_WAIT, FailureStore, MEMORY, left, wait_after};
use crate::SESSION_STORE;
use crate::sql::SqlStore;

/// The wait if a concurrent attempt has just been allowed instead.
const SHORT: Duration = Duration::from_secs(1);

const FIND: &str = "SELECT in_a_row, allowed_at FROM failures WHERE name = $1 AND forget_at > $2";

/// $2 the failures read, $3 now, $4 the time of the next attempt, $5 the memory. Only one concurrent caller gets a row.
const RESERVE: &str = "
UPDATE failures SET in_a_row = in_a_row + 1, allowed_at = $4, forget_at = $4 + $5
WHERE name = $1 AND in_a_row = $2 AND allowed_at <= $3
RETURNING in_a_row";

/// $2 now, $3 the limit, $4 the first wait, $5 the memory. Returns no row if the limit was reached before.
const FAILED: &str = "
INSERT INTO failures (name, in_a_row, allowed_at, forget_at)
VALUES ($1, 1, CASE WHEN $3 <= 1 THEN $2 + $4 ELSE 0 END, $2 + $4 + $5)
ON CONFLICT (name) DO UPDATE SET
    in_a_row = CASE WHEN failures.forget_at <= $2 THEN 1 ELSE failures.in_a_row + 1 END,
    allowed_at = CASE
        WHEN failures.forget_at <= $2 THEN excluded.allowed_at
        WHEN failures.in_a_row + 1 < $3 THEN 0
        ELSE $2 + $4 END,
    forget_at = excluded.forget_at
WHERE failures.forget_at <= $2 OR failures.in_a_row < $3
RETURNING in_a_row";

const FORGET: &str = "DELETE FROM failures WHERE name = $1";

/// $1 now, $2 the limit.
const SWEEP: &str = "DELETE FROM failures WHERE name IN (SELECT name FROM failures WHERE forget_at <= $1 LIMIT $2)";

/// The store of failures in `SQLite` or Postgres.
pub struct SqlFailures(pub SqlStore);

#[async_trait]
impl FailureStore for SqlFailures {
    async fn attempt(&self, name: &str, limit: u32) -> Result<Attempt, StoreError> {
        let now = self.0.now();
        let Some((failures, allowed_at)) = self.failures(name, now).await? else { return Ok(Attempt::Free) };
        if failures < i64::from(limit) {
            return Ok(Attempt::Free);
        }
        if let Some(left) = left(allowed_at, now) {
            return Ok(Attempt::Wait(left));
        }
        let next = now + wait_after(failures + 1, limit);
        let reserve = sqlx::query(RESERVE).bind(name.to_owned()).bind(failures).bind(now).bind(next).bind(MEMORY);
        if !within(SESSION_STORE, reserve.fetch_all(&self.0.pool)).await?.is_empty() {
            return Ok(Attempt::Single);
        }
        self.blocked(name, limit, now).await.map(|wait| Attempt::Wait(wait.unwrap_or(SHORT)))
    }

    async fn settle(&self, name: &str, limit: u32, success: bool) -> Result<Option<Duration>, StoreError> {
        let now = self.0.now();
        if success {
            let blocked = self.blocked(name, limit, now).await?;
            if blocked.is_none() {
                self.forget(name).await?;
            }
            return Ok(blocked);
        }
        let insert =
            sqlx::query(FAILED).bind(name.to_owned()).bind(now).bind(i64::from(limit)).bind(FIRST_WAIT).bind(MEMORY);
        let counted = within(SESSION_STORE, insert.fetch_all(&self.0.pool)).await?;
        if !counted.is_empty() {
            return Ok(None);
        }
        // A success may have deleted the row meanwhile: a guess that was not counted is refused all the same.
        Ok(Some(self.blocked(name, limit, now).await?.unwrap_or(SHORT)))
    }

    async fn forget(&self, name: &str) -> Result<(), StoreError> {
        within(SESSION_STORE, sqlx::query(FORGET).bind(name.to_owned()).execute(&self.0.pool)).await.map(drop)
    }
}

impl SqlFailures {
    /// The consecutive failures, and the time of the next attempt.
    async fn failures(&self, name: &str, now: i64) -> Result<Option<(i64, i64)>, StoreError> {
        let find = sqlx::query_as(FIND).bind(name.to_owned()).bind(now);
        within(SESSION_STORE, find.fetch_optional(&self.0.pool)).await
    }

    /// The time to wait, if the limit is reached.
    async fn blocked(&self, name: &str, limit: u32, now: i64) -> Result<Option<Duration>, StoreError> {
        let row = self.failures(name, now).await?.filter(|(failures, _)| *failures >= i64::from(limit));
        Ok(row.map(|(_, allowed_at)| left(allowed_at, now).unwrap_or(SHORT)))
    }

    /// Deletes expired failures, in batches.
    pub(crate) async fn sweep(&self, batch: u32) -> Result<(), StoreError> {
        self.0.sweep(SWEEP, batch).await.map(drop)
    }
}
