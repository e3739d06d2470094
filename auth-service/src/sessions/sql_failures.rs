use async_trait::async_trait;
use shared_http::database::{StoreError, within};
use sqlx::Row;

use super::failures::{Attempt, FIRST_WAIT, FailureStore, MEMORY, left, wait_after};
use super::{STORE, SqlSessions};

const FIND: &str = "SELECT in_a_row, allowed_at FROM failures WHERE name = $1 AND forget_at > $2";

/// $2 the failures that were read, $3 now, $4 when the next attempt is heard. Of those who read the same, one gets a row.
const RESERVE: &str = "
UPDATE failures SET in_a_row = in_a_row + 1, allowed_at = $4, forget_at = $4 + $5
WHERE name = $1 AND in_a_row = $2 AND allowed_at <= $3
RETURNING in_a_row";

/// $2 now, $3 the limit, $4 the first wait, $5 the memory. A burst of attempts that were free when they began makes the row
/// as long as the limit, and no longer: nobody waits for minutes because of one second.
const FAILED: &str = "
INSERT INTO failures (name, in_a_row, allowed_at, forget_at)
VALUES ($1, 1, CASE WHEN $3 <= 1 THEN $2 + $4 ELSE 0 END, $2 + $4 + $5)
ON CONFLICT (name) DO UPDATE SET
    in_a_row = CASE
        WHEN failures.forget_at <= $2 THEN 1
        WHEN failures.in_a_row < $3 THEN failures.in_a_row + 1
        ELSE failures.in_a_row END,
    allowed_at = CASE
        WHEN failures.forget_at <= $2 THEN excluded.allowed_at
        WHEN failures.in_a_row + 1 < $3 OR failures.allowed_at > $2 + $4 THEN failures.allowed_at
        ELSE $2 + $4 END,
    forget_at = CASE
        WHEN failures.forget_at > excluded.forget_at THEN failures.forget_at
        ELSE excluded.forget_at END";

const FORGET: &str = "DELETE FROM failures WHERE name = $1";

const SWEEP: &str = "DELETE FROM failures WHERE name IN (SELECT name FROM failures WHERE forget_at <= $1 LIMIT $2)";

#[async_trait]
impl FailureStore for SqlSessions {
    async fn attempt(&self, name: &str, limit: u32) -> Result<Attempt, StoreError> {
        let now = self.clock.now();
        let find = sqlx::query(FIND).bind(name.to_owned()).bind(now);
        let rows = within(STORE, find.fetch_all(&self.pool)).await?;
        let Some(row) = rows.first() else { return Ok(Attempt::Free) };
        let (failures, allowed_at): (i64, i64) = (row.try_get("in_a_row")?, row.try_get("allowed_at")?);
        if failures < i64::from(limit) {
            return Ok(Attempt::Free);
        }
        if let Some(left) = left(allowed_at, now) {
            return Ok(Attempt::Wait(left));
        }
        let next = now + wait_after(failures + 1, limit);
        let reserve = sqlx::query(RESERVE).bind(name.to_owned()).bind(failures).bind(now).bind(next).bind(MEMORY);
        let reserved = within(STORE, reserve.fetch_all(&self.pool)).await?;
        let lost = Attempt::Wait(std::time::Duration::from_secs(1));
        Ok(if reserved.is_empty() { lost } else { Attempt::Single })
    }

    async fn failed(&self, name: &str, limit: u32) -> Result<(), StoreError> {
        let insert = sqlx::query(FAILED)
            .bind(name.to_owned())
            .bind(self.clock.now())
            .bind(i64::from(limit))
            .bind(FIRST_WAIT)
            .bind(MEMORY);
        within(STORE, insert.execute(&self.pool)).await.map(drop)
    }

    async fn succeeded(&self, name: &str) -> Result<(), StoreError> {
        within(STORE, sqlx::query(FORGET).bind(name.to_owned()).execute(&self.pool)).await.map(drop)
    }
}

impl SqlSessions {
    /// Removes rows of failures that are forgotten.
    pub(super) async fn sweep_failures(&self, batch: u32) -> Result<u64, StoreError> {
        let sweep = sqlx::query(SWEEP).bind(self.clock.now()).bind(i64::from(batch));
        Ok(within(STORE, sweep.execute(&self.pool)).await?.rows_affected())
    }
}
