//! Sessions in Redis: each step is one run of `redis.lua`, and Redis runs one script at a time.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use async_trait::async_trait;
use redis::aio::MultiplexedConnection;
use redis::{Client, Cmd, ErrorKind, FromRedisValue, RedisError, RedisResult, Script, ServerErrorKind, Value};
use shared_http::database::{StoreError, within};

use super::link::{Link, ping};
use super::session::{ms, newest_first};
use super::{Advance, Label, NewSession, Rules, STORE, Session, SessionId, SessionStore};

const SOURCE: &str = include_str!("redis.lua");

/// A session as the script replies it: id, user agent, address, generation, opened, advanced, idle end, end.
type Record = (String, String, String, i64, i64, i64, i64, i64);

/// Sessions in Redis, version 7 or newer.
pub struct RedisSessions {
    link: Link,
    rules: Rules,
    sha1: String,
    skew_ms: Arc<AtomicI64>,
}

impl RedisSessions {
    /// Takes the address of one server, `redis://[user:password@]host:port/db`, and connects to it in the background:
    /// whether it is there is what [`SessionStore::ping`] says. Needs a Tokio runtime.
    ///
    /// # Errors
    /// `url` is no such address.
    pub fn new(url: &str, rules: Rules) -> Result<Self, StoreError> {
        let client = Client::open(url).map_err(failed)?;
        let sha1 = Script::new(SOURCE).get_hash().to_owned();
        Ok(Self { link: Link::open(client), rules, sha1, skew_ms: Arc::default() })
    }

    /// Adds `skew_ms`, whatever it is at each moment, to the store's clock. For tests.
    #[must_use]
    pub fn with_skew(mut self, skew_ms: Arc<AtomicI64>) -> Self {
        self.skew_ms = skew_ms;
        self
    }

    /// Takes one step of the script on the sessions of `user_id`.
    async fn step<T: FromRedisValue>(&self, user_id: &str, step: Step) -> Result<T, StoreError> {
        let reply = within(STORE, async {
            let connection = self.link.connection().await?;
            self.run(connection, user_id, &step).await.map_err(failed)
        });
        redis::from_redis_value(reply.await?).map_err(|error| StoreError::corrupt(STORE, error))
    }

    /// Redis forgets scripts, at a restart or when told to, so any run may have to bring the source along. `NOSCRIPT` says
    /// that nothing ran: only then is anything sent again.
    async fn run(&self, mut connection: MultiplexedConnection, user_id: &str, step: &Step) -> RedisResult<Value> {
        let skew_ms = self.skew_ms.load(Ordering::Relaxed);
        let known = step.command("EVALSHA", &self.sha1, user_id, skew_ms);
        match known.query_async(&mut connection).await {
            Err(error) if error.kind() == ErrorKind::Server(ServerErrorKind::NoScript) => {
                step.command("EVAL", SOURCE, user_id, skew_ms).query_async(&mut connection).await
            }
            reply => reply,
        }
    }
}

/// A step of the script: its name and its arguments.
struct Step(&'static str, Vec<String>);

impl Step {
    /// All keys of a user carry `{user}`: a cluster keeps them in one slot, and the script may derive one from another.
    fn command(&self, verb: &str, script: &str, user_id: &str, skew_ms: i64) -> Cmd {
        let index = format!("sessions:{{{user_id}}}");
        let mut command = redis::cmd(verb);
        command.arg(script).arg(1).arg(index).arg(self.0).arg(skew_ms).arg(&self.1);
        command
    }
}

#[async_trait]
impl SessionStore for RedisSessions {
    async fn open(&self, new: NewSession) -> Result<Session, StoreError> {
        let arguments = vec![
            SessionId::random().to_string(),
            ms(self.rules.refresh_ttl).to_string(),
            ms(self.rules.max_age).to_string(),
            new.label.user_agent,
            new.label.address,
        ];
        session(&new.user_id, self.step(&new.user_id, Step("open", arguments)).await?)
    }

    async fn advance(&self, user_id: &str, id: SessionId, presented: i64) -> Result<Advance, StoreError> {
        let arguments = vec![
            id.to_string(),
            presented.to_string(),
            ms(self.rules.refresh_ttl).to_string(),
            ms(self.rules.grace).to_string(),
        ];
        let (outcome, record): (String, Option<Record>) = self.step(user_id, Step("advance", arguments)).await?;
        match (outcome.as_str(), record) {
            ("advanced", Some(record)) => session(user_id, record).map(Advance::Advanced),
            ("repeated", Some(record)) => session(user_id, record).map(Advance::Repeated),
            ("gone", None) => Ok(Advance::Gone),
            ("replayed", None) => Ok(Advance::Replayed),
            (outcome, _) => Err(StoreError::corrupt(STORE, format!("the script says {outcome:?}"))),
        }
    }

    async fn end(&self, user_id: &str, id: SessionId) -> Result<bool, StoreError> {
        self.step(user_id, Step("end", vec![id.to_string()])).await
    }

    async fn end_all(&self, user_id: &str, except: Option<SessionId>) -> Result<u64, StoreError> {
        let except = except.map(|id| id.to_string()).unwrap_or_default();
        self.step(user_id, Step("end_all", vec![except])).await
    }

    async fn list(&self, user_id: &str) -> Result<Vec<Session>, StoreError> {
        let records: Vec<Record> = self.step(user_id, Step("list", vec![])).await?;
        records.into_iter().map(|record| session(user_id, record)).collect::<Result<_, _>>().map(newest_first)
    }

    async fn ping(&self) -> Result<(), StoreError> {
        within(STORE, async {
            let mut connection = self.link.connection().await?;
            ping(&mut connection).await.map_err(failed)
        })
        .await
    }
}

fn session(user_id: &str, record: Record) -> Result<Session, StoreError> {
    let (id, user_agent, address, generation, opened_at, advanced_at, idle_ends_at, ends_at) = record;
    let session = Session {
        id: id.parse().map_err(|error| StoreError::corrupt(STORE, format!("{id:?}: {error}")))?,
        user_id: user_id.to_owned(),
        generation,
        opened_at,
        advanced_at,
        idle_ends_at,
        ends_at,
        label: Label { user_agent, address },
    };
    session.checked()
}

/// A record that is no session, by the script's word or by its type in Redis, is corrupt; everything else is an outage.
fn failed(error: RedisError) -> StoreError {
    match error.code() {
        Some("CORRUPT" | "WRONGTYPE") => StoreError::corrupt(STORE, error),
        _ => StoreError::unavailable(STORE, error),
    }
}
