use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// The age of something that is asked for again and again, and the greatest one at which it still counts.
pub(crate) struct Age {
    max: Option<Duration>,
    made: Instant,
    /// When it was confirmed, in milliseconds since `made`, plus one; 0 is never.
    confirmed: AtomicU64,
}

impl Age {
    pub(crate) fn new(max: Option<Duration>) -> Self {
        Self { max, made: Instant::now(), confirmed: AtomicU64::new(0) }
    }

    /// It was up to date at this moment. One before it was made confirms nothing.
    pub(crate) fn confirm(&self, at: Instant) {
        let Some(since) = at.checked_duration_since(self.made) else { return };
        let since = u64::try_from(since.as_millis()).unwrap_or(u64::MAX);
        self.confirmed.fetch_max(since.saturating_add(1), Ordering::Release);
    }

    /// How long ago it was confirmed; `None` if it never was.
    pub(crate) fn get(&self) -> Option<Duration> {
        let since = self.confirmed.load(Ordering::Acquire).checked_sub(1)?;
        Some(self.made.elapsed().saturating_sub(Duration::from_millis(since)))
    }

    /// Whether there is a greatest age, and it is over or was never confirmed.
    pub(crate) fn is_stale(&self) -> bool {
        self.max.is_some_and(|limit| self.get().is_none_or(|age| age > limit))
    }
}
