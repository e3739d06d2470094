//! Sessions in Redis: each step is one run of `script.lua`, and Redis runs one script at a time.

mod address;
mod checkup;
mod cluster;
mod limits;
mod link;
mod lua;
mod revocations;
mod sentinel;
mod slot;

use std::cmp::Reverse;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use async_trait::async_trait;
use redis::{ErrorKind, FromRedisValue, RedisError, RedisResult, ServerErrorKind, Value};
use shared_service::database::{StoreError, within};

use self::address::Kind;
pub use self::address::{NotAnAddress, RedisAddress};
pub use self::checkup::ServerFacts;
use self::cluster::Cluster;
pub use self::limits::RedisRates;
use self::link::{Connection, Link, Source};
use self::lua::{Lua, Step};
use self::revocations::keys;
use self::sentinel::Sentinels;
use super::revocations::keep_ms;
use super::session::{Place, ms};
use super::{Advance, Cursor, Label, MOST_SESSIONS, NewSession, News, Rules, STORE, Session, SessionId, SessionStore};

/// Sessions.
static SESSIONS: Lua = Lua::new(include_str!("script.lua"));

/// How often a step may be told to go elsewhere.
const REDIRECTIONS: usize = 3;

/// A session as the script replies it: id, user agent, address, generation, opened, advanced, issued, the end of its tokens,
/// idle end, end, and the time.
type Record = (String, String, String, i64, i64, i64, i64, i64, i64, i64, i64);

/// Sessions in Redis, version 7 or newer.
pub struct RedisSessions {
    masters: Masters,
    rules: Rules,
    most: usize,
    skew_ms: Arc<AtomicI64>,
}

/// Who takes the steps.
enum Masters {
    One(Arc<Link>),
    Many(Cluster),
}

impl RedisSessions {
    /// Connects in the background: whether Redis is there is what [`SessionStore::ping`] says. Needs a Tokio runtime.
    ///
    /// # Errors
    /// The address names no server.
    pub fn new(address: RedisAddress, rules: Rules) -> Result<Self, StoreError> {
        let one = |source| Masters::One(Arc::new(Link::open(source)));
        let masters = match address.0 {
            Kind::One(place) => one(Source::Fixed(place)),
            Kind::Sentinel { sentinels, name, node } => one(Source::Sentinels(Sentinels::new(sentinels, name, node))),
            Kind::Cluster(seeds) => {
                let cluster = Cluster::open(seeds).ok_or_else(|| StoreError::unavailable(STORE, NotAnAddress))?;
                Masters::Many(cluster)
            }
        };
        Ok(Self { masters, rules, most: MOST_SESSIONS, skew_ms: Arc::default() })
    }

    /// Adds `skew_ms`, whatever it is at each moment, to the store's clock. For tests.
    #[must_use]
    pub fn with_skew(mut self, skew_ms: Arc<AtomicI64>) -> Self {
        self.skew_ms = skew_ms;
        self
    }

    /// Lets no more than `most` sessions of a user live. For tests.
    #[must_use]
    pub const fn with_most(mut self, most: usize) -> Self {
        self.most = most;
        self
    }

    /// Takes one step on the sessions of `user_id`: on the one that it is `about`, if it may be there, and on the list of
    /// revocations beside them, if it may end one.
    async fn session_step<T: FromRedisValue>(
        &self,
        user_id: &str,
        name: &'static str,
        mut arguments: Vec<String>,
        (about, may_end): (Option<SessionId>, bool),
    ) -> Result<T, StoreError> {
        arguments.splice(..0, [user_id.to_owned(), keep_ms(self.rules.access_ttl).to_string(), self.most.to_string()]);
        let [index, list] = keys(user_id);
        let record = about.map(|id| format!("{index}:{id}"));
        let keys = std::iter::once(index).chain(record).chain(may_end.then_some(list)).collect();
        // A promise that a fail-over must keep, unless it only reads.
        let writes = name != "list";
        self.step(Step { script: &SESSIONS, keys, name, arguments, writes }).await
    }

    /// Takes one step of a script.
    async fn step<T: FromRedisValue>(&self, step: Step) -> Result<T, StoreError> {
        let reply = within(STORE, self.take(&step)).await?;
        redis::from_redis_value(reply).map_err(|error| StoreError::corrupt(STORE, error))
    }

    /// Goes where the key is. A redirection says that nothing ran: only then is anything sent again.
    async fn take(&self, step: &Step) -> Result<Value, StoreError> {
        let mut link = match &self.masters {
            Masters::One(link) => Arc::clone(link),
            Masters::Many(cluster) => cluster.link(&step.keys[0]).await?,
        };
        let mut asking = false;
        for _ in 0..REDIRECTIONS {
            let error = match self.run(link.connection().await?, step, asking).await {
                Err(error) => error,
                Ok(reply) => return Ok(reply),
            };
            asking = error.kind() == ErrorKind::Server(ServerErrorKind::Ask);
            let Some(next) = self.elsewhere(&error) else {
                self.doubt(&link);
                return Err(failed(error));
            };
            link = next;
        }
        Err(StoreError::unavailable(STORE, "no node takes the step"))
    }

    /// Redis forgets scripts, at a restart or when told to, so any run may have to bring the source along. `NOSCRIPT` says
    /// that nothing ran, too.
    async fn run(&self, mut redis: Connection, step: &Step, asking: bool) -> RedisResult<Value> {
        let skew_ms = self.skew_ms.load(Ordering::Relaxed);
        match redis.send(&step.command("EVALSHA", step.script.sha1(), skew_ms), step.writes, asking).await {
            Err(error) if error.kind() == ErrorKind::Server(ServerErrorKind::NoScript) => {
                redis.send(&step.command("EVAL", step.script.source, skew_ms), step.writes, asking).await
            }
            reply => reply,
        }
    }

    /// Where a redirection leads.
    fn elsewhere(&self, error: &RedisError) -> Option<Arc<Link>> {
        match (&self.masters, error.redirect_node()) {
            (Masters::Many(cluster), Some((node, _))) => cluster.redirected(node),
            _ => None,
        }
    }

    /// Whoever answers a step with an error may be master no more: this is found out now, not at the next pulse.
    fn doubt(&self, link: &Link) {
        link.doubt();
        if let Masters::Many(cluster) = &self.masters {
            cluster.doubt();
        }
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
        session(&new.user_id, self.session_step(&new.user_id, "open", arguments, (None, true)).await?)
    }

    async fn advance(&self, user_id: &str, id: SessionId, presented: i64) -> Result<Advance, StoreError> {
        let arguments = vec![
            id.to_string(),
            presented.to_string(),
            ms(self.rules.refresh_ttl).to_string(),
            ms(self.rules.grace).to_string(),
        ];
        // The list is a key more, which may be on its way to another node; so the step is on it only if it has to be.
        let mut reply: (String, Option<Record>) =
            self.session_step(user_id, "advance", arguments.clone(), (Some(id), false)).await?;
        if reply.0 == "list" {
            reply = self.session_step(user_id, "advance_or_end", arguments, (Some(id), true)).await?;
        }
        let (outcome, record) = reply;
        match (outcome.as_str(), record) {
            ("advanced", Some(record)) => session(user_id, record).map(Advance::Advanced),
            ("repeated", Some(record)) => session(user_id, record).map(Advance::Repeated),
            ("gone", None) => Ok(Advance::Gone),
            ("replayed", None) => Ok(Advance::Replayed),
            (outcome, _) => Err(StoreError::corrupt(STORE, format!("the script says {outcome:?}"))),
        }
    }

    async fn end(&self, user_id: &str, id: SessionId) -> Result<bool, StoreError> {
        self.session_step(user_id, "end", vec![id.to_string()], (Some(id), true)).await
    }

    async fn end_forgotten(&self, user_id: &str, id: SessionId) -> Result<(), StoreError> {
        let arguments = vec![id.to_string()];
        self.session_step::<i64>(user_id, "end_forgotten", arguments, (Some(id), true)).await.map(drop)
    }

    async fn end_all(&self, user_id: &str, except: Option<SessionId>) -> Result<u64, StoreError> {
        let except = except.map(|id| id.to_string()).unwrap_or_default();
        self.session_step(user_id, "end_all", vec![except], (None, true)).await
    }

    async fn cut_off(&self, user_id: &str) -> Result<(), StoreError> {
        self.session_step::<i64>(user_id, "cut_off", vec![], (None, true)).await.map(drop)
    }

    async fn revoked(&self, cursor: &Cursor) -> Result<News, StoreError> {
        self.news(cursor).await
    }

    async fn list(&self, user_id: &str, after: Option<Place>, limit: usize) -> Result<Vec<Session>, StoreError> {
        let records: Vec<Record> = self.session_step(user_id, "list", vec![], (None, false)).await?;
        let sessions = records.into_iter().map(|record| session(user_id, record));
        let mut sessions: Vec<_> = sessions.collect::<Result<_, _>>()?;
        sessions.retain(|session| after.is_none_or(|after| session.place() < after));
        sessions.sort_unstable_by_key(|session| Reverse(session.place()));
        sessions.truncate(limit);
        Ok(sessions.into_iter().map(|session| Session { issued_ahead: 0, ..session }).collect())
    }

    async fn ping(&self) -> Result<(), StoreError> {
        match &self.masters {
            Masters::One(link) => within(STORE, link.ping()).await,
            Masters::Many(cluster) => within(STORE, cluster.ping()).await,
        }
    }
}

fn session(user_id: &str, record: Record) -> Result<Session, StoreError> {
    let (id, user_agent, address, generation, opened_at, advanced_at, issued_at, _, idle_ends_at, ends_at, now) =
        record;
    let session = Session {
        id: id.parse().map_err(|error| StoreError::corrupt(STORE, format!("{id:?}: {error}")))?,
        user_id: user_id.to_owned(),
        generation,
        opened_at,
        advanced_at,
        issued_at,
        issued_ahead: issued_at - now,
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
