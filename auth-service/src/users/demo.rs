use shared_claims::Role;
use shared_http::database::StoreError;

use super::{NewUser, Username, Users};
use crate::passwords::{NewPassword, Passwords, PoolError};

/// The people of the tutorials: name, password, role. Everybody knows them, so they exist only where `DEMO_DATA` is on.
pub const DEMO_PEOPLE: [(&str, &str, Role); 2] =
    [("john", "password123admin", Role::Admin), ("anna", "password123member", Role::Member)];

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
    /// Adds those of [`DEMO_PEOPLE`] whose name is free. Who is there is left alone, changed password and all; several
    /// instances may do this at once.
    ///
    /// # Errors
    /// The store's, the pool's.
    pub async fn seed_demo(&self, passwords: &Passwords, now_ms: i64) -> Result<(), SeedError> {
        for (name, password, role) in DEMO_PEOPLE {
            let username = Username::stored(name.to_owned());
            if self.find_by_username(&username).await?.is_none() {
                let hash = passwords.hash(NewPassword::of_demo(password)).await?;
                // Taken by now: another instance was faster.
                self.create(NewUser { username, email: None, hash, role }, now_ms).await?;
            }
        }
        Ok(())
    }
}
