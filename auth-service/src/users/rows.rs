use shared_claims::Role;
use shared_service::database::StoreError;
use sqlx::Row;
use sqlx::any::AnyRow;

use super::{Account, Email, STORE, User, UserId, Username};
use crate::passwords::PasswordHash;

/// The columns that [`account`] reads. Listed one by one, so that an older instance keeps working after a migration.
macro_rules! columns {
    () => {
        "id, username, email, email_verified_at, password_hash, role, disabled, created_at"
    };
}
pub(super) use columns;

/// Reads a row of [`columns!`]. A value that this program never writes is an error.
pub(super) fn account(row: &AnyRow) -> Result<Account, StoreError> {
    let user = user(row)?;
    let stored: String = row.try_get("password_hash")?;
    let hash = PasswordHash::parse(stored).map_err(|error| corrupt(&user.id, "password_hash", error))?;
    Ok(Account { user, hash })
}

/// Reads the user in such a row, without the password.
pub(super) fn user(row: &AnyRow) -> Result<User, StoreError> {
    let id = id(row, "id")?;
    let role: String = row.try_get("role")?;
    let role = role.parse::<Role>().map_err(|_| corrupt(&id, "role", format!("is {role:?}")))?;
    let disabled: i64 = row.try_get("disabled")?;
    Ok(User {
        username: Username::stored(row.try_get("username")?),
        email: row.try_get::<Option<String>, _>("email")?.map(Email::stored),
        role,
        disabled: disabled != 0,
        email_verified_at: row.try_get("email_verified_at")?,
        created_at: row.try_get("created_at")?,
        id,
    })
}

/// Reads the id of a user in `column`.
pub(super) fn id(row: &AnyRow, column: &str) -> Result<UserId, StoreError> {
    let id: String = row.try_get(column)?;
    id.parse().map_err(|error| corrupt(&id, column, error))
}

/// True if a write failed because another row has the same value in `column`. Postgres reports the constraint; `SQLite`
/// names the column in its message.
pub(super) fn is_taken(error: &sqlx::Error, column: &str) -> bool {
    let error = error.as_database_error().filter(|error| error.is_unique_violation());
    error.is_some_and(|error| match error.constraint() {
        Some("users_pkey") => column == "id",
        Some(name) => name == format!("users_{column}_key"),
        None => error.message().ends_with(&format!(" users.{column}")),
    })
}

fn corrupt(id: &str, column: &str, what: impl std::fmt::Display) -> StoreError {
    StoreError::corrupt(STORE, format!("users.{column} of {id} {what}"))
}
