//! Sessions in an SQL database: each step is one statement, so racing callers are put in a row by the row they change.
//!
//! A statement that changes something is read to its end (`fetch_all`, never `fetch_one` or `fetch_optional`): those two
//! answer at the first row, before the commit is known to have succeeded.

use async_trait::async_trait;
use shared_claims::LEEWAY;
use shared_http::database::{StoreError, within};
use sqlx::any::AnyRow;
use sqlx::{AnyPool, Row};
use std::sync::Arc;
use std::sync::atomic::AtomicI64;

use super::clock::DatabaseClock;
use super::revocations::keep_ms;
use super::session::{ms, newest_first};
use super::sql_revocations::EVERY_SESSION;
use super::statements::{ADVANCE, END, END_ALL, END_FORGOTTEN, LIST, OPEN, SWEEP};
use super::{
    Advance, Cursor, FIRST_GENERATION, Label, NewSession, News, Rules, STORE, Session, SessionId, SessionStore,
};

/// The tables that [`SqlSessions`] needs, for `shared_http::database::open`.
pub const MIGRATIONS: [(&str, &str); 3] = [
    ("0002_sessions", include_str!("../../migrations/0002_sessions.sql")),
    ("0003_failures", include_str!("../../migrations/0003_failures.sql")),
    ("0004_revocations", include_str!("../../migrations/0004_revocations.sql")),
];

/// How far the clocks of two instances may differ, in milliseconds.
const LEEWAY_MS: i64 = LEEWAY.cast_signed() * 1000;

/// Sessions in `SQLite` or Postgres.
pub struct SqlSessions {
    pub(super) pool: AnyPool,
    rules: Rules,
    pub(super) clock: DatabaseClock,
}

impl SqlSessions {
    /// Takes a database that has [`MIGRATIONS`].
    ///
    /// # Errors
    /// The database is unavailable, or its clock cannot be read.
    pub async fn new(pool: AnyPool, rules: Rules) -> Result<Self, StoreError> {
        let clock = DatabaseClock::default();
        clock.measure(&pool).await?;
        let sessions = Self { pool, rules, clock };
        sessions.name_list().await?;
        Ok(sessions)
    }

    /// Adds `skew_ms`, whatever it is at each moment, to the store's clock. For tests.
    #[must_use]
    pub fn with_skew(mut self, skew_ms: Arc<AtomicI64>) -> Self {
        self.clock.skew_ms = skew_ms;
        self
    }

    /// Removes the sessions that expired, those whose end need not be listed any more, cut-offs likewise, and failures that
    /// are forgotten, in batches so small that nobody waits for one; how many sessions. Also compares the clocks anew. To be called every minute or so,
    /// by any number of instances.
    ///
    /// # Errors
    /// The database is unavailable.
    pub async fn sweep(&self, batch: u32) -> Result<u64, StoreError> {
        self.clock.measure(&self.pool).await?;
        while batch > 0 && self.sweep_failures(batch).await? >= u64::from(batch) {}
        while batch > 0 && self.sweep_cutoffs(batch).await? >= u64::from(batch) {}
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
        let sweep = sqlx::query(SWEEP).bind(self.clock.now()).bind(i64::from(batch));
        Ok(within(STORE, sweep.execute(&self.pool)).await?.rows_affected())
    }

    /// How long behind its date a token is listed, if it is revoked.
    pub(super) fn keep_ms(&self) -> i64 {
        keep_ms(self.rules.access_ttl)
    }
}

#[async_trait]
impl SessionStore for SqlSessions {
    async fn open(&self, new: NewSession) -> Result<Session, StoreError> {
        let mut session = opened(new, self.clock.now(), &self.rules);
        let insert = sqlx::query(OPEN)
            .bind(session.id.to_string())
            .bind(session.user_id.clone())
            .bind(session.generation)
            .bind(session.opened_at)
            .bind(session.idle_ends_at)
            .bind(session.ends_at)
            .bind(session.label.user_agent.clone())
            .bind(session.label.address.clone())
            .bind(self.keep_ms());
        let rows = within(STORE, insert.fetch_all(&self.pool)).await?;
        let row = rows.first().ok_or_else(|| StoreError::corrupt(STORE, "a session that was not inserted"))?;
        session.issued_at = row.try_get("issued_at")?;
        session.issued_ahead = session.issued_at - session.opened_at;
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
            .bind(FIRST_GENERATION)
            .bind(self.keep_ms())
            .bind(LEEWAY_MS);
        let rows = within(STORE, update.fetch_all(&self.pool)).await?;
        rows.first().map_or(Ok(Advance::Gone), |row| advanced(row, now))
    }

    async fn end(&self, user_id: &str, id: SessionId) -> Result<bool, StoreError> {
        let now = self.clock.now();
        let update = sqlx::query(END).bind(id.to_string()).bind(user_id.to_owned()).bind(now).bind(self.keep_ms());
        let rows = within(STORE, update.fetch_all(&self.pool)).await?;
        Ok(alive(&rows, now)? > 0)
    }

    async fn end_forgotten(&self, user_id: &str, id: SessionId) -> Result<(), StoreError> {
        let now = self.clock.now();
        let insert = sqlx::query(END_FORGOTTEN).bind(id.to_string()).bind(user_id).bind(now).bind(now + self.keep_ms());
        within(STORE, insert.execute(&self.pool)).await.map(drop)
    }

    async fn end_all(&self, user_id: &str, except: Option<SessionId>) -> Result<u64, StoreError> {
        let now = self.clock.now();
        let except = except.map(|id| id.to_string()).unwrap_or_default();
        within(STORE, async {
            let mut step = self.pool.begin().await?;
            // First, so that of two who do this for the same user one waits here, with nothing in hand.
            self.cut_off_in(&mut step, user_id, &except, now).await?;
            let update = sqlx::query(END_ALL).bind(user_id).bind(except.as_str()).bind(now).bind(self.keep_ms());
            let rows = update.fetch_all(&mut *step).await?;
            step.commit().await?;
            alive(&rows, now)
        })
        .await
    }

    async fn cut_off(&self, user_id: &str) -> Result<(), StoreError> {
        within(STORE, async {
            let mut step = self.pool.begin().await?;
            self.cut_off_in(&mut step, user_id, EVERY_SESSION, self.clock.now()).await?;
            Ok::<_, StoreError>(step.commit().await?)
        })
        .await
    }

    async fn revoked(&self, cursor: &Cursor) -> Result<News, StoreError> {
        self.news(cursor).await
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
        issued_at: now,
        issued_ahead: 0,
        idle_ends_at: ends_at.min(now + ms(rules.refresh_ttl)),
        ends_at,
        label: new.label,
    }
}

/// The answer of [`ADVANCE`] where it met a living session.
fn advanced(row: &AnyRow, now: i64) -> Result<Advance, StoreError> {
    let session = session(row)?;
    let session = Session { issued_ahead: session.issued_at - now, ..session };
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
        issued_at: row.try_get("issued_at")?,
        issued_ahead: 0,
        idle_ends_at: row.try_get("idle_ends_at")?,
        ends_at: row.try_get("ends_at")?,
        label: Label { user_agent: row.try_get("user_agent")?, address: row.try_get("address")? },
    };
    session.checked()
}
