//! Calls per minute, by the generic cell rate algorithm (GCRA): a bucket that is as large as a minute's calls, and fills
//! evenly.

use std::num::NonZeroU32;
use std::time::Duration;

use async_trait::async_trait;
use governor::clock::{Clock, DefaultClock};
use governor::{Quota, RateLimiter};
use shared_service::database::StoreError;

/// Counts calls under a name.
#[async_trait]
pub trait RateStore: Send + Sync {
    /// Counts one call, or says how long it has to wait, at most a minute.
    ///
    /// # Errors
    /// The store is unavailable.
    async fn pass(&self, name: &str) -> Result<Option<Duration>, StoreError>;
}

/// Counts in this process alone.
pub struct LocalRates {
    limiter: RateLimiter<String, governor::state::keyed::HashMapStateStore<String>, DefaultClock>,
}

impl LocalRates {
    /// So many calls a minute.
    #[must_use]
    pub fn new(per_minute: NonZeroU32) -> Self {
        Self { limiter: RateLimiter::hashmap(Quota::per_minute(per_minute)) }
    }

    /// Forgets the names without a call for a minute. To be called every minute or so.
    pub fn sweep(&self) {
        self.limiter.retain_recent();
        self.limiter.shrink_to_fit();
    }
}

#[async_trait]
impl RateStore for LocalRates {
    async fn pass(&self, name: &str) -> Result<Option<Duration>, StoreError> {
        let until = self.limiter.check_key(&name.to_owned()).err();
        Ok(until.map(|until| until.wait_time_from(DefaultClock::default().now())))
    }
}
