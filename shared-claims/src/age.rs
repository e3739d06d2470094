use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// The time since a polled resource was last up to date, with an optional upper bound.
pub(crate) struct Age {
    max: Option<Duration>,
    created: Instant,
    /// Time of the last confirmation in milliseconds since `created`, plus one; 0 means never.
    confirmed: AtomicU64,
}

impl Age {
    pub(crate) fn new(max: Option<Duration>) -> Self {
        Self { max, created: Instant::now(), confirmed: AtomicU64::new(0) }
    }

    /// Records that the resource was up to date at `at`. Returns false if `at` is before `created`, which is ignored.
    pub(crate) fn confirm(&self, at: Instant) -> bool {
        let Some(since) = at.checked_duration_since(self.created) else { return false };
        let since = u64::try_from(since.as_millis()).unwrap_or(u64::MAX);
        self.confirmed.fetch_max(since.saturating_add(1), Ordering::Release);
        true
    }

    /// Time since the last confirmation; `None` before the first.
    pub(crate) fn get(&self) -> Option<Duration> {
        let since = self.confirmed.load(Ordering::Acquire).checked_sub(1)?;
        Some(self.created.elapsed().saturating_sub(Duration::from_millis(since)))
    }

    /// True if there is a maximum age, and it is exceeded or nothing was confirmed yet.
    pub(crate) fn is_stale(&self) -> bool {
        self.max.is_some_and(|limit| self.get().is_none_or(|age| age > limit))
    }
}
