//! The people: who they are, what they may do, and what is stored of their passwords. Knows SQL and no HTTP.

/// The proof of an address.
mod addresses;
/// Changes that could take the last admin away.
mod changes;
/// Somebody new.
mod creation;
/// The people of the tutorials.
mod demo;
/// User names for imported people who have none.
mod derived;
/// What a change has left to be done to sessions.
mod endings;
/// Ids of users.
mod id;
/// User names and emails that are good enough.
mod names;
/// Lists, a page at a time.
mod pages;
/// Emails that were stored before they had one spelling.
mod respelling;
/// From a row to a user.
mod rows;
/// Many people at once, in and out.
mod transfer;
/// Writes that happen one after the other, and on whose behalf.
mod turn;

use std::sync::Arc;

use shared_claims::Role;
use shared_service::database::{Database, StoreError, within};
use sqlx::any::AnyRow;

use crate::mail::Outbox;
use crate::passwords::{Cost, PasswordHash};

pub(crate) use addresses::{EmailVerified, mark_verified, verify_email};
pub use changes::{Changed, Deleted, UserChange};
pub use creation::{Created, NewUser};
pub use demo::{DEMO_PEOPLE, SeedError};
pub use endings::{Ending, Ends};
pub use id::{InvalidUserId, UserId};
pub use names::{Email, InvalidEmail, InvalidUsername, Username, canonical_login};
pub use respelling::respell_emails;
use rows::columns;
pub use transfer::{Import, ImportedUser, NotImported};
pub use turn::By;
pub(crate) use turn::{account_in, end_turn};

/// What `database::open` needs for this module.
pub const MIGRATION: (&str, &str) = ("0001_users", include_str!("../../migrations/0001_users.sql"));
/// The same, after those of sessions.
pub const ENDINGS: (&str, &str) = ("0006_endings", include_str!("../../migrations/0006_endings.sql"));
/// The same, with the step [`respell_emails`].
pub const EMAIL_SPELLINGS: (&str, &str) =
    ("0007_email_spellings", include_str!("../../migrations/0007_email_spellings.sql"));

/// How the store is called in errors.
const STORE: &str = "users";

/// Somebody who can sign in, without anything secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// A `UUIDv7`, the `sub` of the tokens.
    pub id: UserId,
    /// Unique, lower case.
    pub username: Username,
    /// Unique where there is one, lower case.
    pub email: Option<Email>,
    /// The time at which the user proved to read its mail, in milliseconds since 1970.
    pub email_verified_at: Option<i64>,
    /// What they may do.
    pub role: Role,
    /// May not sign in or refresh.
    pub disabled: bool,
    /// Milliseconds since 1970.
    pub created_at: i64,
}

impl User {
    /// Whether they count when the last admin is looked for.
    #[must_use]
    pub fn is_enabled_admin(&self) -> bool {
        self.role == Role::Admin && !self.disabled
    }
}

/// A user with what proves that it is them.
#[derive(Clone, Debug)]
pub struct Account {
    /// Who it is.
    pub user: User,
    /// What their password is held against.
    pub hash: PasswordHash,
}

impl Account {
    /// Whether a proof of this account is one of `now`, the same account read later: enabled, with the same password.
    pub(crate) fn still_counts(&self, now: &Self) -> bool {
        !now.user.disabled && now.hash.is_of_the_same_password(&self.hash)
    }
}

/// The store of users, in one SQL text for `SQLite` and Postgres. Every call ends within a second.
#[derive(Clone, Debug)]
pub struct Users {
    pool: Database,
    /// For notices of changes; none where mail is off.
    outbox: Option<Arc<Outbox>>,
}

const BY_ID: &str = concat!("SELECT ", columns!(), " FROM users WHERE id = $1");
const BY_USERNAME: &str = concat!("SELECT ", columns!(), " FROM users WHERE username = $1");
const BY_EMAIL: &str = concat!("SELECT ", columns!(), " FROM users WHERE email = $1");
const REPLACE_HASH: &str = "UPDATE users SET password_hash = $3 WHERE id = $1 AND password_hash = $2";
const GREATEST_COST: &str = "SELECT max(substr(password_hash, length(password_hash) - 55, 2)) FROM users";

impl Users {
    /// On a database that is at [`ENDINGS`] or newer.
    #[must_use]
    pub fn new(pool: Database) -> Self {
        Self { pool, outbox: None }
    }

    /// The same with mail: changes of an account also write a notice to its owner.
    #[must_use]
    pub fn with_notices(self, outbox: Option<Arc<Outbox>>) -> Self {
        Self { outbox, ..self }
    }

    /// The user of this id.
    ///
    /// # Errors
    /// The store's.
    pub async fn find(&self, id: &UserId) -> Result<Option<User>, StoreError> {
        self.fetch(BY_ID, id).await?.as_ref().map(rows::user).transpose()
    }

    /// The same with the stored password.
    ///
    /// # Errors
    /// The store's.
    pub async fn account(&self, id: &UserId) -> Result<Option<Account>, StoreError> {
        self.fetch(BY_ID, id).await?.as_ref().map(rows::account).transpose()
    }

    /// The user of this name.
    ///
    /// # Errors
    /// The store's.
    pub async fn find_by_username(&self, username: &Username) -> Result<Option<User>, StoreError> {
        self.fetch(BY_USERNAME, username.as_str()).await?.as_ref().map(rows::user).transpose()
    }

    /// The account that logs in under `login`, a user name or an email in any spelling that [`canonical_login`] accepts.
    ///
    /// # Errors
    /// The store's.
    pub async fn account_by_login(&self, login: &str) -> Result<Option<Account>, StoreError> {
        let login = canonical_login(login);
        let row = if Username::parse(&login).is_ok() {
            self.fetch(BY_USERNAME, &login).await?
        } else if Email::parse(&login).is_ok() {
            self.fetch(BY_EMAIL, &login).await?
        } else {
            None
        };
        row.as_ref().map(rows::account).transpose()
    }

    /// Puts `new` in the place of `old`, and says whether `old` still stood there: a rewritten hash must never undo a
    /// password change that happened since it was read.
    ///
    /// # Errors
    /// The store's.
    pub async fn replace_hash(&self, id: &UserId, old: &PasswordHash, new: &PasswordHash) -> Result<bool, StoreError> {
        let update = sqlx::query(REPLACE_HASH).bind(id.as_str()).bind(old.as_stored()).bind(new.as_stored());
        let done = within(STORE, update.execute(&self.pool)).await?;
        Ok(done.rows_affected() == 1)
    }

    /// The cost of the costliest hash, for [`Passwords::expect_cost`](crate::passwords::Passwords::expect_cost).
    ///
    /// # Errors
    /// The store's; a hash of no known form is corrupt.
    pub async fn greatest_cost(&self) -> Result<Option<Cost>, StoreError> {
        let query = sqlx::query_scalar::<_, Option<String>>(GREATEST_COST);
        let cost = within(STORE, async { query.fetch_one(&mut *self.pool.list().await?).await }).await?;
        let wrong = |_| StoreError::corrupt(STORE, "users.password_hash of no known form");
        cost.map(|cost| cost.parse().map_err(wrong)).transpose()
    }

    async fn fetch(&self, select: &'static str, key: &str) -> Result<Option<AnyRow>, StoreError> {
        within(STORE, sqlx::query(select).bind(key).fetch_optional(&self.pool)).await
    }
}
