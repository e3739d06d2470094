use std::collections::HashSet;

use shared_claims::Role;
use shared_service::database::{StoreError, Transaction};
use sqlx::AssertSqlSafe;
use uuid::Uuid;

use super::{Email, Username, Users};
use crate::passwords::PasswordHash;

/// Somebody from another database.
#[derive(Clone, Debug)]
pub struct ImportedUser {
    /// Kept where there is one, so that tokens stay good; else a new one is made.
    pub id: Option<Uuid>,
    /// Their name.
    pub username: Username,
    /// Their email.
    pub email: Option<Email>,
    /// Their password, as it was stored there.
    pub hash: PasswordHash,
    /// What they may do.
    pub role: Role,
    /// Whether they may not sign in.
    pub disabled: bool,
    /// Milliseconds since 1970.
    pub created_at: i64,
}

/// What became of an import.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Import {
    /// Everybody is there.
    Done {
        /// So many were added.
        added: usize,
        /// So many had been there, and were left as they are.
        present: usize,
    },
    /// Nobody was added. Which ones are in the way, by their index, and why.
    Refused(Vec<(usize, NotImported)>),
}

/// Why somebody cannot be added.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotImported {
    /// Another user has that email.
    #[error("email belongs to another user")]
    EmailTaken,
    /// Another user has that id.
    #[error("id belongs to another user")]
    IdTaken,
}

/// Rows in one statement: enough that the way to the database and back is nothing beside them.
const BATCH: usize = 200;
const COLUMNS: &str = "id, username, email, password_hash, role, disabled, created_at";
const HAS_EMAIL: &str = "SELECT count(*) FROM users WHERE email = $1";

impl Users {
    /// Adds all of `people`, or nobody. Who is there under the same name is left as they are: their password may have
    /// been changed or rewritten since they were imported first. Takes as long as it takes; `progress` is told how many are
    /// done.
    ///
    /// # Errors
    /// The store's.
    pub async fn import(&self, people: &[ImportedUser], mut progress: impl FnMut(usize)) -> Result<Import, StoreError> {
        let mut transaction = self.pool.begin_unlimited().await?;
        let (mut added, mut refused) = (0, Vec::new());
        for (batch, people) in people.chunks(BATCH).enumerate() {
            progress(batch * BATCH);
            let done = add(&mut transaction, people).await?;
            added += done.len();
            for (index, why) in obstacles(&mut transaction, people, &done).await? {
                refused.push((batch * BATCH + index, why));
            }
        }
        if !refused.is_empty() {
            transaction.rollback().await?;
            return Ok(Import::Refused(refused));
        }
        transaction.commit().await?;
        Ok(Import::Done { added, present: people.len() - added })
    }
}

/// The names of those who were added.
async fn add(transaction: &mut Transaction, people: &[ImportedUser]) -> Result<HashSet<String>, sqlx::Error> {
    let rows = people.iter().enumerate().map(|(row, _)| placeholders(row * 7 + 1, 7)).collect::<Vec<_>>().join(", ");
    let text = format!("INSERT INTO users ({COLUMNS}) VALUES {rows} ON CONFLICT DO NOTHING RETURNING username");
    let mut insert = sqlx::query_scalar(AssertSqlSafe(text));
    for person in people {
        insert = insert
            .bind(person.id.unwrap_or_else(Uuid::now_v7).to_string())
            .bind(person.username.as_str())
            .bind(person.email.as_ref().map(Email::as_str))
            .bind(person.hash.as_stored())
            .bind(person.role.as_str())
            .bind(i64::from(person.disabled))
            .bind(person.created_at);
    }
    Ok(insert.fetch_all(&mut **transaction).await?.into_iter().collect())
}

/// Which of those who are not `done` cannot be, and why; who is there already is no obstacle.
async fn obstacles(
    transaction: &mut Transaction,
    people: &[ImportedUser],
    done: &HashSet<String>,
) -> Result<Vec<(usize, NotImported)>, sqlx::Error> {
    let is_left = |(_, person): &(usize, &ImportedUser)| !done.contains(person.username.as_str());
    let left: Vec<_> = people.iter().enumerate().filter(is_left).collect();
    let present = present(transaction, &left).await?;
    let mut obstacles = Vec::new();
    for (index, person) in left {
        if !present.contains(person.username.as_str()) {
            obstacles.push((index, obstacle(transaction, person).await?));
        }
    }
    Ok(obstacles)
}

/// The names of those who are there.
async fn present(
    transaction: &mut Transaction,
    people: &[(usize, &ImportedUser)],
) -> Result<HashSet<String>, sqlx::Error> {
    if people.is_empty() {
        return Ok(HashSet::new());
    }
    let text = format!("SELECT username FROM users WHERE username IN {}", placeholders(1, people.len()));
    let mut select = sqlx::query_scalar(AssertSqlSafe(text));
    for (_, person) in people {
        select = select.bind(person.username.as_str());
    }
    Ok(select.fetch_all(&mut **transaction).await?.into_iter().collect())
}

/// Why `person`, whose name is free, was not added.
async fn obstacle(transaction: &mut Transaction, person: &ImportedUser) -> Result<NotImported, sqlx::Error> {
    let with_email = sqlx::query_scalar::<_, i64>(HAS_EMAIL).bind(person.email.as_ref().map(Email::as_str));
    let taken = with_email.fetch_one(&mut **transaction).await? > 0;
    Ok(if taken { NotImported::EmailTaken } else { NotImported::IdTaken })
}

/// `($5, $6, $7)` for three from the fifth on.
fn placeholders(first: usize, count: usize) -> String {
    let names: Vec<String> = (first..first + count).map(|number| format!("${number}")).collect();
    format!("({})", names.join(", "))
}
