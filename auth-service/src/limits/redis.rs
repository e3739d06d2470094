use std::num::NonZeroU32;
use std::time::Duration;

use async_trait::async_trait;
use shared_service::database::StoreError;

use super::failures::{Attempt, FIRST_WAIT, FailureStore, LONGEST_WAIT, MEMORY};
use super::rates::RateStore;
use crate::SESSION_STORE;
use crate::redis::{Lua, Redis, Step};

static LIMITS: Lua = Lua::new(include_str!("limits.lua"));

/// The store of failures in Redis.
pub struct RedisFailures(pub Redis);

/// The store of calls per minute in Redis, for all instances.
pub(crate) struct RedisRates {
    pub(crate) redis: Redis,
    /// The number of calls a minute that it allows, over all instances.
    pub(crate) per_minute: NonZeroU32,
}

#[async_trait]
impl RateStore for RedisRates {
    async fn pass(&self, name: &str) -> Result<Option<Duration>, StoreError> {
        let arguments = vec![self.per_minute.to_string()];
        wait(run(&self.redis, format!("rate:{name}"), "pass", arguments).await?)
    }
}

impl RedisFailures {
    async fn run(&self, name: &str, step: &'static str, limit: u32, more: Option<String>) -> Result<i64, StoreError> {
        let numbers = [i64::from(limit), FIRST_WAIT, LONGEST_WAIT, MEMORY].map(|number| number.to_string());
        run(&self.0, format!("failures:{name}"), step, numbers.into_iter().chain(more).collect()).await
    }
}

#[async_trait]
impl FailureStore for RedisFailures {
    async fn attempt(&self, name: &str, limit: u32) -> Result<Attempt, StoreError> {
        match self.run(name, "attempt", limit, None).await? {
            -1 => Ok(Attempt::Free),
            answer => wait(answer).map(|wait| wait.map_or(Attempt::Single, Attempt::Wait)),
        }
    }

    async fn settle(&self, name: &str, limit: u32, success: bool) -> Result<Option<Duration>, StoreError> {
        wait(self.run(name, "settle", limit, Some(u8::from(success).to_string())).await?)
    }

    async fn forget(&self, name: &str) -> Result<(), StoreError> {
        self.run(name, "forget", 0, None).await.map(drop)
    }
}

/// Runs one step on a key in any slot. A limit need not survive a fail-over, so no replica has to acknowledge it.
async fn run(redis: &Redis, key: String, name: &'static str, arguments: Vec<String>) -> Result<i64, StoreError> {
    redis.step(&Step { script: &LIMITS, keys: vec![key], name, arguments, replicated: None }).await
}

/// The wait from the script's reply, if there is one.
fn wait(ms: i64) -> Result<Option<Duration>, StoreError> {
    let wait = u64::try_from(ms).map_err(|_| StoreError::corrupt(SESSION_STORE, format!("the script says {ms}")))?;
    Ok(Some(Duration::from_millis(wait)).filter(|wait| !wait.is_zero()))
}
