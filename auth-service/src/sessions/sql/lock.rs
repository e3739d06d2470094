//! The lock of a user: their row in `cutoffs`. Each step on the sessions of a user locks this row first. So those steps
//! run one after the other on all instances, and the data that a step reads stays valid until it commits. Ending one
//! session needs no lock.

use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};

use shared_service::database::{StoreError, Transaction};
use sqlx::Row;
use sqlx::any::AnyRow;
use tokio::sync::{Mutex, MutexGuard};

use super::super::session::{RECENTLY, ms};
use super::super::{FIRST_GENERATION, MOST_SESSIONS, Rotation, Rules, Session, SessionId};
use super::statements::{
    COUNT_LIVING, DATES, END, KEEP_ONE, KEEP_USED, LIST_LATE, NEXT_ERA, REVOKE_BEFORE, ROTATE, TAKE_TURN,
    UNUSED_LONGEST, session,
};
use crate::SESSION_STORE;
use crate::sql::SqlStore;

/// A notBefore set by a wrong clock is corrected to now plus this time, in milliseconds.
const LEEWAY_MS: i64 = shared_claims::LEEWAY.cast_signed() * 1000;

/// The time for which a row without notBefore is kept, in milliseconds, so that not every step has to insert one.
const DAY_MS: i64 = 86_400_000;

/// The maximum number of sessions above the limit that a login ends one by one. An older version may have opened more.
const SURPLUS: usize = 100;

const QUEUES: u64 = 1024;

/// The sessions that are kept when all others end.
pub(super) enum Kept {
    /// The session with this id; "" for none.
    One(String),
    /// The most recently used ones, so many that there is room for one more.
    RecentlyUsed,
}

/// Queues in this process, by user. A step waits here before it takes a connection: otherwise one user could occupy all
/// connections. Several users share a queue.
pub(super) struct UserQueues(Vec<Mutex<()>>);

impl Default for UserQueues {
    fn default() -> Self {
        Self((0..QUEUES).map(|_| Mutex::default()).collect())
    }
}

impl UserQueues {
    /// Waits for the lock of `user_id`.
    pub(super) async fn lock<'a>(
        &'a self,
        store: &SqlStore,
        user_id: &'a str,
        rules: Rules,
        most: usize,
    ) -> Result<LockedUser<'a>, StoreError> {
        let number = BuildHasherDefault::<DefaultHasher>::default().hash_one(user_id) % QUEUES;
        let place = self.0[usize::try_from(number).unwrap_or_default()].lock().await;
        let locked = LockedUser::take(store.pool.begin_write().await?, store, user_id, rules).await?;
        Ok(LockedUser { most, _place: Some(place), ..locked })
    }
}

/// A transaction that holds the lock of a user.
pub(super) struct LockedUser<'a> {
    pub(super) transaction: Transaction,
    pub(super) now: i64,
    /// The current era; sessions of another era have ended.
    pub(super) era: i64,
    user_id: &'a str,
    /// The user's notBefore.
    not_before: i64,
    rules: Rules,
    /// The maximum number of live sessions.
    most: usize,
    /// The place in the queue of this process.
    _place: Option<MutexGuard<'a, ()>>,
}

impl<'a> LockedUser<'a> {
    /// Waits for the lock of `user_id` in the transaction `transaction`.
    pub(super) async fn take(
        mut transaction: Transaction,
        store: &SqlStore,
        user_id: &'a str,
        rules: Rules,
    ) -> Result<Self, StoreError> {
        let take = sqlx::query(TAKE_TURN).bind(user_id).bind(store.now() + DAY_MS);
        let row = take.fetch_optional(&mut *transaction).await?;
        let row = row.ok_or_else(|| StoreError::corrupt(SESSION_STORE, "the row of a user was not locked"))?;
        let (era, not_before) = (row.try_get("era")?, row.try_get("not_before")?);
        let now = store.now();
        let mut locked = Self { transaction, now, era, user_id, not_before, rules, most: MOST_SESSIONS, _place: None };
        if locked.not_before > locked.latest_correct_clock() {
            locked.revoke_before(locked.now / 1000 * 1000 + LEEWAY_MS, 0).await?;
        }
        Ok(locked)
    }
}

impl LockedUser<'_> {
    /// The `iat` of an access token that is issued now.
    pub(super) fn date(&self) -> i64 {
        self.now.max(self.not_before)
    }

    /// The latest time by a correct clock, if that clock is ahead and this one is behind by the leeway.
    pub(super) const fn latest_correct_clock(&self) -> i64 {
        self.now + 2 * LEEWAY_MS
    }

    /// Rotates the session `id`.
    pub(super) async fn rotate(&mut self, id: SessionId, presented: i64) -> Result<Rotation, StoreError> {
        let (now, date) = (self.now, self.date());
        let update = sqlx::query(ROTATE)
            .bind(id.to_string())
            .bind(self.user_id)
            .bind(presented)
            .bind(now)
            .bind(now + ms(self.rules.refresh_ttl))
            .bind(ms(self.rules.grace))
            .bind(FIRST_GENERATION)
            .bind(date)
            .bind(self.latest_correct_clock())
            .bind(date + self.rules.keep_ms())
            .bind(self.era);
        let row = update.fetch_optional(&mut *self.transaction).await?;
        // Also true if the revocation is dated ahead.
        let is_user_revoked = self.not_before > now - RECENTLY;
        row.map_or(Ok(Rotation::Unknown), |row| rotated(&row, now, is_user_revoked))
    }

    /// Ends the sessions unused for the longest time until there is room for one more.
    pub(super) async fn make_room(&mut self) -> Result<(), StoreError> {
        let living = self.count_living().await?;
        if living >= self.most + SURPLUS {
            return self.end_all_but(&Kept::RecentlyUsed).await.map(drop);
        }
        if living < self.most {
            return Ok(());
        }
        let surplus = sqlx::query(UNUSED_LONGEST).bind(self.user_id).bind(self.era).bind(self.now);
        let surplus = surplus.bind(number(living + 1 - self.most));
        for row in surplus.fetch_all(&mut *self.transaction).await? {
            let id: String = row.try_get("id")?;
            let end = sqlx::query(END).bind(id).bind(self.user_id).bind(self.now).bind(self.rules.keep_ms());
            end.execute(&mut *self.transaction).await?;
        }
        Ok(())
    }

    /// The number of live sessions, up to a limit.
    async fn count_living(&mut self) -> Result<usize, StoreError> {
        let count = sqlx::query_scalar::<_, i64>(COUNT_LIVING).bind(self.user_id).bind(self.era).bind(self.now);
        let living = count.bind(number(self.most + SURPLUS)).fetch_one(&mut *self.transaction).await?;
        Ok(usize::try_from(living).unwrap_or_default())
    }

    /// Ends all sessions but `except`, and revokes all access tokens issued so far. Returns the number of live
    /// sessions, up to a limit.
    pub(super) async fn end_all_but(&mut self, except: &Kept) -> Result<u64, StoreError> {
        let living = self.count_living().await? as u64;
        let (user, era, now) = (self.user_id, self.era, self.now);
        let keep = match except {
            Kept::One(id) => sqlx::query(KEEP_ONE).bind(user).bind(era).bind(now).bind(id),
            Kept::RecentlyUsed => sqlx::query(KEEP_USED).bind(user).bind(era).bind(now).bind(number(self.most - 1)),
        };
        let kept = keep.execute(&mut *self.transaction).await?.rows_affected();
        self.era += 1;
        sqlx::query(NEXT_ERA).bind(user).bind(self.era).execute(&mut *self.transaction).await?;
        self.revoke_tokens().await?;
        let late =
            sqlx::query(LIST_LATE).bind(user).bind(era).bind(now).bind(self.not_before).bind(self.rules.keep_ms());
        late.execute(&mut *self.transaction).await?;
        Ok(living.saturating_sub(kept))
    }

    /// Revokes all access tokens issued so far. Token dates are whole seconds: see [`crate::revocations`].
    pub(super) async fn revoke_tokens(&mut self) -> Result<(), StoreError> {
        let dates =
            sqlx::query(DATES).bind(self.user_id).bind(self.now).bind(self.era).bind(self.latest_correct_clock());
        let row = dates.fetch_one(&mut *self.transaction).await?;
        let (last, newest): (i64, i64) = (row.try_get("last")?, row.try_get("newest")?);
        let not_before = (self.now.max(newest) / 1000 + 1) * 1000;
        // An unchanged notBefore is not listed again.
        if not_before > self.not_before { self.revoke_before(not_before, last).await } else { Ok(()) }
    }

    async fn revoke_before(&mut self, not_before: i64, last: i64) -> Result<(), StoreError> {
        self.not_before = not_before;
        let tokens_end_at = last.max(not_before + self.rules.keep_ms());
        let update = sqlx::query(REVOKE_BEFORE).bind(self.user_id).bind(not_before).bind(tokens_end_at);
        Ok(update.execute(&mut *self.transaction).await.map(drop)?)
    }
}

/// The outcome of [`ROTATE`] for a live session.
fn rotated(row: &AnyRow, now: i64, is_user_revoked: bool) -> Result<Rotation, StoreError> {
    let session = session(row)?;
    let session = Session { issued_ahead: session.issued_at - now, is_user_revoked, ..session };
    let (ended_at, repeats): (i64, i64) = (row.try_get("ended_at")?, row.try_get("repeats")?);
    Ok(match (ended_at, repeats) {
        (0, 0) => Rotation::Rotated(session),
        (0, _) => Rotation::Retried(session),
        _ => Rotation::Reused,
    })
}

fn number(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
