use shared_claims::Role;
use shared_http::database::{StoreError, within};

use super::{NewUser, STORE, Username, Users};
use crate::passwords::{NewPassword, Passwords, PoolError};

/// The people of the tutorials: name, password, role. Everybody knows them, so they exist only where `DEMO_DATA` is on.
pub const DEMO_PEOPLE: [(&str, &str, Role); 2] =
    [("john", "password123admin", Role::Admin), ("anna", "password123member", Role::Member)];

const SEEDED: &str = "SELECT seeded FROM users_turn WHERE id = 1";
/// Comes last, so that a start that was cut off is made up for by the next.
const MARK: &str = "UPDATE users_turn SET seeded = 1 WHERE id = 1";

/// Why the demo people are not there.
#[derive(Debug, thiserror::Error)]
pub enum SeedError {
    /// They could not be stored.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Their passwords could not be hashed.
    #[error(transparent)]
    Pool(#[from] PoolError),
}

impl Users {
    /// Adds those of [`DEMO_PEOPLE`] whose name is free, the first time: who is there is left alone, changed password and
    /// all, and who was removed stays away. Several instances may do this at once.
    ///
    /// # Errors
    /// The store's, the pool's.
    pub async fn seed_demo(&self, passwords: &Passwords, now_ms: i64) -> Result<(), SeedError> {
        if self.is_seeded().await? {
            return Ok(());
        }
        for (name, password, role) in DEMO_PEOPLE {
            let username = Username::stored(name.to_owned());
            if self.find_by_username(&username).await?.is_none() {
                let hash = passwords.hash(NewPassword::of_demo(password)).await?;
                // Taken by now: another instance was faster.
                self.create(NewUser { username, email: None, hash, role }, now_ms).await?;
            }
        }
        Ok(within(STORE, sqlx::query(MARK).execute(&self.pool)).await.map(|_| ())?)
    }

    async fn is_seeded(&self) -> Result<bool, StoreError> {
        let seeded: i64 = within(STORE, sqlx::query_scalar(SEEDED).fetch_one(&self.pool)).await?;
        Ok(seeded == 1)
    }
}
