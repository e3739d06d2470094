//! The SQL database of sessions, limits and revocations, and its clock.
//!
//! `SQLite` and Postgres have no common expression for "now in milliseconds". So the process corrects its own clock by
//! the measured difference from the database's: instances whose clocks differ agree on when a session ends.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use shared_service::clock::{instant, now_ms};
use shared_service::database::{Database, StoreError, within};
use sqlx::Row;

use crate::SESSION_STORE;

/// Returns UTC: `2026-01-31 12:00:00` in `SQLite`; in Postgres with `+00`, and with a fraction unless that is zero.
const READ_CLOCK: &str = "SELECT CAST(CURRENT_TIMESTAMP AS TEXT) AS now";

/// A database and its clock, as last measured. Clones share both.
#[derive(Clone)]
pub struct SqlStore {
    pub(crate) pool: Database,
    offset_ms: Arc<AtomicI64>,
    skew_ms: Arc<AtomicI64>,
}

impl SqlStore {
    /// Opens the store in a database with [`MIGRATIONS`](crate::app::MIGRATIONS), and measures its clock.
    ///
    /// # Errors
    /// The database is unavailable, or its clock cannot be read.
    pub async fn open(pool: Database) -> Result<Self, StoreError> {
        let store = Self { pool, offset_ms: Arc::default(), skew_ms: Arc::default() };
        store.measure().await?;
        Ok(store)
    }

    /// Adds the current value of `skew_ms` to the clock. For tests.
    #[must_use]
    pub fn with_skew(self, skew_ms: Arc<AtomicI64>) -> Self {
        Self { skew_ms, ..self }
    }

    /// The time by the database's clock, in milliseconds since 1970.
    pub(crate) fn now(&self) -> i64 {
        now_ms() + self.offset_ms.load(Ordering::Relaxed) + self.skew_ms.load(Ordering::Relaxed)
    }

    /// Measures the difference between the clocks of the database and of this process.
    pub(crate) async fn measure(&self) -> Result<(), StoreError> {
        let asked = now_ms();
        let row = within(SESSION_STORE, sqlx::query(READ_CLOCK).fetch_one(&self.pool)).await?;
        let answered = now_ms();
        let text: String = row.try_get("now")?;
        let offset = offset(&text, asked, answered)
            .ok_or_else(|| StoreError::corrupt(SESSION_STORE, format!("its clock says {text:?}")))?;
        self.offset_ms.store(offset, Ordering::Relaxed);
        Ok(())
    }

    /// Runs `statement`, which deletes at most `$2` rows that have expired at `$1`, until a run deletes fewer; returns
    /// the number of deleted rows.
    pub(crate) async fn sweep(&self, statement: &'static str, batch: u32) -> Result<u64, StoreError> {
        let mut swept = 0;
        loop {
            let sweep = sqlx::query(statement).bind(self.now()).bind(i64::from(batch));
            let rows = within(SESSION_STORE, self.pool.write_cancellable(sweep)).await?;
            swept += rows;
            if rows == 0 || rows < u64::from(batch) {
                return Ok(swept);
            }
        }
    }
}

/// The smallest correction that is consistent with `reading`, the text of a query sent at `asked` and answered at
/// `answered` by the process's clock. A difference within the resolution and the round trip gives 0.
fn offset(reading: &str, asked: i64, answered: i64) -> Option<i64> {
    let from = instant(reading)?;
    let resolution = if reading.contains('.') { 1 } else { 1000 };
    let (least, most) = (from - answered, from + resolution - 1 - asked);
    Some(0.clamp(least.min(most), most))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clock_of_both_databases_is_parsed() {
        for (text, from, resolution, why) in [
            ("1970-01-01 00:00:00", 0, 1000, "the beginning"),
            ("2000-02-29 23:59:59", 951_868_799_000, 1000, "a leap day"),
            ("2026-01-31 12:00:00", 1_769_860_800_000, 1000, "SQLite"),
            ("2026-01-31 12:00:00.250999+00", 1_769_860_800_250, 1, "Postgres"),
            ("2026-01-31 12:00:00.25+00", 1_769_860_800_250, 1, "Postgres drops zeros at the end"),
            ("2026-01-31 12:00:00+00", 1_769_860_800_000, 1000, "and a fraction of zero altogether"),
        ] {
            assert_eq!(offset(text, 0, 0), Some(from), "{why}");
            assert_eq!(offset(text, from + 5000, from + 5000), Some(resolution - 5001), "{why}");
        }
    }

    #[test]
    fn smallest_consistent_clock_offset_is_used() {
        let (whole, fine) = ("1970-01-01 00:00:05", "1970-01-01 00:00:05.000+00");
        for (reading, asked, answered, expected, why) in [
            (whole, 5600, 5601, 0, "within the second"),
            (whole, 5999, 5999, 0, "at its very end"),
            (whole, 6400, 6401, -401, "the process is ahead by 401 ms at least"),
            (whole, 4000, 4001, 999, "the process is behind by 999 ms at least"),
            (fine, 4990, 5010, 0, "within the way there and back"),
            (fine, 2000, 2010, 2990, "behind"),
            (fine, 9000, 9010, -4000, "ahead"),
            (fine, 5010, 4990, -10, "the process's clock was set back meanwhile"),
        ] {
            assert_eq!(offset(reading, asked, answered), Some(expected), "{why}");
        }
    }
}
