use shared_claims::Role;
use shared_service::database::{Connection, StoreError};
use sqlx::error::ErrorKind;

use super::{Email, User, Users};
use crate::mail::{Kind, Mail};

const RELEASE: &str =
    "UPDATE users SET email = NULL WHERE email = $2 AND id <> $1 AND email_verified_at IS NULL RETURNING id";
const VERIFY: &str = "UPDATE users SET email = $2, email_verified_at = $3 WHERE id = $1";
const MARK: &str = "UPDATE users SET email_verified_at = coalesce(email_verified_at, $2) WHERE id = $1";

impl Users {
    /// Ends the links that `user` made as an admin, whose session may have been stolen: a refresh token was used again,
    /// and the session has ended. Also notifies the user by mail, if mail is on. The response to the client depends on
    /// neither.
    pub(crate) async fn after_reuse(&self, user: Option<&User>) {
        let Some(user) = user else { return };
        if user.role == Role::Admin
            && let Err(error) = self.withdraw_links(&user.id).await
        {
            log::warn!(user = user.id.as_str(); "links that this admin made stay valid until they expire: {error}");
        }
        let Some((outbox, email)) = self.outbox.as_ref().zip(user.email.as_ref()) else { return };
        if let Err(error) = outbox.add(Mail { kind: Kind::Reuse, email, user_id: &user.id }).await {
            log::warn!(user = user.id.as_str(); "no notice of a reuse is sent: {error}");
        }
    }
}

/// Makes `email` the verified address of the user `id`. It is removed from a user who never verified it.
/// False if another user has verified it before: the transaction can then only be rolled back.
pub(crate) async fn verify_email(
    on: &mut Connection,
    id: &str,
    email: &Email,
    now_ms: i64,
) -> Result<bool, StoreError> {
    let release = sqlx::query_scalar::<_, String>(RELEASE).bind(id).bind(email.as_str());
    for other in release.fetch_all(&mut *on).await? {
        log::warn!(target: "audit", event = "email.released", user = other.as_str(), by = id; "address lost to the user who verified it");
    }
    match sqlx::query(VERIFY).bind(id).bind(email.as_str()).bind(now_ms).execute(on).await {
        Ok(_) => Ok(true),
        Err(sqlx::Error::Database(error)) if error.kind() == ErrorKind::UniqueViolation => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Marks the current address of the user `id` as verified.
pub(crate) async fn mark_verified(on: &mut Connection, id: &str, now_ms: i64) -> Result<(), StoreError> {
    Ok(sqlx::query(MARK).bind(id).bind(now_ms).execute(on).await.map(drop)?)
}
