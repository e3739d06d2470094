//! The clock of an SQL database, told by this process.
//!
//! No text for "now in milliseconds" is common to `SQLite` and Postgres. So the process tells the time, corrected by what
//! it measured between its clock and the database's: instances whose clocks differ agree on when a session ends.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use shared_service::clock::now_ms;
use shared_service::database::{Database, StoreError, within};
use sqlx::Row;

use super::STORE;

/// In UTC on both: `2026-01-31 12:00:00`, or with a fraction and `+00`.
const READ_CLOCK: &str = "SELECT CAST(CURRENT_TIMESTAMP AS TEXT) AS now";

/// The database's clock, as of the last [`DatabaseClock::measure`].
#[derive(Default)]
pub(super) struct DatabaseClock {
    offset_ms: AtomicI64,
    /// Added to every reading.
    pub(super) skew_ms: Arc<AtomicI64>,
}

impl DatabaseClock {
    /// Milliseconds since 1970 by the database.
    pub(super) fn now(&self) -> i64 {
        now_ms() + self.offset_ms.load(Ordering::Relaxed) + self.skew_ms.load(Ordering::Relaxed)
    }

    /// Compares the two clocks anew.
    ///
    /// # Errors
    /// The database is unavailable, or its time cannot be read.
    pub(super) async fn measure(&self, pool: &Database) -> Result<(), StoreError> {
        let asked = now_ms();
        let row = within(STORE, sqlx::query(READ_CLOCK).fetch_one(pool)).await?;
        let answered = now_ms();
        let text: String = row.try_get("now")?;
        let reading =
            Reading::parse(&text).ok_or_else(|| StoreError::corrupt(STORE, format!("its clock says {text:?}")))?;
        self.offset_ms.store(reading.offset(asked, answered), Ordering::Relaxed);
        Ok(())
    }
}

/// The time lay in `[from, from + resolution)`, in milliseconds.
#[derive(Debug, Eq, PartialEq)]
struct Reading {
    from: i64,
    resolution: i64,
}

impl Reading {
    /// Reads `YYYY-MM-DD HH:MM:SS`, with or without a fraction, in UTC.
    fn parse(text: &str) -> Option<Self> {
        let text = text.strip_suffix("+00").unwrap_or(text);
        let (seconds, fraction) = text.split_once('.').unwrap_or((text, ""));
        let mut fields = seconds.split(['-', ' ', ':']).map(|field| field.parse::<i64>().ok());
        let mut next = || fields.next().flatten();
        let days = days_since_1970(next()?, next()?, next()?);
        let seconds = ((days * 24 + next()?) * 60 + next()?) * 60 + next()?;
        match fraction {
            "" => Some(Self { from: seconds * 1000, resolution: 1000 }),
            _ => Some(Self { from: seconds * 1000 + milliseconds(fraction)?, resolution: 1 }),
        }
    }

    /// The smallest correction that agrees with a question `asked` and `answered` by the process's clock: what lies
    /// within the resolution and the way there and back is no difference of the clocks.
    fn offset(&self, asked: i64, answered: i64) -> i64 {
        let least = self.from - answered;
        let most = self.from + self.resolution - 1 - asked;
        0.clamp(least.min(most), most)
    }
}

/// The first three digits after the point.
fn milliseconds(fraction: &str) -> Option<i64> {
    format!("{fraction:0<3}").get(..3)?.parse().ok()
}

/// Days from 1970-01-01 to a date of the Gregorian calendar: years are counted from March, so that a leap day is the last.
fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day - 719_469
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_databases_can_be_read() {
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
    fn what_is_no_time_is_refused() {
        for text in ["", "now", "2026-01-31", "2026-01-31 12:00", "2026-01-31 12:00:00.x", "2026-01-31 14:00:00+02"] {
            assert_eq!(Reading::parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn the_smallest_correction_is_taken() {
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
