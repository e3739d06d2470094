//! Limits for consecutive wrong passwords: after a few of them each attempt has to wait, longer each time.

use std::time::Duration;

use async_trait::async_trait;
use shared_service::database::StoreError;

/// The first wait, in milliseconds; it doubles with each failure.
pub(super) const FIRST_WAIT: i64 = 1_000;
/// The longest wait, in milliseconds.
pub(super) const LONGEST_WAIT: i64 = 15 * 60_000;
/// The time after the last wait until the failures are forgotten, in milliseconds.
pub(super) const MEMORY: i64 = 15 * 60_000;

/// The decision about a login attempt.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Attempt {
    /// Allowed. Record the result with [`FailureStore::settle`] before the client learns it.
    Free,
    /// Allowed, as the only attempt after a wait; of concurrent attempts only one gets this. It is already counted as a
    /// failure, so only a success is recorded.
    Single,
    /// Refused; the client has to wait this long.
    Wait(Duration),
}

/// Counts consecutive failures under a name, for all instances. Below `limit` failures there is no wait. From then on
/// each attempt has to wait: 1 s, 2 s, 4 s, at most 15 min.
///
/// Any number of free attempts may run at once, so that users who know their password never wait for each other. But
/// the result of a free attempt is only revealed if fewer failures than the limit were recorded before it: concurrent
/// guesses gain nothing over consecutive ones.
///
/// Each method fails if the store is unavailable. It is then unknown if a result was counted or reset.
#[async_trait]
pub trait FailureStore: Send + Sync {
    /// Asks for permission to verify a password.
    async fn attempt(&self, name: &str, limit: u32) -> Result<Attempt, StoreError>;

    /// Records the result of a [`Attempt::Free`] attempt: a failure is counted, a success resets the count. Returns a
    /// wait if too many other attempts failed meanwhile: then nothing was recorded, and the result must be withheld.
    async fn settle(&self, name: &str, limit: u32, success: bool) -> Result<Option<Duration>, StoreError>;

    /// Resets the count after a successful [`Attempt::Single`] attempt.
    async fn forget(&self, name: &str) -> Result<(), StoreError>;
}

/// The wait after `failures` consecutive failures, which are at least `limit`, in milliseconds.
pub(super) fn wait_after(failures: i64, limit: u32) -> i64 {
    let beyond = failures.saturating_sub(i64::from(limit)).clamp(0, 20);
    (FIRST_WAIT << beyond).min(LONGEST_WAIT)
}

/// The remaining wait until `allowed_at`; never more than the longest wait, even if the store's clock was set back.
pub(super) fn left(allowed_at: i64, now: i64) -> Option<Duration> {
    let left = (allowed_at - now).min(LONGEST_WAIT);
    u64::try_from(left).ok().filter(|left| *left > 0).map(Duration::from_millis)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wait_doubles_up_to_15_minutes() {
        let waits: Vec<_> =
            [3, 4, 5, 6, 12, 13, 14, 1000, i64::MAX].map(|failures| wait_after(failures, 4) / 1000).into();
        assert_eq!(waits, [1, 1, 2, 4, 256, 512, 900, 900, 900]);
    }
}
