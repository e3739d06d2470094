use std::collections::HashSet;

use shared_claims::Role;
use shared_service::database::{StoreError, Transaction};
use sqlx::AssertSqlSafe;
use uuid::Uuid;

use super::derived::Names;
use super::rows::columns;
use super::{Email, Username, Users};
use crate::passwords::PasswordHash;

/// A user of another database.
#[derive(Clone, Debug)]
pub struct ImportedUser {
    /// Kept where there is one, so that tokens stay good; else a new one is made.
    pub id: Option<Uuid>,
    /// `None` derives one from the email.
    pub username: Option<Username>,
    /// The email.
    pub email: Option<Email>,
    /// The password, as it was stored there.
    pub hash: PasswordHash,
    /// The role.
    pub role: Role,
    /// May not sign in.
    pub disabled: bool,
    /// Milliseconds since 1970.
    pub created_at: i64,
}

/// The outcome of an import.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Import {
    /// Each user is there.
    Done {
        /// How many were added.
        added: usize,
        /// The user names of those who had been there, and were left as they are.
        present: Vec<Username>,
        /// The user names that were derived, each with the index of its user.
        derived: Vec<(usize, Username)>,
    },
    /// No user was added: the indexes of those that cannot be, with the reason of each.
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

/// A user under the name that the row has or gets.
struct Row<'a> {
    name: Username,
    is_derived: bool,
    user: &'a ImportedUser,
}

/// Rows in one statement: enough that the way to the database and back is nothing beside them.
const BATCH: usize = 200;
/// Begins the write of `SQLite` before anything is read: a transaction that reads first cannot write once another has.
const BEGIN_WRITE: &str = "UPDATE users SET id = id WHERE id = ''";
const HAS_EMAIL: &str = "SELECT count(*) FROM users WHERE email = $1";

impl Users {
    /// Adds all of `users`, or none. An account of the same name is left as it is: its password may have been changed or
    /// rewritten since it was imported first. Takes as long as it takes; `progress` is told how many are done.
    ///
    /// # Errors
    /// The store's.
    pub async fn import(&self, users: &[&ImportedUser], mut progress: impl FnMut(usize)) -> Result<Import, StoreError> {
        let mut transaction = self.pool.begin_unlimited().await?;
        sqlx::query(BEGIN_WRITE).execute(&mut *transaction).await?;
        let (mut names, mut rows) = (Names::beside(users), Vec::new());
        for &user in users {
            let (name, is_derived) = names.of(&mut transaction, user).await?;
            rows.push(Row { name, is_derived, user });
        }
        let (mut added, mut present, mut refused) = (0, Vec::new(), Vec::new());
        for (batch, rows) in rows.chunks(BATCH).enumerate() {
            progress(batch * BATCH);
            let done = add(&mut transaction, rows).await?;
            added += done.len();
            let left: Vec<_> = rows.iter().enumerate().filter(|(_, row)| !done.contains(row.name.as_str())).collect();
            let there = present_of(&mut transaction, &left).await?;
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
        let derived = rows.into_iter().enumerate().filter(|(_, row)| row.is_derived);
        Ok(Import::Done { added, present, derived: derived.map(|(index, row)| (index, row.name)).collect() })
    }
}

/// Adds what can be added; the names of those rows.
async fn add(transaction: &mut Transaction, rows: &[Row<'_>]) -> Result<HashSet<String>, sqlx::Error> {
    let values: Vec<_> = (0..rows.len()).map(|row| placeholders(row * 8 + 1, 8)).collect();
    let text = format!(
        concat!("INSERT INTO users (", columns!(), ") VALUES {} ON CONFLICT DO NOTHING RETURNING username"),
        values.join(", ")
    );
    let mut insert = sqlx::query_scalar(AssertSqlSafe(text));
    for Row { name, user, .. } in rows {
        insert = insert
            .bind(user.id.unwrap_or_else(Uuid::now_v7).to_string())
            .bind(name.as_str())
            .bind(user.email.as_ref().map(Email::as_str))
            // Verified nowhere but here.
            .bind(None::<i64>)
            .bind(user.hash.as_stored())
            .bind(user.role.as_str())
            .bind(i64::from(user.disabled))
            .bind(user.created_at);
    }
    Ok(insert.fetch_all(&mut **transaction).await?.into_iter().collect())
}

/// Those of the names that accounts have.
async fn present_of(transaction: &mut Transaction, rows: &[(usize, &Row<'_>)]) -> Result<HashSet<String>, sqlx::Error> {
    if rows.is_empty() {
        return Ok(HashSet::new());
    }
    let text = format!("SELECT username FROM users WHERE username IN {}", placeholders(1, rows.len()));
    let select = sqlx::query_scalar(AssertSqlSafe(text));
    let select = rows.iter().fold(select, |select, (_, row)| select.bind(row.name.as_str()));
    Ok(select.fetch_all(&mut **transaction).await?.into_iter().collect())
}

/// The reason why `user`, whose name is free, was not added.
async fn obstacle(transaction: &mut Transaction, user: &ImportedUser) -> Result<NotImported, sqlx::Error> {
    let with_email = sqlx::query_scalar::<_, i64>(HAS_EMAIL).bind(user.email.as_ref().map(Email::as_str));
    let taken = with_email.fetch_one(&mut **transaction).await? > 0;
    Ok(if taken { NotImported::EmailTaken } else { NotImported::IdTaken })
}

/// `($5, $6, $7)` for three from the fifth on.
fn placeholders(first: usize, count: usize) -> String {
    let names: Vec<String> = (first..first + count).map(|number| format!("${number}")).collect();
    format!("({})", names.join(", "))
}
