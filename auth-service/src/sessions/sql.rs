//! Sessions in an SQL database: each step is one statement, so racing callers are put in a row by the row they change.
//!
//! A statement that changes something is read to its end (`fetch_all`, never `fetch_one` or `fetch_optional`): those two
//! answer at the first row, before the commit is known to have succeeded.

use std::sync::Arc;
use std::sync::atomic::AtomicI64;
use std::time::Duration;

use async_trait::async_trait;
use shared_http::database::{LIMIT, StoreError, within};
use sqlx::any::AnyRow;
use sqlx::{AnyPool, Row};

use super::clock::DatabaseClock;
use super::session::{ms, newest_first};
use super::statements::{ADVANCE, END, END_ALL, LIST, OPEN, SWEEP};
use super::{Advance, FIRST_GENERATION, Label, NewSession, Rules, STORE, Session, SessionId, SessionStore};

/// The tables that [`SqlSessions`] needs, for `shared_http::database::open`.
pub const MIGRATIONS: [(&str, &str); 2] = [
    ("0002_sessions", include_str!("../../migrations/0002_sessions.sql")),
    ("0003_failures", include_str!("../../migrations/0003_failures.sql")),
];

/// Sessions in `SQLite` or Postgres.
pub struct SqlSessions {
    pub(super) pool: AnyPool,
    rules: Rules,
    keep_ended_ms: i64,
    pub(super) clock: DatabaseClock,
}

impl SqlSessions {
    /// Takes a database that has [`MIGRATIONS`].
    ///
    /// An ended session is kept for `keep_ended`: the life of an access token and the leeway its verifiers allow.
    ///
    /// # Errors
    /// The database's clock cannot be read.
    pub async fn new(pool: AnyPool, rules: Rules, keep_ended: Duration) -> Result<Self, StoreError> {
        // A statement tells its time before it waits for its turn, so an end may be that much later than it says.
        let keep_ended_ms = ms(keep_ended.saturating_add(LIMIT));
        let clock = DatabaseClock::default();
        clock.measure(&pool).await?;
        Ok(Self { pool, rules, keep_ended_ms, clock })
    }

    /// Adds `skew_ms`, whatever it is at each moment, to the store's clock. For tests.
    #[must_use]
    pub fn with_skew(mut self, skew_ms: Arc<AtomicI64>) -> Self {
        self.clock.skew_ms = skew_ms;
        self
    }

    /// Removes the sessions that expired, those that ended long enough ago, and failures that are forgotten, in batches so
    /// small that nobody waits for one; how many sessions. Also compares the clocks anew. To be called every minute or so,
    /// by any number of instances.
    ///
    /// # Errors
    /// The database is unavailable.
    pub async fn sweep(&self, batch: u32) -> Result<u64, StoreError> {
        self.clock.measure(&self.pool).await?;
        while batch > 0 && self.sweep_failures(batch).await? >= u64::from(batch) {}
        let mut swept = 0;
        loop {
            let rows = self.sweep_batch(batch).await?;
            swept += rows;
            if rows == 0 || rows < u64::from(batch) {
                return Ok(swept);
            }
        }
    }

    async fn sweep_batch(&self, batch: u32) -> Result<u64, StoreError> {
        let now = self.clock.now();
        let sweep = sqlx::query(SWEEP).bind(now).bind(now - self.keep_ended_ms).bind(i64::from(batch));
        Ok(within(STORE, sweep.execute(&self.pool)).await?.rows_affected())
    }
}

#[async_trait]
impl SessionStore for SqlSessions {
    async fn open(&self, new: NewSession) -> Result<Session, StoreError> {
        let session = opened(new, self.clock.now(), &self.rules);
        let insert = sqlx::query(OPEN)
            .bind(session.id.to_string())
            .bind(session.user_id.clone())
            .bind(session.generation)
            .bind(session.opened_at)
            .bind(session.idle_ends_at)
            .bind(session.ends_at)
            .bind(session.label.user_agent.clone())
            .bind(session.label.address.clone());
        within(STORE, insert.execute(&self.pool)).await?;
        Ok(session)
    }

    async fn advance(&self, user_id: &str, id: SessionId, presented: i64) -> Result<Advance, StoreError> {
        let now = self.clock.now();
        let update = sqlx::query(ADVANCE)
            .bind(id.to_string())
            .bind(user_id.to_owned())
            .bind(presented)
            .bind(now)
            .bind(now + ms(self.rules.refresh_ttl))
            .bind(ms(self.rules.grace))
            .bind(FIRST_GENERATION);
        let rows = within(STORE, update.fetch_all(&self.pool)).await?;
        rows.first().map_or(Ok(Advance::Gone), advanced)
    }

    async fn end(&self, user_id: &str, id: SessionId) -> Result<bool, StoreError> {
        let now = self.clock.now();
        let update = sqlx::query(END).bind(id.to_string()).bind(user_id.to_owned()).bind(now);
        let rows = within(STORE, update.fetch_all(&self.pool)).await?;
        Ok(alive(&rows, now)? > 0)
    }

    async fn end_all(&self, user_id: &str, except: Option<SessionId>) -> Result<u64, StoreError> {
        let now = self.clock.now();
        let except = except.map(|id| id.to_string()).unwrap_or_default();
        let update = sqlx::query(END_ALL).bind(user_id.to_owned()).bind(except).bind(now);
        let rows = within(STORE, update.fetch_all(&self.pool)).await?;
        alive(&rows, now)
    }

    async fn list(&self, user_id: &str) -> Result<Vec<Session>, StoreError> {
        let select = sqlx::query(LIST).bind(user_id.to_owned()).bind(self.clock.now());
        let rows = within(STORE, select.fetch_all(&self.pool)).await?;
        rows.iter().map(session).collect::<Result<_, _>>().map(newest_first)
    }

    async fn ping(&self) -> Result<(), StoreError> {
        within(STORE, sqlx::query("SELECT 1").execute(&self.pool)).await.map(drop)
    }
}

fn opened(new: NewSession, now: i64, rules: &Rules) -> Session {
    let ends_at = now + ms(rules.max_age);
    Session {
        id: SessionId::random(),
        user_id: new.user_id,
        generation: FIRST_GENERATION,
        opened_at: now,
        advanced_at: now,
        idle_ends_at: ends_at.min(now + ms(rules.refresh_ttl)),
        ends_at,
        label: new.label,
    }
}

/// The answer of [`ADVANCE`] where it met a living session.
fn advanced(row: &AnyRow) -> Result<Advance, StoreError> {
    let session = session(row)?;
    let (ended_at, repeats): (i64, i64) = (row.try_get("ended_at")?, row.try_get("repeats")?);
    Ok(match (ended_at, repeats) {
        (0, 0) => Advance::Advanced(session),
        (0, _) => Advance::Repeated(session),
        _ => Advance::Replayed,
    })
}

/// How many of the sessions just ended had not expired before.
fn alive(rows: &[AnyRow], now: i64) -> Result<u64, StoreError> {
    let mut alive = 0;
    for row in rows {
        alive += u64::from(row.try_get::<i64, _>("idle_ends_at")? > now);
    }
    Ok(alive)
}

fn session(row: &AnyRow) -> Result<Session, StoreError> {
    let id: String = row.try_get("id")?;
    let session = Session {
        id: id.parse().map_err(|error| StoreError::corrupt(STORE, format!("{id:?}: {error}")))?,
        user_id: row.try_get("user_id")?,
        generation: row.try_get("generation")?,
        opened_at: row.try_get("opened_at")?,
        advanced_at: row.try_get("advanced_at")?,
        idle_ends_at: row.try_get("idle_ends_at")?,
        ends_at: row.try_get("ends_at")?,
        label: Label { user_agent: row.try_get("user_agent")?, address: row.try_get("address")? },
    };
    session.checked()
}
