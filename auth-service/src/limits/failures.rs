//! Wrong passwords in a row: after a few of them each attempt has to wait, longer each time.

use std::time::Duration;

use async_trait::async_trait;
use shared_service::database::StoreError;

/// The first wait, in milliseconds; it doubles with every failure.
pub(super) const FIRST_WAIT: i64 = 1_000;
/// The longest wait, in milliseconds.
pub(super) const LONGEST_WAIT: i64 = 15 * 60_000;
/// A row of failures is forgotten this long after its last wait is over, in milliseconds.
pub(super) const MEMORY: i64 = 15 * 60_000;

/// The answer to an attempt to log in.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Attempt {
    /// Go on, and settle the result by [`FailureStore::settle`] before the client is told of it.
    Free,
    /// Go on: after a wait, one attempt. It counts as a failure already, so only success is to be settled. Of attempts at the
    /// same time one alone gets this answer.
    Single,
    /// Not before so much time has passed.
    Wait(Duration),
}

/// Counts failures in a row under a name, for all instances. While they are fewer than `limit`, there is no wait. From then
/// on there is one before each attempt: 1 s, 2 s, 4 s, at most 15 min.
///
/// Any number of free attempts may be under way at once, so that users who know their password never wait for each other. But
/// the result of one is told only if the failures settled before it are still fewer than the limit: guesses side by side
/// are worth no more than one after the other.
#[async_trait]
pub trait FailureStore: Send + Sync {
    /// Asks for leave to try.
    ///
    /// # Errors
    /// The store is unavailable.
    async fn attempt(&self, name: &str, limit: u32) -> Result<Attempt, StoreError>;

    /// Settles a [`Attempt::Free`] attempt: a failure is one more, a success ends the row. A wait is the answer where others
    /// failed too often meanwhile: then nothing is changed, and the result is to be withheld.
    ///
    /// # Errors
    /// The store is unavailable; whether it was counted is not known.
    async fn settle(&self, name: &str, limit: u32, success: bool) -> Result<Option<Duration>, StoreError>;

    /// Ends the row, after a [`Attempt::Single`] attempt that was no failure.
    ///
    /// # Errors
    /// The store is unavailable; whether the failures are forgotten is not known.
    async fn forget(&self, name: &str) -> Result<(), StoreError>;
}

/// The wait after `failures` in a row, the `limit`th among them, in milliseconds.
pub(super) fn wait_after(failures: i64, limit: u32) -> i64 {
    let beyond = failures.saturating_sub(i64::from(limit)).clamp(0, 20);
    (FIRST_WAIT << beyond).min(LONGEST_WAIT)
}

/// The rest of a wait until `allowed_at`, at most the longest wait, even if the store's clock went back.
pub(super) fn left(allowed_at: i64, now: i64) -> Option<Duration> {
    let left = (allowed_at - now).min(LONGEST_WAIT);
    u64::try_from(left).ok().filter(|left| *left > 0).map(Duration::from_millis)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_doubles_and_has_an_end() {
        let waits: Vec<_> =
            [3, 4, 5, 6, 12, 13, 14, 1000, i64::MAX].map(|failures| wait_after(failures, 4) / 1000).into();
        assert_eq!(waits, [1, 1, 2, 4, 256, 512, 900, 900, 900]);
    }
}
