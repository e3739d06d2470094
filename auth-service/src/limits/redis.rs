use std::time::Duration;

use async_trait::async_trait;
use shared_service::database::StoreError;

use super::failures::{Attempt, FIRST_WAIT, FailureStore, LONGEST_WAIT, MEMORY};
use crate::SESSION_STORE;
use crate::redis::{Lua, Redis, Step};

static LIMITS: Lua = Lua::new(include_str!("limits.lua"));

/// The store of failures in Redis.
pub struct RedisFailures(pub Redis);

impl RedisFailures {
    async fn run(&self, name: &str, what: &'static str, limit: u32, more: Option<String>) -> Result<i64, StoreError> {
        let numbers = [i64::from(limit), FIRST_WAIT, LONGEST_WAIT, MEMORY].map(|number| number.to_string());
        self.0.step(&step(format!("failures:{name}"), what, numbers.into_iter().chain(more).collect())).await
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

/// A step on a key in any slot. A limit need not survive a fail-over, so no replica has to acknowledge it.
pub(super) fn step(key: String, name: &'static str, arguments: Vec<String>) -> Step {
    Step { script: &LIMITS, keys: vec![key], name, arguments, replicated: None }
}

/// The wait from the script's reply, if there is one.
pub(super) fn wait(ms: i64) -> Result<Option<Duration>, StoreError> {
    let wait = u64::try_from(ms).map_err(|_| StoreError::corrupt(SESSION_STORE, format!("the script says {ms}")))?;
    Ok(Some(Duration::from_millis(wait)).filter(|wait| !wait.is_zero()))
}
