use shared_claims::Role;
use shared_service::database::{StoreError, within};

use super::turn::{By, Turn, end_turn};
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
        let done = within(STORE, self.change_in_turn(None, id, change)).await?;
        Ok(done.unwrap_or(Changed::NotFound))
    }

    /// Changes a user on behalf of an account; `None` if the account may no longer write. Of two admins who demote each
    /// other concurrently, one is refused.
    ///
    /// # Errors
    /// The database is unavailable.
    pub async fn change_by(&self, by: By<'_>, id: &UserId, change: &UserChange) -> Result<Option<Changed>, StoreError> {
        within(STORE, self.change_in_turn(Some(by), id, change)).await
    }

    /// Deletes a user, unless no enabled admin would remain.
    ///
    /// # Errors
    /// The database is unavailable.
    pub async fn delete(&self, id: &UserId) -> Result<Deleted, StoreError> {
        let done = within(STORE, self.delete_in_turn(None, id)).await?;
        Ok(done.unwrap_or(Deleted::NotFound))
    }

    /// Deletes a user on behalf of an account, as [`Users::change_by`].
    ///
    /// # Errors
    /// The database is unavailable.
    pub async fn delete_by(&self, by: By<'_>, id: &UserId) -> Result<Option<Deleted>, StoreError> {
        within(STORE, self.delete_in_turn(Some(by), id)).await
    }

    async fn change_in_turn(
        &self,
        by: Option<By<'_>>,
        id: &UserId,
        change: &UserChange,
    ) -> Result<Option<Changed>, StoreError> {
        let Some(mut turn) = self.take_turn(by).await? else { return Ok(None) };
        let outcome = self.change_in(&mut turn, id, change).await?;
        end_turn(turn, matches!(outcome, Changed::Done { .. })).await?;
        self.wake();
        Ok(Some(outcome))
    }

    /// Changes a user in the caller's transaction; the caller wakes the outbox after the commit. A notice of a new
    /// password or a new address goes to the previous address.
    pub(crate) async fn change_in(
        &self,
        turn: &mut Turn,
        id: &UserId,
        change: &UserChange,
    ) -> Result<Changed, StoreError> {
        let changed = change_user(turn, id, change).await?;
        if change.hash.is_some() {
            // These mails were requested with the old password.
            delete_claims(turn, id).await?;
        }
        if let (Some(_), Changed::Done { before, after }) = (&self.outbox, &changed)
            && let Some(email) = &before.email
        {
            let notices = [(change.hash.is_some(), Kind::NewPassword), (before.email != after.email, Kind::NewAddress)];
            for (_, kind) in notices.into_iter().filter(|(is_so, _)| *is_so) {
                // A full outbox must not keep a user from setting a new password.
                if !add_to(&mut **turn, Mail { kind, email, user_id: id }).await? {
                    log::warn!(user = id.as_str(); "a notice is not sent, because the outbox is full");
                }
            }
        }
        Ok(changed)
    }

    async fn delete_in_turn(&self, by: Option<By<'_>>, id: &UserId) -> Result<Option<Deleted>, StoreError> {
        let Some(mut turn) = self.take_turn(by).await? else { return Ok(None) };
        let outcome = delete_user(&mut turn, id).await?;
        end_turn(turn, matches!(outcome, Deleted::Done(_))).await?;
        Ok(Some(outcome))
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

async fn change_user(turn: &mut Turn, id: &UserId, change: &UserChange) -> Result<Changed, StoreError> {
    let Some(before) = read(turn, id).await? else { return Ok(Changed::NotFound) };
    let after = change.applied_to(&before);
    if before.is_enabled_admin() && !after.is_enabled_admin() && is_last_admin(turn, id).await? {
        return Ok(Changed::LastAdmin);
    }
    match write(turn, &after, change.hash.as_ref()).await {
        Ok(()) => {
            if let Some(ends) = change.ends(&after) {
                endings::add(turn, id, &ends).await?;
            }
            Ok(Changed::Done { before, after })
        }
        Err(error) if rows::is_taken(&error, "email") => Ok(Changed::EmailTaken),
        Err(error) => Err(error.into()),
    }
}

async fn delete_user(turn: &mut Turn, id: &UserId) -> Result<Deleted, StoreError> {
    let Some(user) = read(turn, id).await? else { return Ok(Deleted::NotFound) };
    if user.is_enabled_admin() && is_last_admin(turn, id).await? {
        return Ok(Deleted::LastAdmin);
    }
    sqlx::query(DELETE).bind(id.as_str()).execute(&mut **turn).await?;
    endings::add(turn, id, &Ends::Sessions { except: None }).await?;
    Ok(Deleted::Done(user))
}

async fn read(turn: &mut Turn, id: &UserId) -> Result<Option<User>, StoreError> {
    let row = sqlx::query(BY_ID).bind(id.as_str()).fetch_optional(&mut **turn).await?;
    row.as_ref().map(rows::user).transpose()
}

async fn is_last_admin(turn: &mut Turn, id: &UserId) -> Result<bool, sqlx::Error> {
    let others: i64 = sqlx::query_scalar(OTHER_ADMINS).bind(id.as_str()).fetch_one(&mut **turn).await?;
    Ok(others == 0)
}

async fn write(turn: &mut Turn, user: &User, hash: Option<&PasswordHash>) -> Result<(), sqlx::Error> {
    let update = sqlx::query(UPDATE)
        .bind(user.id.as_str())
        .bind(user.role.as_str())
        .bind(i64::from(user.disabled))
        .bind(user.email.as_ref().map(Email::as_str))
        .bind(hash.map(PasswordHash::as_stored));
    update.execute(&mut **turn).await.map(|_| ())
}
