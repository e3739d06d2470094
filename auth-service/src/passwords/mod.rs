//! Passwords: rules, storage, verification, and the threads for it.

/// An estimate of a password's strength, in bounded time.
mod estimate;
/// The stored form of a password.
mod hash;
/// Hashing and verifying, without threads.
mod hasher;
/// A hashing job, and the reasons why it is not done.
mod job;
/// The keys applied before bcrypt.
mod keys;
/// Rules for new passwords.
mod new_password;
/// The hashing threads.
mod pool;
/// The queue of hashing jobs.
mod queue;
/// Unicode normalization.
mod text;

use std::io;
use std::iter;
use std::ops::RangeInclusive;
use std::sync::Arc;

use secrecy::{ExposeSecret, SecretString};

pub use hash::{InvalidHash, PasswordHash};
use hasher::Hasher;
pub use job::PoolError;
pub use keys::Key as Pepper;
pub(crate) use new_password::check_length;
pub use new_password::{NewPassword, WeakPassword};
pub use pool::{Pool, Right};

use crate::limits::ClientNetwork;

/// The reason why a new password was not hashed.
#[derive(Debug, thiserror::Error)]
pub enum NotHashed {
    /// The user has to choose another one.
    #[error(transparent)]
    Weak(#[from] WeakPassword),
    /// The work was not done.
    #[error(transparent)]
    Pool(#[from] PoolError),
}

/// The costs of bcrypt, its work factors: each step doubles the work.
pub const COSTS: RangeInclusive<u32> = 4..=31;
/// The highest cost of an imported hash, unless `BCRYPT_COST` is higher: every failed login then takes about a second.
const GREATEST_IMPORTED: u32 = 14;
const TOO_COSTLY: &str = "has a bcrypt cost above 14 and above BCRYPT_COST: every failed login would take as long; \
    import with a higher BCRYPT_COST to take it all the same";

/// Hashes and verifies passwords on its own threads, for which clients take turns.
///
/// The time does not reveal if a user exists, provided that the caller verifies something in both cases:
/// [`verify`](Self::verify) for an account that may log in, `verify_dummy` otherwise. Both take as long as the costliest
/// hash seen so far, at least the configured cost; twice as long for a text that is not in NFC.
pub struct Passwords {
    hasher: Arc<Hasher>,
    pool: Pool,
}

impl Passwords {
    /// Starts one thread per core. Logs a warning for a `cost` below 10.
    ///
    /// # Errors
    /// The system provides no threads.
    pub fn start(cost: u32, pepper: Option<Pepper>) -> io::Result<Self> {
        // An attacker could try thousands of passwords a second.
        if cost < 10 {
            log::warn!("BCRYPT_COST is {cost}: stolen hashes would be cheap to guess; 12 is the default");
        }
        Ok(Self::on(Pool::start()?, cost, pepper))
    }

    /// Uses the threads of `pool`.
    #[must_use]
    pub fn on(pool: Pool, cost: u32, pepper: Option<Pepper>) -> Self {
        Self { hasher: Arc::new(Hasher::new(cost, pepper)), pool }
    }

    /// Checks and hashes a new password, in one job. An attacker tries the words in `about` first: the user's name and
    /// email.
    ///
    /// # Errors
    /// [`NotHashed::Weak`] with advice for the user, [`NotHashed::Pool`] if the work was not done.
    pub async fn hash_new(
        &self,
        asker: ClientNetwork,
        text: impl Into<SecretString>,
        about: &[&str],
    ) -> Result<PasswordHash, NotHashed> {
        let text = text.into();
        // The length is checked before the password is queued.
        check_length(text.expose_secret())?;
        let about: Vec<String> = about.iter().map(|&word| word.to_owned()).collect();
        let hasher = Arc::clone(&self.hasher);
        let work = move || {
            let new = NewPassword::parse(text.expose_secret(), &about)?;
            hasher.hash_text(new.text(), None).map_err(NotHashed::from)
        };
        self.pool.run(asker, work).await?
    }

    /// Hashes a password that was checked before.
    ///
    /// # Errors
    /// The work was not done.
    pub async fn hash(&self, new: NewPassword) -> Result<PasswordHash, PoolError> {
        let hasher = Arc::clone(&self.hasher);
        self.pool.run(ClientNetwork::default(), move || hasher.hash_text(new.text(), None)).await?
    }

    /// Verifies the password `text` against `hash`; `None` if it is wrong.
    ///
    /// # Errors
    /// The work was not done; it is unknown if the password is correct.
    pub async fn verify(
        &self,
        asker: ClientNetwork,
        text: impl Into<SecretString>,
        hash: &PasswordHash,
    ) -> Result<Option<Right>, PoolError> {
        let (text, hash, hasher) = (text.into(), hash.clone(), Arc::clone(&self.hasher));
        let attempts = iter::once_with(move || hasher.attempts(text.expose_secret(), &hash));
        self.pool.queue(asker, attempts.flatten(), false).await
    }

    /// Hashes `text` again if `hash`, which it matches in the attempt `right`, is a plain import, has another cost or
    /// key, or is of another Unicode form. See [`Users::replace_hash`](crate::users::Users::replace_hash).
    pub async fn rewrite(
        &self,
        asker: ClientNetwork,
        text: impl Into<SecretString>,
        hash: &PasswordHash,
        right: usize,
    ) -> Option<PasswordHash> {
        let text = text.into();
        if !self.hasher.is_outdated(hash, text.expose_secret(), right) {
            return None;
        }
        let (hash, hasher) = (hash.clone(), Arc::clone(&self.hasher));
        // Without a new hash the old one stays.
        self.pool.run(asker, move || hasher.rewrite(text.expose_secret(), &hash)).await.flatten().ok()
    }

    /// Verifies no hash, but takes as long as a wrong password for an existing user.
    pub(crate) async fn verify_dummy(&self, asker: ClientNetwork, text: SecretString) -> Result<(), PoolError> {
        let hasher = Arc::clone(&self.hasher);
        let attempts = iter::once_with(move || hasher.dummies(text.expose_secret()));
        self.pool.queue(asker, attempts.flatten(), false).await.map(drop)
    }

    /// Checks that an imported hash can be verified here, in reasonable time.
    ///
    /// # Errors
    /// The reason why it cannot.
    pub fn check_import(&self, hash: &PasswordHash) -> Result<(), &'static str> {
        if !hash.is_plain() && self.hasher.key(hash).is_none() {
            return Err("was made with a PASSWORD_PEPPER that is not set here");
        }
        if hash.cost() > self.hasher.cost.max(GREATEST_IMPORTED) {
            return Err(TOO_COSTLY);
        }
        Ok(())
    }

    /// True if storing `hash` makes each failed login take longer.
    pub(crate) fn is_costly(&self, hash: &PasswordHash) -> bool {
        hash.cost() > self.hasher.cost
    }

    /// Makes failures take at least as long as a hash of `cost`, because such hashes are stored (see
    /// [`Users::greatest_cost`](crate::users::Users::greatest_cost)). Hashes verified later do so by themselves.
    pub fn expect_cost(&self, cost: u32) {
        self.hasher.expect_cost(cost);
    }

    /// The number of queued jobs.
    pub(crate) fn queue_depth(&self) -> usize {
        self.pool.depth()
    }
}
