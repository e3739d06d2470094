//! Sessions in an SQL database: each step is a transaction that begins with the turn of the user, so racing callers are put in a row.
//!
//! A statement that changes something is read to its end (`fetch_all`, never `fetch_one` or `fetch_optional`): those two
//! answer at the first row, before the commit is known to have succeeded.

use async_trait::async_trait;
use shared_service::database::{Database, StoreError, within};
use sqlx::Row;
use sqlx::any::AnyRow;
use std::sync::Arc;
use std::sync::atomic::AtomicI64;

use super::clock::DatabaseClock;
use super::revocations::keep_ms;
use super::session::ms;
use super::sql_turn::{GoesOn, Lanes};
use super::statements::{ADVANCE, END, END_FORGOTTEN, LIST, OPEN, SWEEP, SWEEP_ERAS};
use super::{
    Advance, Cursor, FIRST_GENERATION, Label, MOST_SESSIONS, NewSession, News, Place, Rules, STORE, Session, SessionId,
    SessionStore,
};

/// The tables that [`SqlSessions`] needs, for `shared_service::database::open`.
pub const MIGRATIONS: [(&str, &str); 4] = [
    ("0002_sessions", include_str!("../../migrations/0002_sessions.sql")),
    ("0003_failures", include_str!("../../migrations/0003_failures.sql")),
    ("0004_revocations", include_str!("../../migrations/0004_revocations.sql")),
    ("0005_session_ends", include_str!("../../migrations/0005_session_ends.sql")),
];

/// Sessions in `SQLite` or Postgres.
pub struct SqlSessions {
    pub(super) pool: Database,
    rules: Rules,
    pub(super) most: usize,
    pub(super) lanes: Lanes,
    pub(super) clock: DatabaseClock,
}

impl SqlSessions {
    /// Takes a database that has [`MIGRATIONS`].
    ///
    /// # Errors
    /// The database is unavailable, or its clock cannot be read.
    pub async fn new(pool: Database, rules: Rules) -> Result<Self, StoreError> {
        let clock = DatabaseClock::default();
        clock.measure(&pool).await?;
        let sessions = Self { pool, rules, most: MOST_SESSIONS, lanes: Lanes::default(), clock };
        sessions.name_list().await?;
        Ok(sessions)
    }

    /// Adds `skew_ms`, whatever it is at each moment, to the store's clock. For tests.
    #[must_use]
    pub fn with_skew(mut self, skew_ms: Arc<AtomicI64>) -> Self {
        self.clock.skew_ms = skew_ms;
        self
    }

    /// Lets no more than `most` sessions of a user live. For tests.
    #[must_use]
    pub const fn with_most(mut self, most: usize) -> Self {
        self.most = most;
        self
    }

    /// Removes the sessions that expired, those that ended with all of their user, those whose end need not be listed any more, cut-offs
    /// likewise, and failures that are forgotten, in batches so small that nobody waits for one; how many sessions. Also compares the
    /// clocks anew. To be called every minute or so, by any number of instances.
    ///
    /// # Errors
    /// The database is unavailable.
    pub async fn sweep(&self, batch: u32) -> Result<u64, StoreError> {
        self.clock.measure(&self.pool).await?;
        while batch > 0 && self.sweep_failures(batch).await? >= u64::from(batch) {}
        while batch > 0 && self.sweep_cutoffs(batch).await? >= u64::from(batch) {}
        let mut swept = 0;
        for statement in [SWEEP, SWEEP_ERAS] {
            loop {
                let sweep = sqlx::query(statement).bind(self.clock.now()).bind(i64::from(batch));
                let rows = within(STORE, self.pool.sweep(sweep)).await?;
                swept += rows;
                if rows == 0 || rows < u64::from(batch) {
                    break;
                }
            }
        }
        Ok(swept)
    }

    /// How long behind its date a token is listed, if it is revoked.
    pub(super) fn keep_ms(&self) -> i64 {
        keep_ms(self.rules.access_ttl)
    }
}

#[async_trait]
impl SessionStore for SqlSessions {
    async fn open(&self, new: NewSession) -> Result<Session, StoreError> {
        within(STORE, async {
            let user_id = new.user_id.clone();
            let mut turn = self.turn(&user_id).await?;
            turn.make_room().await?;
            let session = opened(new, turn.now, turn.date(), &self.rules);
            let insert = sqlx::query(OPEN)
                .bind(session.id.to_string())
                .bind(&session.user_id)
                .bind(session.generation)
                .bind(session.opened_at)
                .bind(session.idle_ends_at)
                .bind(session.ends_at)
                .bind(&session.label.user_agent)
                .bind(&session.label.address)
                .bind(session.issued_at)
                .bind(session.issued_at + turn.keep_ms())
                .bind(turn.era);
            insert.execute(&mut *turn.step).await?;
            turn.commit().await?;
            Ok::<_, StoreError>(session)
        })
        .await
    }

    async fn advance(&self, user_id: &str, id: SessionId, presented: i64) -> Result<Advance, StoreError> {
        within(STORE, async {
            let mut turn = self.turn(user_id).await?;
            let now = turn.now;
            let update = sqlx::query(ADVANCE)
                .bind(id.to_string())
                .bind(user_id)
                .bind(presented)
                .bind(now)
                .bind(now + ms(self.rules.refresh_ttl))
                .bind(ms(self.rules.grace))
                .bind(FIRST_GENERATION)
                .bind(turn.date())
                .bind(turn.latest())
                .bind(turn.date() + turn.keep_ms())
                .bind(turn.era);
            let rows = update.fetch_all(&mut *turn.step).await?;
            let outcome = rows.first().map_or(Ok(Advance::Gone), |row| advanced(row, now))?;
            turn.commit().await?;
            Ok::<_, StoreError>(outcome)
        })
        .await
    }

    async fn end(&self, user_id: &str, id: SessionId) -> Result<bool, StoreError> {
        let now = self.clock.now();
        let update = sqlx::query(END).bind(id.to_string()).bind(user_id).bind(now).bind(self.keep_ms());
        let rows = within(STORE, update.fetch_all(&self.pool)).await?;
        let idle_ends_at = rows.first().map(|row| row.try_get::<i64, _>("idle_ends_at")).transpose()?;
        Ok(idle_ends_at.is_some_and(|idle_ends_at| idle_ends_at > now))
    }

    async fn end_forgotten(&self, user_id: &str, id: SessionId) -> Result<(), StoreError> {
        let now = self.clock.now();
        let insert = sqlx::query(END_FORGOTTEN).bind(id.to_string()).bind(user_id).bind(now).bind(now + self.keep_ms());
        within(STORE, insert.execute(&self.pool)).await.map(drop)
    }

    async fn end_all(&self, user_id: &str, except: Option<SessionId>) -> Result<u64, StoreError> {
        within(STORE, async {
            let mut turn = self.turn(user_id).await?;
            let goes_on = GoesOn::One(except.map(|id| id.to_string()).unwrap_or_default());
            let ended = turn.end_all_but(&goes_on).await?;
            turn.commit().await?;
            Ok::<_, StoreError>(ended)
        })
        .await
    }

    async fn cut_off(&self, user_id: &str) -> Result<(), StoreError> {
        within(STORE, async {
            let mut turn = self.turn(user_id).await?;
            turn.cut_off().await?;
            turn.commit().await
        })
        .await
    }

    async fn revoked(&self, cursor: &Cursor) -> Result<News, StoreError> {
        self.news(cursor).await
    }

    async fn list(&self, user_id: &str, after: Option<Place>, limit: usize) -> Result<Vec<Session>, StoreError> {
        let (opened_at, id) = after.map_or((i64::MAX, String::new()), |(opened_at, id)| (opened_at, id.to_string()));
        let select = sqlx::query(LIST).bind(user_id).bind(self.clock.now()).bind(opened_at).bind(id);
        let select = select.bind(i64::try_from(limit).unwrap_or(i64::MAX));
        let rows = within(STORE, async { select.fetch_all(&mut *self.pool.list().await?).await }).await?;
        rows.iter().map(session).collect()
    }

    async fn ping(&self) -> Result<(), StoreError> {
        within(STORE, sqlx::query("SELECT 1").execute(&self.pool)).await.map(drop)
    }
}

fn opened(new: NewSession, now: i64, issued_at: i64, rules: &Rules) -> Session {
    let ends_at = now + ms(rules.max_age);
    Session {
        id: SessionId::random(),
        user_id: new.user_id,
        generation: FIRST_GENERATION,
        opened_at: now,
        advanced_at: now,
        issued_at,
        issued_ahead: issued_at - now,
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
