//! Passwords: what a new one must be, how it is stored, how it is proven, and where that work runs.

/// bcrypt's work factor.
mod cost;
/// How many guesses a password withstands, at a bounded price.
mod estimate;
/// What is stored of a password.
mod hash;
/// Hashing and verifying, without threads.
mod hasher;
/// What a password goes through before bcrypt.
mod keys;
/// A password that somebody chose, found good enough.
mod new_password;
/// How long a job takes, as far as is known.
mod pace;
/// The threads that hash.
mod pool;
/// Who waits for them.
mod queue;
/// The form in which a password is hashed.
mod text;

use std::io;
use std::sync::Arc;

use secrecy::{ExposeSecret, SecretString};

pub use cost::{Cost, WrongCost};
pub use hash::{InvalidHash, PasswordHash};
use hasher::Hasher;
pub use hasher::UnusableHash;
pub use keys::{Pepper, ShortPepper};
pub use new_password::{LONGEST, NewPassword, SHORTEST, WeakPassword, check_length};
pub use pool::Pool;
pub use queue::PoolError;

use crate::limits::ClientNetwork;

/// What became of a password that was held against a stored hash.
#[derive(Debug)]
pub enum PasswordCheck {
    /// It is another password.
    Wrong,
    /// It is the password.
    Correct,
    /// It is the password, and this should be stored from now on: the old hash is a plain import, of another cost, made with
    /// another key or of another form of the text. See [`Users::replace_hash`](crate::users::Users::replace_hash).
    CorrectButOutdated(PasswordHash),
}

/// Why a new password was not hashed.
#[derive(Debug, thiserror::Error)]
pub enum NotHashed {
    /// The person has to choose another one.
    #[error(transparent)]
    Weak(#[from] WeakPassword),
    /// No thread did the work.
    #[error(transparent)]
    Pool(#[from] PoolError),
}

/// Hashes and verifies passwords on its own threads, never on the caller's; those who ask take turns.
///
/// Who asks for an unknown user learns nothing from the time it takes, as long as the caller verifies something either
/// way: [`verify`](Self::verify) for an account that may log in, [`verify_dummy`](Self::verify_dummy) otherwise. Both take
/// as long as the costliest hash that was met, the configured cost at least; twice as long for a text that is not in NFC.
#[derive(Debug)]
pub struct Passwords {
    hasher: Arc<Hasher>,
    pool: Pool,
}

impl Passwords {
    /// Starts one thread per core. A `cost` below 10 is warned of.
    ///
    /// # Errors
    /// The system gives no threads.
    pub fn start(cost: Cost, pepper: Option<Pepper>) -> io::Result<Self> {
        if cost.is_low() {
            log::warn!("BCRYPT_COST is {cost}: stolen hashes would be cheap to guess; 12 is the default");
        }
        Ok(Self::on(Pool::start()?, cost, pepper))
    }

    /// The same on threads of the caller's choice.
    #[must_use]
    pub fn on(pool: Pool, cost: Cost, pepper: Option<Pepper>) -> Self {
        Self { hasher: Arc::new(Hasher::new(cost, pepper)), pool }
    }

    /// Checks a password that somebody chose and hashes it, in one job. `about` is what an attacker tries first: the
    /// person's name and email.
    ///
    /// # Errors
    /// [`NotHashed::Weak`] with advice for the person, [`NotHashed::Pool`] when the work was not done.
    pub async fn hash_new(
        &self,
        asker: ClientNetwork,
        text: impl Into<SecretString>,
        about: &[&str],
    ) -> Result<PasswordHash, NotHashed> {
        let text = text.into();
        // Told at once: no need to stand in line to learn that a password is too short.
        check_length(text.expose_secret())?;
        let about: Vec<String> = about.iter().map(|&word| word.to_owned()).collect();
        let hasher = Arc::clone(&self.hasher);
        let work = move || {
            let new = NewPassword::parse(text.expose_secret(), &about)?;
            hasher.hash(&new).map_err(NotHashed::from)
        };
        self.pool.run(asker, work).await?
    }

    /// Hashes a password that was found good before.
    ///
    /// # Errors
    /// The work was not done.
    pub async fn hash(&self, new: NewPassword) -> Result<PasswordHash, PoolError> {
        let hasher = Arc::clone(&self.hasher);
        self.pool.run(ClientNetwork::default(), move || hasher.hash(&new)).await?
    }

    /// Hashes a random password, which is then dropped: for an account whose user sets one by a link.
    ///
    /// # Errors
    /// The work was not done.
    pub async fn hash_random(&self) -> Result<PasswordHash, PoolError> {
        self.hash(NewPassword::random()).await
    }

    /// Holds the password `text` against `hash`.
    ///
    /// # Errors
    /// The work was not done; then nothing is known about the password.
    pub async fn verify(
        &self,
        asker: ClientNetwork,
        text: impl Into<SecretString>,
        hash: &PasswordHash,
    ) -> Result<PasswordCheck, PoolError> {
        let (text, hash, hasher) = (text.into(), hash.clone(), Arc::clone(&self.hasher));
        self.pool.run(asker, move || hasher.verify(text.expose_secret(), &hash)).await
    }

    /// Whether `text` is the password of `hash`; nothing is rewritten.
    ///
    /// # Errors
    /// The work was not done; then nothing is known about the password.
    pub async fn is_right(
        &self,
        asker: ClientNetwork,
        text: impl Into<SecretString>,
        hash: &PasswordHash,
    ) -> Result<bool, PoolError> {
        let (text, hash, hasher) = (text.into(), hash.clone(), Arc::clone(&self.hasher));
        self.pool.run(asker, move || hasher.proof(text.expose_secret(), &hash).is_some()).await
    }

    /// Takes as long as finding `text` wrong for somebody known, and finds nothing.
    ///
    /// # Errors
    /// The work was not done.
    pub async fn verify_dummy(&self, asker: ClientNetwork, text: impl Into<SecretString>) -> Result<(), PoolError> {
        let (text, hasher) = (text.into(), Arc::clone(&self.hasher));
        self.pool.run(asker, move || hasher.verify_dummy(text.expose_secret())).await
    }

    /// Whether a hash from another database will be of use here.
    ///
    /// # Errors
    /// Why it will not.
    pub fn check_import(&self, hash: &PasswordHash) -> Result<(), UnusableHash> {
        self.hasher.check_import(hash)
    }

    /// Whether each failed login takes longer because `hash` is stored.
    #[must_use]
    pub fn is_costly(&self, hash: &PasswordHash) -> bool {
        self.hasher.is_costly(hash.cost())
    }

    /// Makes failures take at least as long as a hash of `cost` does, because such hashes are stored
    /// ([`Users::greatest_cost`](crate::users::Users::greatest_cost) knows). Hashes that are met later count by
    /// themselves.
    pub fn expect_cost(&self, cost: Cost) {
        self.hasher.expect_cost(cost);
    }

    /// Jobs that wait for a thread.
    #[must_use]
    pub fn queue_depth(&self) -> usize {
        self.pool.depth()
    }
}
