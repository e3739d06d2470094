use std::time::Duration;

use shared_claims::Revocations;

use super::metrics::Metrics;
use crate::settings::Settings;

/// The shortest useful interval between two polls.
const SHORTEST_POLL: Duration = Duration::from_millis(10);

/// The settings of the revocation list's poller.
#[derive(Clone, Copy, Debug)]
pub struct RevocationSettings {
    /// The time between two polls.
    pub poll: Duration,
    /// The age above which the list is stale and all tokens are refused; `None` for no limit.
    pub max_age: Option<Duration>,
}

impl RevocationSettings {
    /// Reads these settings.
    pub fn read(settings: &mut Settings) -> Self {
        let poll = settings.duration("REVOCATION_POLL", "1s", "Interval between two polls of the revocation list");
        if poll < SHORTEST_POLL {
            settings.wrong("REVOCATION_POLL", "must be 10ms at least");
        }
        let why = "Age of the revocation list at which calls become 503; 0 accepts any age";
        let max_age = settings.duration("REVOCATION_MAX_AGE", "0", why);
        if !max_age.is_zero() && max_age < 2 * poll {
            settings.wrong("REVOCATION_MAX_AGE", "must be 0, or twice REVOCATION_POLL at least");
        }
        Self { poll, max_age: Some(max_age).filter(|max_age| !max_age.is_zero()) }
    }

    /// Exports the age of `list` in seconds and its number of entries.
    #[must_use]
    pub fn export(metrics: Metrics, list: &Revocations) -> Metrics {
        let (aged, counted) = (list.clone(), list.clone());
        let help = "Age of the revocation list in seconds; infinite before the first read";
        let metrics = metrics.age(("revocation_feed_age_seconds", help), move || aged.age());
        let help = "Length of the revocation list";
        metrics.count(("revocation_entries", help), move || counted.len())
    }

    /// An empty revocation list for a [`BearerAuth`](shared_claims::BearerAuth).
    #[must_use]
    pub fn empty_list(&self) -> Revocations {
        Revocations::new(self.max_age)
    }
}
