use std::collections::HashSet;

use serde_json::{Value, json};
use shared_claims::Role;
use shared_service::database::{StoreError, Transaction};
use sqlx::AssertSqlSafe;
use uuid::Uuid;

use super::derived::Names;
use super::rows::columns;
use super::{Email, Username, Users};
use crate::passwords::PasswordHash;

/// A user of another database, to be imported.
#[derive(Clone, Debug)]
pub struct ImportedUser {
    /// The existing id, kept so that tokens stay valid; otherwise a new one is made.
    pub id: Option<Uuid>,
    /// The user name; `None` derives one from the email.
    pub username: Option<Username>,
    /// The email.
    pub email: Option<Email>,
    /// The stored password.
    pub hash: PasswordHash,
    /// The role.
    pub role: Role,
    /// True if the user cannot log in.
    pub disabled: bool,
    /// Milliseconds since 1970.
    pub created_at: i64,
}

/// The result of an import.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Import {
    /// All users exist now.
    Done {
        /// The number of added users.
        added: usize,
        /// The names of the users that existed already, and were left unchanged.
        present: Vec<Username>,
        /// The derived user names, each with the index of its user.
        derived: Vec<(usize, Username)>,
    },
    /// No user was added: the indexes of the invalid ones, with the reasons.
    Refused(Vec<(usize, NotImported)>),
}

/// The reason why a user cannot be added.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotImported {
    /// Another user has that email.
    #[error("email belongs to another user")]
    EmailTaken,
    /// Another user has that id.
    #[error("id belongs to another user")]
    IdTaken,
    /// Another user took the derived user name during the import.
    #[error("the derived user name was taken at this moment; run the import again")]
    NameTaken,
}

/// A user with the name to be stored.
struct Row<'a> {
    name: Username,
    is_derived: bool,
    user: &'a ImportedUser,
}

/// The number of rows per statement: enough that the round trip does not matter.
const BATCH: usize = 200;
/// The number of added users from which on the table is prepared for reads.
const MANY: usize = 10_000;
/// Starts the write transaction of `SQLite` before any read: a transaction that reads first cannot write once another
/// one has written.
const BEGIN_WRITE: &str = "UPDATE users SET id = id WHERE id = ''";
/// Inserts users, except those whose name, email or id exists. `@` is a table of JSON arrays, one for each user. An
/// address counts as verified only where this database verified it.
const INSERT: &str = concat!(
    "INSERT INTO users (",
    columns!(),
    ") SELECT value ->> 0, value ->> 1, value ->> 2, CAST(NULL AS BIGINT), value ->> 3, value ->> 4, \
    CAST(value ->> 5 AS BIGINT), CAST(value ->> 6 AS BIGINT) FROM @ WHERE TRUE ON CONFLICT DO NOTHING RETURNING username"
);
const PRESENT: &str = "SELECT username FROM users WHERE username IN (SELECT value ->> 0 FROM @)";
const HAS_EMAIL: &str = "SELECT count(*) FROM users WHERE email = $1";

impl Users {
    /// Adds all of `users`, or none. An account with the same name is left unchanged: its password may have been
    /// changed or rewritten since an earlier import. There is no time limit; `progress` gets the number of finished
    /// users.
    ///
    /// # Errors
    /// The database is unavailable.
    pub async fn import(&self, users: &[&ImportedUser], mut progress: impl FnMut(usize)) -> Result<Import, StoreError> {
        let mut transaction = self.pool.begin_unlimited().await?;
        sqlx::query(BEGIN_WRITE).execute(&mut *transaction).await?;
        let (mut names, mut rows) = (Names::beside(users.iter().filter_map(|user| user.username.as_ref())), Vec::new());
        for &user in users {
            let (name, is_derived) = names.of(&mut transaction, user.username.as_ref(), user.email.as_ref()).await?;
            rows.push(Row { name, is_derived, user });
        }
        let (mut added, mut present, mut refused) = (0, Vec::new(), Vec::new());
        for (batch, rows) in rows.chunks(BATCH).enumerate() {
            progress(batch * BATCH);
            let done = add(&mut transaction, rows).await?;
            added += done.len();
            let left: Vec<_> = rows.iter().enumerate().filter(|(_, row)| !done.contains(row.name.as_str())).collect();
            let there = left.iter().map(|(_, row)| json!([row.name.as_str()])).collect();
            let there = usernames(&mut transaction, PRESENT, there).await?;
            for (index, row) in left {
                match there.contains(row.name.as_str()) {
                    true if row.is_derived => refused.push((batch * BATCH + index, NotImported::NameTaken)),
                    true => present.push(row.name.clone()),
                    false => refused.push((batch * BATCH + index, obstacle(&mut transaction, row.user).await?)),
                }
            }
        }
        if !refused.is_empty() {
            transaction.rollback().await?;
            return Ok(Import::Refused(refused));
        }
        transaction.commit().await?;
        if added >= MANY {
            self.pool.refresh_after_bulk("users").await;
        }
        let derived = rows.into_iter().enumerate().filter(|(_, row)| row.is_derived);
        Ok(Import::Done { added, present, derived: derived.map(|(index, row)| (index, row.name)).collect() })
    }
}

/// Adds the rows that can be added, and returns their names.
async fn add(transaction: &mut Transaction, rows: &[Row<'_>]) -> Result<HashSet<String>, sqlx::Error> {
    let rows = rows.iter().map(|Row { name, user, .. }| {
        let id = user.id.unwrap_or_else(Uuid::now_v7).to_string();
        let (email, hash) = (user.email.as_ref().map(Email::as_str), user.hash.as_stored());
        json!([id, name.as_str(), email, hash, user.role.as_str(), i64::from(user.disabled), user.created_at])
    });
    usernames(transaction, INSERT, rows.collect()).await
}

/// The user names that `statement` returns, in which `@` is the table of the JSON arrays in `rows`.
async fn usernames(
    transaction: &mut Transaction,
    statement: &str,
    rows: Vec<Value>,
) -> Result<HashSet<String>, sqlx::Error> {
    let query = sqlx::query_scalar(AssertSqlSafe(statement.replace('@', transaction.elements())));
    let names = query.bind(Value::Array(rows).to_string()).fetch_all(&mut **transaction).await?;
    Ok(names.into_iter().collect())
}

/// The reason why `user`, whose name is free, could not be added.
async fn obstacle(transaction: &mut Transaction, user: &ImportedUser) -> Result<NotImported, sqlx::Error> {
    let with_email = sqlx::query_scalar::<_, i64>(HAS_EMAIL).bind(user.email.as_ref().map(Email::as_str));
    let taken = with_email.fetch_one(&mut **transaction).await? > 0;
    Ok(if taken { NotImported::EmailTaken } else { NotImported::IdTaken })
}
