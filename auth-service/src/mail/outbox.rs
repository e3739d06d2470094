use std::time::Duration;

use shared_service::clock;
use shared_service::database::{Connection, Database, StoreError, within};
use sqlx::any::AnyRow;
use sqlx::{Any, Executor, Row};
use strum::{EnumString, IntoStaticStr};
use tokio::sync::Notify;
use uuid::Uuid;

use super::STORE;
use super::tickets::digest;
use crate::users::Email;

/// The kinds of mail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumString, IntoStaticStr)]
#[strum(serialize_all = "snake_case", const_into_str)]
pub enum Kind {
    /// A link to set another password, if the address has an account.
    Reset,
    /// A link to verify an address, or a notice to its owner that it was given for another account.
    Verify,
    /// Notice of a new password.
    NewPassword,
    /// Notice of a new address, to the one before.
    NewAddress,
    /// Notice of a session that ended because a refresh token was used again.
    Reuse,
}

/// A mail that is to be sent.
#[derive(Clone, Copy, Debug)]
pub struct Mail<'a> {
    /// Its kind.
    pub kind: Kind,
    /// Its recipient.
    pub email: &'a Email,
    /// The id of the user concerned; "" where the worker looks the user up.
    pub user_id: &'a str,
}

/// A mail that one worker has claimed: no other worker claims it before its next try is due.
#[derive(Debug)]
pub(super) struct Claimed {
    pub id: String,
    pub kind: Kind,
    pub email: Email,
    pub user_id: String,
    /// The number of claims so far, this one included.
    pub attempts: i64,
}

/// Mails to be sent, shared by all instances.
#[derive(Debug)]
pub struct Outbox {
    pub(super) pool: Database,
    wake: Notify,
}

/// The number of tries of one mail: at once, then after 1 min, 5 min, 30 min and 2 h.
pub(super) const TRIES: i64 = 5;
/// The maximum number of queued mails.
const MOST: i64 = 10_000;
/// The number of notices that may be queued beyond `MOST`, because strangers can fill the outbox with links.
const NOTICES: i64 = 1_000;
/// The number of queued mails with which there is no room for another link that verifies an address: strangers' links
/// must leave room for those that reset a password.
const VERIFICATIONS: i64 = MOST / 2;
/// The number of due mails that one call of `claim` reads: other workers may claim some of them first.
const SOME: i64 = 16;
const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;

/// Adds no second row for a mail that is queued already, but moves its next try to within a minute: it takes as long.
/// The tries after that one begin again, because a stranger's requests must not use them up.
const INSERT: &str = "
INSERT INTO outbox (id, kind, email, user_id, next_at, attempts)
SELECT $1, $2, $3, $4, 0, 0 WHERE (SELECT count(*) FROM outbox) < $5
ON CONFLICT (kind, email, user_id) DO UPDATE SET
    attempts = CASE WHEN outbox.attempts > 1 THEN 1 ELSE outbox.attempts END,
    next_at = CASE WHEN outbox.next_at > $6 THEN $6 ELSE outbox.next_at END";
/// Links to verify an address come last, because a user can ask for any number of them.
const DUE: &str = "SELECT id FROM outbox WHERE next_at <= $1 ORDER BY kind = 'verify', next_at, id LIMIT $2";
/// Gives the row to the one worker whose update finds it due. If that worker crashes, the row is due again at its next
/// try.
const CLAIM: &str = "
UPDATE outbox SET attempts = attempts + 1, next_at = $1 + CASE attempts
    WHEN 0 THEN 60000 WHEN 1 THEN 300000 WHEN 2 THEN 1800000 ELSE 7200000 END
WHERE id = $2 AND next_at <= $1
RETURNING id, kind, email, user_id, attempts";
const DELETE: &str = "DELETE FROM outbox WHERE id = $1";
const DELETE_CLAIMS: &str = "DELETE FROM outbox WHERE kind = 'verify' AND user_id = $1";
/// Also locks the row: no other transaction deletes it before this one ends.
const HOLD: &str = "UPDATE outbox SET attempts = attempts WHERE id = $1";
const OLDEST: &str = "SELECT min(id) FROM outbox";
const PASS: &str = "
INSERT INTO mailboxes (mailbox, first_at, second_at, third_at) VALUES ($1, 0, 0, $2)
ON CONFLICT (mailbox) DO UPDATE SET
    first_at = mailboxes.second_at, second_at = mailboxes.third_at, third_at = $2
WHERE mailboxes.first_at <= $3";
const SWEEP: &str = "DELETE FROM mailboxes WHERE third_at <= $1";

impl Kind {
    /// The number of queued mails with which there is no room for another one of this kind.
    const fn room(self) -> i64 {
        match self {
            Self::Verify => VERIFICATIONS,
            Self::Reset => MOST,
            Self::NewPassword | Self::NewAddress | Self::Reuse => MOST + NOTICES,
        }
    }
}

impl Outbox {
    pub(super) fn new(pool: Database) -> Self {
        Self { pool, wake: Notify::new() }
    }

    /// Queues `mail`, or fails if the outbox is full.
    pub async fn add(&self, mail: Mail<'_>) -> Result<(), StoreError> {
        if !within(STORE, add_to(&self.pool, mail)).await? {
            return Err(is_full());
        }
        self.wake();
        Ok(())
    }

    /// Wakes a worker of this process.
    pub fn wake(&self) {
        self.wake.notify_one();
    }

    pub(super) async fn woken(&self) {
        self.wake.notified().await;
    }

    /// Claims a mail that is due. No other worker gets it before its next try.
    pub(super) async fn claim(&self, now_ms: i64) -> Result<Option<Claimed>, StoreError> {
        let due = sqlx::query_scalar::<_, String>(DUE).bind(now_ms).bind(SOME);
        for id in within(STORE, due.fetch_all(&self.pool)).await? {
            let claim = sqlx::query(CLAIM).bind(now_ms).bind(&id);
            if let Some(row) = within(STORE, claim.fetch_optional(&self.pool)).await? {
                return read(&row).map(Some);
            }
        }
        Ok(None)
    }

    pub(super) async fn delete(&self, id: &str) -> Result<(), StoreError> {
        within(STORE, sqlx::query(DELETE).bind(id).execute(&self.pool)).await.map(drop)
    }

    /// Counts `mail`; false if its mailbox got three mails of its kind in the last hour, which is the limit. Addresses that
    /// differ in a `+tag` count as one mailbox. Mails that
    /// verify an address have the same limit for each user, so that an account cannot send to any number of mailboxes.
    pub(super) async fn pass(&self, mail: &Claimed, now_ms: i64) -> Result<bool, StoreError> {
        within(STORE, sqlx::query(SWEEP).bind(now_ms - HOUR).execute(&self.pool)).await?;
        let kind = mail.kind.into_str();
        let of_user = (mail.kind == Kind::Verify).then(|| format!("{kind} by\n{}", mail.user_id));
        for counted in of_user.into_iter().chain([format!("{kind}\n{}", mailbox(&mail.email))]) {
            let pass = sqlx::query(PASS).bind(digest(&counted)).bind(now_ms).bind(now_ms - HOUR);
            if within(STORE, pass.execute(&self.pool)).await?.rows_affected() != 1 {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The time that the oldest mail has waited.
    pub async fn age(&self, now_ms: i64) -> Result<Duration, StoreError> {
        let oldest = sqlx::query_scalar::<_, Option<String>>(OLDEST);
        let oldest = within(STORE, oldest.fetch_one(&self.pool)).await?;
        let began = oldest.and_then(|id| Uuid::try_parse(&id).ok()?.get_timestamp()).map(|time| time.to_unix().0);
        let now = u64::try_from(now_ms / 1000).unwrap_or_default();
        Ok(began.map_or(Duration::ZERO, |began| Duration::from_secs(now.saturating_sub(began))))
    }
}

/// The address without a `+tag` of its local part.
fn mailbox(email: &Email) -> String {
    let (local, host) = email.as_str().rsplit_once('@').unwrap_or_default();
    format!("{}@{host}", local.split_once('+').map_or(local, |(local, _)| local))
}

/// Queues `mail` in the caller's transaction; false if the outbox is full. The caller wakes a worker after the commit.
pub async fn add_to<'c>(on: impl Executor<'c, Database = Any>, mail: Mail<'_>) -> Result<bool, StoreError> {
    let insert = sqlx::query(INSERT)
        .bind(Uuid::now_v7().to_string())
        .bind(mail.kind.into_str())
        .bind(mail.email.as_str())
        .bind(mail.user_id)
        .bind(mail.kind.room())
        .bind(clock::now_ms() + MINUTE);
    Ok(insert.execute(on).await?.rows_affected() == 1)
}

/// Deletes the queued mails that verify an address for this user, in the caller's transaction.
pub async fn delete_claims(on: &mut Connection, user_id: &str) -> Result<(), StoreError> {
    Ok(sqlx::query(DELETE_CLAIMS).bind(user_id).execute(on).await.map(drop)?)
}

/// True if the mail `id` is still queued. It then stays queued until the caller's transaction ends.
pub(super) async fn hold(on: &mut Connection, id: &str) -> Result<bool, StoreError> {
    Ok(sqlx::query(HOLD).bind(id).execute(on).await?.rows_affected() == 1)
}

/// The error of a call that needs a mail while the outbox is full.
pub fn is_full() -> StoreError {
    StoreError::unavailable(STORE, "too many mails wait to be sent")
}

fn read(row: &AnyRow) -> Result<Claimed, StoreError> {
    let kind: String = row.try_get("kind")?;
    Ok(Claimed {
        id: row.try_get("id")?,
        kind: kind.parse().map_err(|_| StoreError::corrupt(STORE, "outbox.kind of no known kind"))?,
        email: Email::stored(row.try_get("email")?),
        user_id: row.try_get("user_id")?,
        attempts: row.try_get("attempts")?,
    })
}
