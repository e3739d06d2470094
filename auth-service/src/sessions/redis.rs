//! Sessions in Redis: each step is one run of `sessions.lua`.

use std::cmp::Reverse;

use async_trait::async_trait;
use redis::FromRedisValue;
use shared_service::database::StoreError;

use super::session::{SessionPosition, ms};
use super::{Changes, Cursor, Label, MOST_SESSIONS, Rotation, Rules, Session, SessionId, SessionStore};
use crate::SESSION_STORE;
use crate::redis::{Lua, Redis, Shard, Step};
use crate::revocations::redis::{self as revocations, list_key};

static SESSIONS: Lua = Lua::new(include_str!("sessions.lua"));

/// A session in the script's reply: id, label, and numbers, the first two of which are clock and notBefore.
type Record = (String, String, String, [i64; 9]);

/// The store of sessions in Redis.
pub struct RedisSessions {
    redis: Redis,
    rules: Rules,
    most: usize,
}

impl RedisSessions {
    /// Creates the store on a connection that other stores share.
    #[must_use]
    pub fn on(redis: Redis, rules: Rules) -> Self {
        Self { redis, rules, most: MOST_SESSIONS }
    }

    /// Limits the number of live sessions per user to `most`. For tests.
    #[must_use]
    pub const fn with_most(mut self, most: usize) -> Self {
        self.most = most;
        self
    }

    /// Runs one step on the sessions of `user_id`, and on the `record` of one. Unless it only reads, its result survives
    /// a fail-over.
    async fn step<T: FromRedisValue>(
        &self,
        user_id: &str,
        name: &'static str,
        record: Option<SessionId>,
        mut arguments: Vec<String>,
    ) -> Result<T, StoreError> {
        let (shard, keep) = (Shard::of(user_id), self.rules.keep_ms());
        arguments.splice(..0, [user_id.to_owned(), keep.to_string(), self.most.to_string()]);
        let index = format!("{}:{user_id}", shard.key("sessions"));
        let record = record.map(|id| format!("{index}:{id}"));
        // Named only if needed: a step may fail on a further key while the slot is moving.
        let list = (!matches!(name, "list" | "rotate")).then(|| list_key(shard));
        let keys = std::iter::once(index).chain(record).chain(list).collect();
        let replicated = (name != "list").then_some(shard);
        self.redis.step(&Step { script: &SESSIONS, keys, name, arguments, replicated }).await
    }
}

#[async_trait]
impl SessionStore for RedisSessions {
    async fn open(&self, user_id: &str, label: Label) -> Result<Session, StoreError> {
        let arguments = vec![
            SessionId::random().to_string(),
            ms(self.rules.refresh_ttl).to_string(),
            ms(self.rules.max_age).to_string(),
            label.user_agent,
            label.address,
        ];
        session(user_id, self.step(user_id, "open", None, arguments).await?)
    }

    async fn rotate(&self, user_id: &str, id: SessionId, presented: i64) -> Result<Rotation, StoreError> {
        let arguments = vec![
            id.to_string(),
            presented.to_string(),
            ms(self.rules.refresh_ttl).to_string(),
            ms(self.rules.grace).to_string(),
        ];
        let mut reply: (String, Option<Record>) = self.step(user_id, "rotate", Some(id), arguments.clone()).await?;
        if reply.0 == "list" {
            reply = self.step(user_id, "rotate_or_end", Some(id), arguments).await?;
        }
        match (reply.0.as_str(), reply.1) {
            ("rotated", Some(record)) => session(user_id, record).map(Rotation::Rotated),
            ("retried", Some(record)) => session(user_id, record).map(Rotation::Retried),
            ("unknown", None) => Ok(Rotation::Unknown),
            ("reused", None) => Ok(Rotation::Reused),
            (outcome, _) => Err(StoreError::corrupt(SESSION_STORE, format!("the script says {outcome:?}"))),
        }
    }

    async fn end(&self, user_id: &str, id: SessionId) -> Result<bool, StoreError> {
        self.step(user_id, "end", Some(id), vec![id.to_string()]).await
    }

    async fn end_forgotten(&self, user_id: &str, id: SessionId) -> Result<(), StoreError> {
        self.step::<i64>(user_id, "end_forgotten", Some(id), vec![id.to_string()]).await.map(drop)
    }

    async fn end_all(&self, user_id: &str, except: Option<SessionId>) -> Result<u64, StoreError> {
        let except = except.map(|id| id.to_string()).unwrap_or_default();
        self.step(user_id, "end_all", None, vec![except]).await
    }

    async fn revoke_access_tokens(&self, user_id: &str) -> Result<(), StoreError> {
        self.step::<i64>(user_id, "revoke_access_tokens", None, vec![]).await.map(drop)
    }

    async fn revoked(&self, cursor: &Cursor) -> Result<Changes, StoreError> {
        revocations::read(&self.redis, cursor).await
    }

    async fn list(
        &self,
        user_id: &str,
        after: Option<SessionPosition>,
        limit: usize,
    ) -> Result<Vec<Session>, StoreError> {
        let records: Vec<Record> = self.step(user_id, "list", None, vec![]).await?;
        let sessions = records.into_iter().map(|record| session(user_id, record));
        let mut sessions: Vec<_> = sessions.collect::<Result<_, _>>()?;
        sessions.retain(|session| after.is_none_or(|after| session.position() < after));
        sessions.sort_unstable_by_key(|session| Reverse(session.position()));
        sessions.truncate(limit);
        Ok(sessions.into_iter().map(|session| Session { issued_ahead: 0, ..session }).collect())
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.redis.ping().await
    }
}

fn session(user_id: &str, (id, user_agent, address, numbers): Record) -> Result<Session, StoreError> {
    let [now, not_before, generation, opened_at, rotated_at, issued_at, _, idle_ends_at, ends_at] = numbers;
    let session = Session {
        id: id.parse().map_err(|error| StoreError::corrupt(SESSION_STORE, format!("{id:?}: {error}")))?,
        user_id: user_id.to_owned(),
        generation,
        opened_at,
        rotated_at,
        issued_at,
        issued_ahead: issued_at - now,
        idle_ends_at,
        ends_at,
        is_user_revoked: not_before > 0,
        label: Label { user_agent, address },
    };
    session.checked()
}
