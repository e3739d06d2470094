//! Users: identity, role and stored password. Uses SQL and no HTTP.

/// Verified addresses.
mod addresses;
/// Changes and deletions, which must leave an admin.
mod changes;
/// New users.
mod creation;
/// The demo users of the tutorials.
mod demo;
/// User names for imported users without one.
mod derived;
/// Ends of sessions that are still to be done after a change.
mod endings;
/// Ids of users.
mod id;
/// User names and emails.
mod names;
/// Lists, a page at a time.
mod pages;
/// A migration step that rewrites emails in one spelling.
mod respelling;
/// Users in rows of the database.
mod rows;
/// Import.
mod transfer;
/// Serialized writes, and the accounts on whose behalf they happen.
mod turn;

use std::sync::Arc;

use shared_claims::Role;
use shared_service::database::{Database, StoreError, within};
use sqlx::any::AnyRow;

use crate::mail::Outbox;
use crate::passwords::{COSTS, PasswordHash};

pub(crate) use addresses::{mark_verified, verify_email};
pub use changes::{Changed, Deleted, UserChange};
pub use creation::{Created, NewUser};
pub use demo::{DEMO_PEOPLE, DemoPerson, SeedError};
pub(crate) use endings::{Ending, Ends};
pub use id::UserId;
pub(crate) use names::canonical_login;
pub use names::{Email, Username};
pub use respelling::respell_emails;
use rows::columns;
pub use transfer::{Import, ImportedUser, NotImported};
pub use turn::By;
pub(crate) use turn::account_in;

/// The store's name in errors.
const STORE: &str = "users";

/// A user, without secrets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// A `UUIDv7`, the `sub` of the tokens.
    pub id: UserId,
    /// Unique, lower case.
    pub username: Username,
    /// Unique where there is one, lower case.
    pub email: Option<Email>,
    /// The time at which the user verified the email, in milliseconds since 1970.
    pub email_verified_at: Option<i64>,
    /// The role.
    pub role: Role,
    /// True if the user cannot log in or refresh.
    pub disabled: bool,
    /// Milliseconds since 1970.
    pub created_at: i64,
}

impl User {
    /// True for an admin whose account is enabled: one must always remain.
    #[must_use]
    pub fn is_enabled_admin(&self) -> bool {
        self.role == Role::Admin && !self.disabled
    }
}

/// A user with the stored password.
#[derive(Clone, Debug)]
pub struct Account {
    /// The user.
    pub user: User,
    /// The stored password.
    pub hash: PasswordHash,
}

impl Account {
    /// True if a password verified for this account is still valid for `now`, the same account read later: enabled,
    /// with the same password.
    pub(crate) fn still_counts(&self, now: &Self) -> bool {
        !now.user.disabled && now.hash.is_of_the_same_password(&self.hash)
    }
}

/// The store of users, with the same SQL for `SQLite` and Postgres. Every call ends within a second.
#[derive(Clone, Debug)]
pub struct Users {
    pub(crate) pool: Database,
    /// For notices of changes to the owner of an account; none where mail is off.
    pub(crate) outbox: Option<Arc<Outbox>>,
}

const BY_ID: &str = concat!("SELECT ", columns!(), " FROM users WHERE id = $1");
const BY_USERNAME: &str = concat!("SELECT ", columns!(), " FROM users WHERE username = $1");
const BY_EMAIL: &str = concat!("SELECT ", columns!(), " FROM users WHERE email = $1");
const REPLACE_HASH: &str = "UPDATE users SET password_hash = $3 WHERE id = $1 AND password_hash = $2";
const GREATEST_COST: &str = "SELECT max(substr(password_hash, length(password_hash) - 55, 2)) FROM users";

impl Users {
    /// Uses a database with all [`MIGRATIONS`](crate::app::MIGRATIONS).
    #[must_use]
    pub fn new(pool: Database) -> Self {
        Self { pool, outbox: None }
    }

    /// Finds a user by id.
    ///
    /// # Errors
    /// The database is unavailable.
    pub async fn find(&self, id: &str) -> Result<Option<User>, StoreError> {
        self.by_id(id).await?.as_ref().map(rows::user).transpose()
    }

    /// Finds a user and the stored password by id.
    ///
    /// # Errors
    /// The database is unavailable.
    pub async fn account(&self, id: &str) -> Result<Option<Account>, StoreError> {
        self.by_id(id).await?.as_ref().map(rows::account).transpose()
    }

    /// Finds the account for `login`, a user name or an email in any spelling that `canonical_login` accepts.
    ///
    /// # Errors
    /// The database is unavailable.
    pub async fn account_by_login(&self, login: &str) -> Result<Option<Account>, StoreError> {
        let login = canonical_login(login);
        let row = if login.parse::<Username>().is_ok() {
            self.fetch(BY_USERNAME, &login).await?
        } else if login.parse::<Email>().is_ok() {
            self.fetch(BY_EMAIL, &login).await?
        } else {
            None
        };
        row.as_ref().map(rows::account).transpose()
    }

    /// Replaces `old` by `new`; false if `old` is not stored any more, because a rewritten hash must never undo a
    /// password change.
    ///
    /// # Errors
    /// The database is unavailable.
    pub async fn replace_hash(&self, id: &UserId, old: &PasswordHash, new: &PasswordHash) -> Result<bool, StoreError> {
        let update = sqlx::query(REPLACE_HASH).bind(id.as_str()).bind(old.as_stored()).bind(new.as_stored());
        let done = within(STORE, update.execute(&self.pool)).await?;
        Ok(done.rows_affected() == 1)
    }

    /// The highest cost of a stored hash, for [`Passwords::expect_cost`](crate::passwords::Passwords::expect_cost).
    ///
    /// # Errors
    /// The database is unavailable, or a hash is malformed.
    pub async fn greatest_cost(&self) -> Result<Option<u32>, StoreError> {
        let query = sqlx::query_scalar::<_, Option<String>>(GREATEST_COST);
        let cost = within(STORE, async { query.fetch_one(&mut *self.pool.begin_list().await?).await }).await?;
        let wrong = || StoreError::corrupt(STORE, "users.password_hash of no known form");
        let known = |cost: String| cost.parse().ok().filter(|cost| COSTS.contains(cost)).ok_or_else(wrong);
        cost.map(known).transpose()
    }

    /// Wakes a worker that sends mails, if mail is on.
    pub(crate) fn wake(&self) {
        self.outbox.iter().for_each(|outbox| outbox.wake());
    }

    /// Reads the row of the user `id`. No row has an id that is not a UUID, and Postgres refuses text with a NUL.
    async fn by_id(&self, id: &str) -> Result<Option<AnyRow>, StoreError> {
        if id.parse::<UserId>().is_ok() { self.fetch(BY_ID, id).await } else { Ok(None) }
    }

    async fn fetch(&self, select: &'static str, key: &str) -> Result<Option<AnyRow>, StoreError> {
        within(STORE, sqlx::query(select).bind(key).fetch_optional(&self.pool)).await
    }
}
