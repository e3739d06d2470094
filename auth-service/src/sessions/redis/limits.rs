use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use shared_service::database::StoreError;

use super::super::STORE;
use super::super::failures::{Attempt, FIRST_WAIT, FailureStore, LONGEST_WAIT, MEMORY};
use super::super::rates::RateStore;
use super::RedisSessions;
use super::lua::{Lua, Step};

/// Failures and rates; a name is a key of its own, wherever in a Cluster.
pub(super) static LIMITS: Lua = Lua::new(include_str!("limits.lua"));

impl RedisSessions {
    /// What a limit says is no promise that a fail-over must keep, so no replica is waited for.
    async fn limit(&self, key: String, name: &'static str, arguments: Vec<String>) -> Result<i64, StoreError> {
        self.step(Step { script: &LIMITS, keys: vec![key], name, arguments, writes: false }).await
    }

    async fn failures(
        &self,
        name: &str,
        step: &'static str,
        limit: u32,
        more: Option<String>,
    ) -> Result<i64, StoreError> {
        let numbers = [i64::from(limit), FIRST_WAIT, LONGEST_WAIT, MEMORY].map(|number| number.to_string());
        self.limit(format!("failures:{name}"), step, numbers.into_iter().chain(more).collect()).await
    }
}

#[async_trait]
impl FailureStore for RedisSessions {
    async fn attempt(&self, name: &str, limit: u32) -> Result<Attempt, StoreError> {
        match self.failures(name, "attempt", limit, None).await? {
            -1 => Ok(Attempt::Free),
            0 => Ok(Attempt::Single),
            wait => millis(wait).map(Attempt::Wait),
        }
    }

    async fn settle(&self, name: &str, limit: u32, success: bool) -> Result<Option<Duration>, StoreError> {
        let success = u8::from(success).to_string();
        match self.failures(name, "settle", limit, Some(success)).await? {
            0 => Ok(None),
            wait => millis(wait).map(Some),
        }
    }

    async fn forget(&self, name: &str) -> Result<(), StoreError> {
        self.failures(name, "forget", 0, None).await.map(drop)
    }
}

/// Counts in Redis, for all instances.
pub struct RedisRates {
    redis: Arc<RedisSessions>,
    per_minute: NonZeroU32,
}

impl RedisRates {
    /// So many calls a minute, wherever they go.
    #[must_use]
    pub const fn new(redis: Arc<RedisSessions>, per_minute: NonZeroU32) -> Self {
        Self { redis, per_minute }
    }
}

#[async_trait]
impl RateStore for RedisRates {
    async fn pass(&self, name: &str) -> Result<Option<Duration>, StoreError> {
        match self.redis.limit(format!("rate:{name}"), "pass", vec![self.per_minute.to_string()]).await? {
            0 => Ok(None),
            wait => millis(wait).map(Some),
        }
    }
}

fn millis(wait: i64) -> Result<Duration, StoreError> {
    let wait = u64::try_from(wait).map_err(|_| StoreError::corrupt(STORE, format!("the script says {wait}")))?;
    Ok(Duration::from_millis(wait))
}
