//! Calls per minute, by the generic cell rate algorithm (GCRA): a bucket with the calls of one minute, refilled evenly.

use std::num::NonZeroU32;
use std::time::Duration;

use async_trait::async_trait;
use governor::clock::{Clock, DefaultClock};
use governor::{Quota, RateLimiter};
use shared_service::database::StoreError;

/// Counts calls under a name.
#[async_trait]
pub(crate) trait RateStore: Send + Sync {
    /// Counts one call; returns the time to wait, at most a minute, if the limit is exceeded.
    async fn pass(&self, name: &str) -> Result<Option<Duration>, StoreError>;
}

/// Counts in this process only.
pub(crate) struct LocalRates(RateLimiter<String, governor::state::keyed::HashMapStateStore<String>, DefaultClock>);

impl LocalRates {
    /// Allows `per_minute` calls a minute.
    pub(crate) fn new(per_minute: NonZeroU32) -> Self {
        Self(RateLimiter::hashmap(Quota::per_minute(per_minute)))
    }

    /// Forgets names without a call for a minute. Call it about once a minute.
    pub fn sweep(&self) {
        self.0.retain_recent();
        self.0.shrink_to_fit();
    }
}

#[async_trait]
impl RateStore for LocalRates {
    async fn pass(&self, name: &str) -> Result<Option<Duration>, StoreError> {
        let until = self.0.check_key(&name.to_owned()).err();
        Ok(until.map(|until| until.wait_time_from(DefaultClock::default().now())))
    }
}
