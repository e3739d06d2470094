use shared_claims::Role;
use shared_service::database::{Connection, StoreError};

use super::turn::By;
use super::{BY_ID, Email, Ends, STORE, User, UserId, Users, endings, rows};
use crate::mail::{Kind, Mail, add_to, delete_claims};
use crate::passwords::PasswordHash;

/// The changes to a user; `None` leaves a member unchanged.
#[derive(Clone, Debug, Default)]
pub struct UserChange {
    /// The new role.
    pub role: Option<Role>,
    /// True to disable the account, false to enable it.
    pub disabled: Option<bool>,
    /// The new email; `Some(None)` removes it.
    pub email: Option<Option<Email>>,
    /// The hash of the new password.
    pub hash: Option<PasswordHash>,
    /// True to end the sessions, whatever else changes.
    pub sign_out: bool,
    /// The session that is kept when the others end.
    pub goes_on: Option<String>,
}

/// The result of a [`UserChange`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "one is made for each change, and none is kept")]
pub enum Changed {
    /// The user was changed.
    Done {
        /// The user before the change.
        before: User,
        /// The user after the change.
        after: User,
    },
    /// No user has this id.
    NotFound,
    /// The user is the last enabled admin. Nothing was changed.
    LastAdmin,
    /// Another account has this email. Nothing was changed.
    EmailTaken,
}

/// The result of a deletion.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Deleted {
    /// The deleted user.
    Done(User),
    /// No user has this id.
    NotFound,
    /// The user is the last enabled admin, and was not deleted.
    LastAdmin,
}

const OTHER_ADMINS: &str = "SELECT count(*) FROM users WHERE role = 'admin' AND disabled = 0 AND id <> $1";
const UPDATE: &str =
    "UPDATE users SET role = $2, disabled = $3, email = $4, password_hash = coalesce($5, password_hash),
    email_verified_at = CASE WHEN email = $4 THEN email_verified_at END
    WHERE id = $1";
const DELETE: &str = "DELETE FROM users WHERE id = $1";

impl Users {
    /// Changes a user, unless no enabled admin would remain.
    ///
    /// # Errors
    /// The database is unavailable.
    pub async fn change(&self, id: &UserId, change: &UserChange) -> Result<Changed, StoreError> {
        Ok(self.change_by(By::NoAccount, id, change).await?.unwrap_or(Changed::NotFound))
    }

    /// Changes a user on behalf of an account; `None` if the account may no longer write. Of two admins who demote each
    /// other concurrently, one is refused.
    ///
    /// # Errors
    /// The database is unavailable.
    pub async fn change_by(&self, by: By<'_>, id: &UserId, change: &UserChange) -> Result<Option<Changed>, StoreError> {
        let is_done = |changed: &Changed| matches!(changed, Changed::Done { .. });
        let changed = self.in_turn(STORE, by, is_done, async |on| self.change_in(on, id, change).await).await?;
        self.wake();
        Ok(changed)
    }

    /// Deletes a user, unless no enabled admin would remain.
    ///
    /// # Errors
    /// The database is unavailable.
    pub async fn delete(&self, id: &UserId) -> Result<Deleted, StoreError> {
        Ok(self.delete_by(By::NoAccount, id).await?.unwrap_or(Deleted::NotFound))
    }

    /// Deletes a user on behalf of an account, as [`Users::change_by`].
    ///
    /// # Errors
    /// The database is unavailable.
    pub async fn delete_by(&self, by: By<'_>, id: &UserId) -> Result<Option<Deleted>, StoreError> {
        let is_done = |deleted: &Deleted| matches!(deleted, Deleted::Done(_));
        self.in_turn(STORE, by, is_done, async |on| delete_user(on, id).await).await
    }

    /// Changes a user in the caller's transaction; the caller wakes the outbox after the commit. A notice of a new
    /// password or a new address goes to the previous address.
    pub(crate) async fn change_in(
        &self,
        on: &mut Connection,
        id: &UserId,
        change: &UserChange,
    ) -> Result<Changed, StoreError> {
        let changed = change_user(on, id, change).await?;
        let Changed::Done { before, after } = &changed else { return Ok(changed) };
        if change.hash.is_some() {
            // These mails were requested with the old password.
            delete_claims(on, id).await?;
        }
        if let (Some(_), Some(email)) = (&self.outbox, &before.email) {
            let notices = [(change.hash.is_some(), Kind::NewPassword), (before.email != after.email, Kind::NewAddress)];
            for (_, kind) in notices.into_iter().filter(|(is_so, _)| *is_so) {
                // A full outbox must not keep a user from setting a new password.
                if !add_to(&mut *on, Mail { kind, email, user_id: id }).await? {
                    log::warn!(user = id.as_str(); "a notice is not sent, because the outbox is full");
                }
            }
        }
        Ok(changed)
    }
}

impl UserChange {
    /// True if the user's sessions have to end.
    pub(crate) fn ends_sessions(&self) -> bool {
        self.disabled == Some(true) || self.hash.is_some() || self.sign_out
    }

    /// True if issued access tokens may be outdated. Also without an actual change: it may be a retry of a change that
    /// was interrupted.
    pub(crate) fn outdates_tokens(&self) -> bool {
        self.role.is_some()
    }

    /// The sessions or access tokens that this change ends; `after` is the changed user.
    fn ends(&self, after: &User) -> Option<Ends> {
        if after.disabled || self.ends_sessions() {
            return Some(Ends::Sessions { except: self.goes_on.clone() });
        }
        self.outdates_tokens().then_some(Ends::Tokens)
    }

    fn applied_to(&self, before: &User) -> User {
        User {
            role: self.role.unwrap_or(before.role),
            disabled: self.disabled.unwrap_or(before.disabled),
            email_verified_at: before
                .email_verified_at
                .filter(|_| self.email.as_ref().is_none_or(|email| *email == before.email)),
            email: self.email.clone().unwrap_or_else(|| before.email.clone()),
            ..before.clone()
        }
    }
}

async fn change_user(on: &mut Connection, id: &UserId, change: &UserChange) -> Result<Changed, StoreError> {
    let Some(before) = read(on, id).await? else { return Ok(Changed::NotFound) };
    let after = change.applied_to(&before);
    if before.is_enabled_admin() && !after.is_enabled_admin() && is_last_admin(on, id).await? {
        return Ok(Changed::LastAdmin);
    }
    match write(on, &after, change.hash.as_ref()).await {
        Ok(()) => {
            if let Some(ends) = change.ends(&after) {
                endings::add(on, id, &ends).await?;
            }
            Ok(Changed::Done { before, after })
        }
        Err(error) if rows::is_taken(&error, "email") => Ok(Changed::EmailTaken),
        Err(error) => Err(error.into()),
    }
}

async fn delete_user(on: &mut Connection, id: &UserId) -> Result<Deleted, StoreError> {
    let Some(user) = read(on, id).await? else { return Ok(Deleted::NotFound) };
    if user.is_enabled_admin() && is_last_admin(on, id).await? {
        return Ok(Deleted::LastAdmin);
    }
    sqlx::query(DELETE).bind(id.as_str()).execute(&mut *on).await?;
    endings::add(on, id, &Ends::Sessions { except: None }).await?;
    Ok(Deleted::Done(user))
}

async fn read(on: &mut Connection, id: &UserId) -> Result<Option<User>, StoreError> {
    let row = sqlx::query(BY_ID).bind(id.as_str()).fetch_optional(&mut *on).await?;
    row.as_ref().map(rows::user).transpose()
}

async fn is_last_admin(on: &mut Connection, id: &UserId) -> Result<bool, sqlx::Error> {
    let others: i64 = sqlx::query_scalar(OTHER_ADMINS).bind(id.as_str()).fetch_one(&mut *on).await?;
    Ok(others == 0)
}

async fn write(on: &mut Connection, user: &User, hash: Option<&PasswordHash>) -> Result<(), sqlx::Error> {
    let update = sqlx::query(UPDATE)
        .bind(user.id.as_str())
        .bind(user.role.as_str())
        .bind(i64::from(user.disabled))
        .bind(user.email.as_ref().map(Email::as_str))
        .bind(hash.map(PasswordHash::as_stored));
    update.execute(&mut *on).await.map(|_| ())
}
