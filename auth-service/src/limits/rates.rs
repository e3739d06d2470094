//! Calls per minute, by the generic cell rate algorithm (GCRA): a bucket with the calls of one minute, refilled evenly.

use std::num::NonZeroU32;
use std::time::Duration;

use governor::clock::{Clock, DefaultClock};
use governor::state::keyed::HashMapStateStore;
use governor::{Quota, RateLimiter};
use shared_service::database::StoreError;

use super::redis::{step, wait};
use crate::redis::Redis;

/// Counts calls under a name.
pub(crate) enum Rates {
    /// In this process only.
    Local(RateLimiter<String, HashMapStateStore<String>, DefaultClock>),
    /// In Redis, for all instances, which together allow this number of calls a minute.
    Redis(Redis, NonZeroU32),
}

impl Rates {
    /// Allows `per_minute` calls a minute, counted in this process only.
    pub(crate) fn local(per_minute: NonZeroU32) -> Self {
        Self::Local(RateLimiter::hashmap(Quota::per_minute(per_minute)))
    }

    /// Forgets names without a call for a minute. Call it about once a minute.
    pub(crate) fn sweep(&self) {
        if let Self::Local(limiter) = self {
            limiter.retain_recent();
            limiter.shrink_to_fit();
        }
    }

    /// Counts one call; returns the time to wait, at most a minute, if the limit is exceeded.
    pub(super) async fn pass(&self, name: &str) -> Result<Option<Duration>, StoreError> {
        match self {
            Self::Local(limiter) => {
                let until = limiter.check_key(&name.to_owned()).err();
                Ok(until.map(|until| until.wait_time_from(DefaultClock::default().now())))
            }
            Self::Redis(redis, per_minute) => {
                wait(Box::pin(redis.step(&step(format!("rate:{name}"), "pass", vec![per_minute.to_string()]))).await?)
            }
        }
    }
}
