//! Sessions in an SQL database. Each step is a transaction that first locks the row of its user, which serializes
//! concurrent calls.

mod group;
mod lock;
mod statements;

use async_trait::async_trait;
use shared_service::database::{StoreError, within};

use self::group::Group;
use self::lock::{Kept, LockedUser, UserQueues};
use self::statements::{COUNT_OPEN, END, END_FORGOTTEN, LIST, OPEN, SWEEP, SWEEP_ERAS, session};
use super::session::ms;
use super::{
    Changes, Cursor, FIRST_GENERATION, Label, MOST_SESSIONS, Rotation, Rules, Session, SessionId, SessionPosition,
    SessionStore,
};
use crate::SESSION_STORE;
use crate::revocations;
use crate::sql::SqlStore;

/// The store of sessions in `SQLite` or Postgres.
pub struct SqlSessions {
    store: SqlStore,
    rules: Rules,
    most: usize,
    queues: UserQueues,
    /// Commits concurrent rotations together, if the database has one writer at a time.
    group: Option<Group>,
}

impl SqlSessions {
    /// Creates the store in a database that other stores share.
    ///
    /// # Errors
    /// The database is unavailable.
    pub async fn on(store: SqlStore, rules: Rules) -> Result<Self, StoreError> {
        revocations::sql::give_name(&store).await?;
        let group = Group::start(&store, rules);
        Ok(Self { store, rules, most: MOST_SESSIONS, queues: UserQueues::default(), group })
    }

    /// Limits the number of live sessions per user to `most`. For tests.
    #[must_use]
    pub const fn with_most(mut self, most: usize) -> Self {
        self.most = most;
        self
    }

    /// Counts the live sessions of all users.
    ///
    /// # Errors
    /// The database is unavailable.
    pub async fn count_open(&self) -> Result<i64, StoreError> {
        let count = sqlx::query_scalar(COUNT_OPEN).bind(self.store.now());
        within(SESSION_STORE, async { count.fetch_one(&mut *self.store.pool.begin_list().await?).await }).await
    }

    /// Deletes expired sessions, sessions ended together with all others of their user, and expired revocations, in
    /// batches so small that no call waits for one. Returns the number of sessions. Also measures the clock difference.
    /// Call it about once a minute, from any number of instances.
    ///
    /// # Errors
    /// The database is unavailable.
    pub async fn sweep(&self, batch: u32) -> Result<u64, StoreError> {
        self.store.measure().await?;
        self.store.sweep(revocations::sql::SWEEP, batch).await?;
        Ok(self.store.sweep(SWEEP, batch).await? + self.store.sweep(SWEEP_ERAS, batch).await?)
    }

    /// Waits for the lock of `user_id`.
    async fn lock<'a>(&'a self, user_id: &'a str) -> Result<LockedUser<'a>, StoreError> {
        self.queues.lock(&self.store, user_id, self.rules, self.most).await
    }
}

#[async_trait]
impl SessionStore for SqlSessions {
    async fn open(&self, user_id: &str, label: Label) -> Result<Session, StoreError> {
        within(SESSION_STORE, async {
            let mut user = self.lock(user_id).await?;
            user.make_room().await?;
            let session = opened(user_id, label, user.now, user.date(), &self.rules);
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
                .bind(session.issued_at + self.rules.keep_ms())
                .bind(user.era);
            insert.execute(&mut *user.transaction).await?;
            user.transaction.commit().await?;
            Ok::<_, StoreError>(session)
        })
        .await
    }

    async fn rotate(&self, user_id: &str, id: SessionId, presented: i64) -> Result<Rotation, StoreError> {
        within(SESSION_STORE, async {
            if let Some(group) = &self.group {
                return group.rotate(user_id, id, presented).await;
            }
            let mut user = self.lock(user_id).await?;
            let outcome = user.rotate(id, presented).await?;
            user.transaction.commit().await?;
            Ok(outcome)
        })
        .await
    }

    async fn end(&self, user_id: &str, id: SessionId) -> Result<bool, StoreError> {
        let now = self.store.now();
        let update = sqlx::query_scalar(END).bind(id.to_string()).bind(user_id).bind(now).bind(self.rules.keep_ms());
        let idle_ends_at: Option<i64> = within(SESSION_STORE, update.fetch_optional(&self.store.pool)).await?;
        Ok(idle_ends_at.is_some_and(|idle_ends_at| idle_ends_at > now))
    }

    async fn end_forgotten(&self, user_id: &str, id: SessionId) -> Result<(), StoreError> {
        let now = self.store.now();
        let insert =
            sqlx::query(END_FORGOTTEN).bind(id.to_string()).bind(user_id).bind(now).bind(now + self.rules.keep_ms());
        within(SESSION_STORE, insert.execute(&self.store.pool)).await.map(drop)
    }

    async fn end_all(&self, user_id: &str, except: Option<SessionId>) -> Result<u64, StoreError> {
        within(SESSION_STORE, async {
            let mut user = self.lock(user_id).await?;
            let except = Kept::One(except.map(|id| id.to_string()).unwrap_or_default());
            let ended = user.end_all_but(&except).await?;
            user.transaction.commit().await?;
            Ok::<_, StoreError>(ended)
        })
        .await
    }

    async fn revoke_access_tokens(&self, user_id: &str) -> Result<(), StoreError> {
        within(SESSION_STORE, async {
            let mut user = self.lock(user_id).await?;
            user.revoke_tokens().await?;
            Ok::<_, StoreError>(user.transaction.commit().await?)
        })
        .await
    }

    async fn revoked(&self, cursor: &Cursor) -> Result<Changes, StoreError> {
        revocations::sql::read(&self.store, cursor).await
    }

    async fn list(
        &self,
        user_id: &str,
        after: Option<SessionPosition>,
        limit: usize,
    ) -> Result<Vec<Session>, StoreError> {
        let (opened_at, id) = after.map_or((i64::MAX, String::new()), |(opened_at, id)| (opened_at, id.to_string()));
        let select = sqlx::query(LIST).bind(user_id).bind(self.store.now()).bind(opened_at).bind(id);
        let select = select.bind(i64::try_from(limit).unwrap_or(i64::MAX));
        let rows =
            within(SESSION_STORE, async { select.fetch_all(&mut *self.store.pool.begin_list().await?).await }).await?;
        rows.iter().map(session).collect()
    }

    async fn ping(&self) -> Result<(), StoreError> {
        within(SESSION_STORE, sqlx::query("SELECT 1").execute(&self.store.pool)).await.map(drop)
    }
}

fn opened(user_id: &str, label: Label, now: i64, issued_at: i64, rules: &Rules) -> Session {
    let ends_at = now + ms(rules.max_age);
    Session {
        id: SessionId::random(),
        user_id: user_id.to_owned(),
        generation: FIRST_GENERATION,
        opened_at: now,
        rotated_at: now,
        issued_at,
        issued_ahead: issued_at - now,
        idle_ends_at: ends_at.min(now + ms(rules.refresh_ttl)),
        ends_at,
        is_user_revoked: false,
        label,
    }
}
