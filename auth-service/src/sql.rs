//! The SQL database of sessions, limits and revocations, and its clock.
//!
//! `SQLite` and Postgres have no common expression for "now in milliseconds". So the process corrects its own clock by
//! the measured difference from the database's: instances whose clocks differ agree on when a session ends.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use shared_service::clock::now_ms;
use shared_service::database::{Database, StoreError, within};
use sqlx::Row;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

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
        let reading = Reading::parse(&text)
            .ok_or_else(|| StoreError::corrupt(SESSION_STORE, format!("its clock says {text:?}")))?;
        self.offset_ms.store(reading.offset(asked, answered), Ordering::Relaxed);
        Ok(())
    }

    /// Runs `statement`, which deletes at most `$2` rows that have expired at `$1`, until a run deletes fewer; returns
    /// the number of deleted rows.
    pub(crate) async fn sweep(&self, statement: &'static str, batch: u32) -> Result<u64, StoreError> {
        let mut swept = 0;
        loop {
            let sweep = sqlx::query(statement).bind(self.now()).bind(i64::from(batch));
            let rows = within(SESSION_STORE, self.pool.sweep(sweep)).await?;
            swept += rows;
            if rows == 0 || rows < u64::from(batch) {
                return Ok(swept);
            }
        }
    }
}

/// A reading of the database's clock: the time lay in `[from, from + resolution)`, in milliseconds.
#[derive(Debug, Eq, PartialEq)]
struct Reading {
    from: i64,
    resolution: i64,
}

impl Reading {
    /// Parses `YYYY-MM-DD HH:MM:SS`, with or without a fraction, in UTC.
    fn parse(text: &str) -> Option<Self> {
        let text = text.strip_suffix("+00").unwrap_or(text);
        let instant = OffsetDateTime::parse(&format!("{}Z", text.replacen(' ', "T", 1)), &Rfc3339).ok()?;
        let from = i64::try_from(instant.unix_timestamp_nanos() / 1_000_000).ok()?;
        Some(Self { from, resolution: if text.contains('.') { 1 } else { 1000 } })
    }

    /// The smallest correction that is consistent with the reading, for a query sent at `asked` and answered at
    /// `answered` by the process's clock. A difference within the resolution and the round trip gives 0.
    fn offset(&self, asked: i64, answered: i64) -> i64 {
        let least = self.from - answered;
        let most = self.from + self.resolution - 1 - asked;
        0.clamp(least.min(most), most)
    }
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
            assert_eq!(Reading::parse(text), Some(Reading { from, resolution }), "{why}");
        }
    }

    #[test]
    fn invalid_time_is_refused() {
        for text in ["", "now", "2026-01-31", "2026-01-31 12:00", "2026-01-31 12:00:00.x", "2026-01-31 14:00:00+02"] {
            assert_eq!(Reading::parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn smallest_consistent_clock_offset_is_used() {
        let whole = Reading { from: 5000, resolution: 1000 };
        let fine = Reading { from: 5000, resolution: 1 };
        for (reading, asked, answered, offset, why) in [
            (&whole, 5600, 5601, 0, "within the second"),
            (&whole, 5999, 5999, 0, "at its very end"),
            (&whole, 6400, 6401, -401, "the process is ahead by 401 ms at least"),
            (&whole, 4000, 4001, 999, "the process is behind by 999 ms at least"),
            (&fine, 4990, 5010, 0, "within the way there and back"),
            (&fine, 2000, 2010, 2990, "behind"),
            (&fine, 9000, 9010, -4000, "ahead"),
            (&fine, 5010, 4990, -10, "the process's clock was set back meanwhile"),
        ] {
            assert_eq!(reading.offset(asked, answered), offset, "{why}");
        }
    }
}
