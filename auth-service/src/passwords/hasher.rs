use std::borrow::Cow;
use std::hint::black_box;
use std::sync::atomic::{AtomicU32, Ordering};

use super::keys::Key;
use super::{Cost, NewPassword, PasswordHash, Pepper, PoolError, Verdict};

/// Four seconds a try. One such hash makes every failure take as long.
const GREATEST_IMPORTED: u32 = 16;

/// Why a hash from elsewhere is of no use here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnusableHash {
    /// The pepper that it was made with is not set.
    #[error("was made with a PASSWORD_PEPPER that is not set here")]
    OtherPepper,
    /// Trying a password on it would block a thread for many seconds.
    #[error("has a bcrypt cost above 16 and above BCRYPT_COST")]
    TooCostly,
}

/// The arithmetic of passwords. Every call takes as long as bcrypt does, so it belongs on the [`Pool`](super::Pool).
#[derive(Debug)]
pub(super) struct Hasher {
    cost: Cost,
    /// The costliest hash that was met, at least `cost`: what every failure takes.
    slowest: AtomicU32,
    pepper: Option<Key>,
    fixed: Key,
}

impl Hasher {
    pub(super) fn new(cost: Cost, pepper: Option<Pepper>) -> Self {
        let slowest = AtomicU32::new(cost.get());
        Self { cost, slowest, pepper: pepper.map(Pepper::into_key), fixed: Key::fixed() }
    }

    pub(super) fn expect_cost(&self, cost: Cost) {
        self.slowest.fetch_max(cost.get(), Ordering::Relaxed);
    }

    /// Whether `hash` could be verified here, in a time that a person would wait for.
    pub(super) fn check_import(&self, hash: &PasswordHash) -> Result<(), UnusableHash> {
        if self.input("", hash.key()).is_none() {
            return Err(UnusableHash::OtherPepper);
        }
        if hash.cost().get() > self.cost.get().max(GREATEST_IMPORTED) {
            return Err(UnusableHash::TooCostly);
        }
        Ok(())
    }

    pub(super) fn hash(&self, new: &NewPassword) -> Result<PasswordHash, PoolError> {
        self.hash_text(new.text())
    }

    pub(super) fn verify(&self, text: &str, hash: &PasswordHash) -> Verdict {
        self.expect_cost(hash.cost());
        let Some(input) = self.input(text, hash.key()) else {
            log::error!("a stored password was made with a PASSWORD_PEPPER that is not set, so nobody can prove it");
            self.verify_nobody(text);
            return Verdict::Wrong;
        };
        if !bcrypt::verify(&input, hash.bcrypt()).unwrap_or(false) {
            self.spend(&input, hash.cost().get());
            return Verdict::Wrong;
        }
        if self.is_current(hash) { Verdict::Right } else { self.rewrite(text) }
    }

    pub(super) fn verify_nobody(&self, text: &str) {
        spend_once(self.current_key().derive(text).as_bytes(), self.slowest.load(Ordering::Relaxed));
    }

    /// After a try at `done`, works on until it took as long as one at the slowest cost: 2ⁿ + 2ⁿ + 2ⁿ⁺¹ + … + 2ᵐ⁻¹ = 2ᵐ.
    fn spend(&self, input: &[u8], done: u32) {
        for cost in done..self.slowest.load(Ordering::Relaxed) {
            spend_once(input, cost);
        }
    }

    fn rewrite(&self, text: &str) -> Verdict {
        self.hash_text(text).map_or(Verdict::Right, Verdict::RightButRewrite)
    }

    fn hash_text(&self, text: &str) -> Result<PasswordHash, PoolError> {
        let key = self.current_key();
        let made = bcrypt::hash(key.derive(text), self.cost.get());
        let bcrypt = made.map_err(|error| PoolError::Failed(error.to_string()))?;
        PasswordHash::parse(format!("{}:{bcrypt}", key.name())).map_err(|error| PoolError::Failed(error.to_string()))
    }

    fn is_current(&self, hash: &PasswordHash) -> bool {
        hash.cost() == self.cost && hash.key() == Some(self.current_key().name())
    }

    fn current_key(&self) -> &Key {
        self.pepper.as_ref().unwrap_or(&self.fixed)
    }

    /// What bcrypt was given for a hash whose key has this name; `None` when we do not have the key.
    fn input<'a>(&self, text: &'a str, key: Option<&str>) -> Option<Cow<'a, [u8]>> {
        let Some(name) = key else { return Some(Cow::Borrowed(text.as_bytes())) };
        let key = [Some(&self.fixed), self.pepper.as_ref()].into_iter().flatten().find(|key| key.name() == name)?;
        Some(Cow::Owned(key.derive(text).into_bytes()))
    }
}

fn spend_once(input: &[u8], cost: u32) {
    let _spent = black_box(bcrypt::hash_with_salt_bytes(black_box(input), cost, [0; 16]));
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rustix::time::{ClockId, clock_gettime};

    use super::*;

    const AT: u32 = 8;

    /// What `work` costs this thread, whatever else the machine does: the least of several tries.
    fn cost_of(work: impl Fn()) -> Duration {
        let now = || Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap();
        let once = |_| {
            let start = now();
            work();
            now().saturating_sub(start)
        };
        (0..7).map(once).min().unwrap()
    }

    fn hasher(cost: u32) -> Hasher {
        Hasher::new(cost.try_into().unwrap(), None)
    }

    fn hash(cost: u32) -> PasswordHash {
        hasher(cost).hash_text("the right one").unwrap()
    }

    fn assert_alike(one: Duration, other: Duration, why: &str) {
        let ratio = one.as_secs_f64() / other.as_secs_f64();
        assert!((0.8..1.25).contains(&ratio), "{why}: {one:?} and {other:?}");
    }

    #[test]
    fn an_unknown_user_costs_as_much_as_a_wrong_password() {
        let hasher = hasher(AT);
        let plain = PasswordHash::parse(hash(AT - 1).bcrypt()).unwrap();
        let unknown = cost_of(|| hasher.verify_nobody("a wrong one"));
        for (hash, why) in
            [(hash(AT), "current"), (hash(AT - 3), "of a lower cost"), (plain, "plain and of a lower cost")]
        {
            let wrong = cost_of(|| assert!(matches!(hasher.verify("a wrong one", &hash), Verdict::Wrong)));
            assert_alike(wrong, unknown, why);
        }
        let foreign = PasswordHash::parse(format!("pepper-00000000:{}", hash(AT - 2).bcrypt())).unwrap();
        let wrong = cost_of(|| assert!(matches!(hasher.verify("a wrong one", &foreign), Verdict::Wrong)));
        assert_alike(wrong, unknown, "of a pepper that is not set");
    }

    #[test]
    fn where_a_hash_costs_more_than_configured_an_unknown_user_does_too() {
        let (told, learned, dear) = (hasher(AT - 3), hasher(AT - 3), hash(AT));
        told.expect_cost(dear.cost());
        learned.verify("a wrong one", &dear);
        let wrong = cost_of(|| drop(learned.verify("a wrong one", &dear)));
        for (hasher, why) in [(told, "told at start"), (learned, "met since")] {
            assert_alike(cost_of(|| hasher.verify_nobody("a wrong one")), wrong, why);
            let cheap = hash(AT - 3);
            assert_alike(cost_of(|| drop(hasher.verify("a wrong one", &cheap))), wrong, why);
        }
    }
}
