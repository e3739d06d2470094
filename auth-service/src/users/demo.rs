use shared_claims::Role;
use shared_service::database::{StoreError, within};

use super::creation::insert;
use super::{NewUser, STORE, UserId, Username, Users};
use crate::limits::ClientNetwork;
use crate::passwords::{NewPassword, Passwords, PoolError};

/// A user of the tutorials.
pub struct DemoPerson {
    /// The id in every installation whose sessions are in its own database, so that tests can name it.
    pub id: &'static str,
    /// The user name.
    pub name: &'static str,
    /// The password. It is published.
    pub password: &'static str,
    /// The role.
    pub role: Role,
}

/// The demo users of the tutorials. Their passwords are published, so they exist only with `DEMO_DATA`.
pub const DEMO_PEOPLE: [DemoPerson; 2] = [
    DemoPerson {
        id: "01900000-0000-7000-8000-000000000001",
        name: "john",
        password: "password123admin",
        role: Role::Admin,
    },
    DemoPerson {
        id: "01900000-0000-7000-8000-000000000002",
        name: "anna",
        password: "password123member",
        role: Role::Member,
    },
];

const SEEDED: &str = "SELECT seeded FROM users_turn WHERE id = 1";
/// Written last, so that the next start repeats an interrupted one.
const MARK: &str = "UPDATE users_turn SET seeded = 1 WHERE id = 1";

/// The reason why the demo users cannot be added, or keep a service from starting.
#[derive(Debug, thiserror::Error)]
pub enum SeedError {
    /// They could not be stored.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Their passwords could not be hashed.
    #[error(transparent)]
    Pool(#[from] PoolError),
    /// A published password opens their account.
    #[error(
        "DEMO_DATA is false, but a published demo password opens the account {}: set another one \
        (auth-service users set-password), or users disable, or users delete; or set DEMO_DATA=true",
        .0.join(" and the account ")
    )]
    Published(Vec<&'static str>),
}

impl Users {
    /// Adds, once per database, those of [`DEMO_PEOPLE`] whose name is free. Existing users stay unchanged, and deleted
    /// ones are not added again. Several instances may do this at once.
    ///
    /// `fixed_ids` must be false where sessions are in Redis: several installations may share one Redis, which keeps
    /// sessions by the user's id.
    ///
    /// # Errors
    /// A store or the hashing pool is unavailable.
    pub async fn seed_demo(&self, passwords: &Passwords, fixed_ids: bool, now_ms: i64) -> Result<(), SeedError> {
        let seeded: i64 = within(STORE, sqlx::query_scalar(SEEDED).fetch_one(&self.pool)).await?;
        if seeded == 1 {
            return Ok(());
        }
        for DemoPerson { id, name, password, role } in DEMO_PEOPLE {
            if self.account_by_login(name).await?.is_none() {
                let username = Username::stored(name.to_owned());
                let hash = passwords.hash(NewPassword::of_demo(password)).await?;
                // If the name is taken by now, another instance was faster.
                let id = if fixed_ids { UserId(id.to_owned()) } else { UserId::new() };
                let new = NewUser { username, email: None, hash, role };
                within(STORE, insert(&self.pool, id, new, now_ms)).await?;
            }
        }
        Ok(within(STORE, sqlx::query(MARK).execute(&self.pool)).await.map(|_| ())?)
    }

    /// Refuses a database in which one of [`DEMO_PEOPLE`] has a published password.
    pub(crate) async fn refuse_demo(&self, passwords: &Passwords) -> Result<(), SeedError> {
        let mut open = Vec::new();
        for DemoPerson { name, .. } in DEMO_PEOPLE {
            let account = self.account_by_login(name).await?.filter(|account| !account.user.disabled);
            let Some(account) = account else { continue };
            for DemoPerson { password, .. } in DEMO_PEOPLE {
                if passwords.verify(ClientNetwork::default(), password, &account.hash).await?.is_some() {
                    open.push(name);
                }
            }
        }
        if open.is_empty() { Ok(()) } else { Err(SeedError::Published(open)) }
    }
}
