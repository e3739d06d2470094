use std::borrow::Cow;
use std::hint::black_box;
use std::sync::atomic::{AtomicU32, Ordering};

use super::keys::Key;
use super::text::{forms, prepare};
use super::{Cost, NewPassword, PasswordCheck, PasswordHash, Pepper, PoolError};

/// About a second per attempt. One such hash makes every failed login take as long.
const GREATEST_IMPORTED: u32 = 14;
/// The length at which plain bcrypt truncates its input, in bytes.
const CUT: usize = 72;

/// The reason why an imported hash cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnusableHash {
    /// It was made with a pepper that is not set.
    #[error("was made with a PASSWORD_PEPPER that is not set here")]
    OtherPepper,
    /// Verifying it would take many seconds.
    #[error(
        "has a bcrypt cost above 14 and above BCRYPT_COST: every failed login would take as long; import with a higher BCRYPT_COST to take it all the same"
    )]
    TooCostly,
}

/// Hashes and verifies passwords. Every call takes as long as bcrypt, so use it on the [`Pool`](super::Pool).
#[derive(Debug)]
pub(super) struct Hasher {
    cost: Cost,
    /// The highest cost of any hash seen so far, at least `cost`: every failure takes that long.
    slowest: AtomicU32,
    pepper: Option<Key>,
    fixed: Key,
}

impl Hasher {
    pub(super) fn new(cost: Cost, pepper: Option<Pepper>) -> Self {
        let slowest = AtomicU32::new(cost.get());
        Self { cost, slowest, pepper: pepper.map(Pepper::into_key), fixed: Key::fixed() }
    }

    pub(super) fn is_costly(&self, cost: Cost) -> bool {
        cost > self.cost
    }

    pub(super) fn expect_cost(&self, cost: Cost) {
        self.slowest.fetch_max(cost.get(), Ordering::Relaxed);
    }

    /// Checks that `hash` can be verified here, in reasonable time.
    pub(super) fn check_import(&self, hash: &PasswordHash) -> Result<(), UnusableHash> {
        if !hash.is_plain() && self.key(hash).is_none() {
            return Err(UnusableHash::OtherPepper);
        }
        if hash.cost().get() > self.cost.get().max(GREATEST_IMPORTED) {
            return Err(UnusableHash::TooCostly);
        }
        Ok(())
    }

    pub(super) fn hash(&self, new: &NewPassword) -> Result<PasswordHash, PoolError> {
        self.hash_text(new.text(), None)
    }

    pub(super) fn verify(&self, text: &str, hash: &PasswordHash) -> PasswordCheck {
        match self.proof(text, hash) {
            None => PasswordCheck::Wrong,
            Some(proof) if self.is_current(hash) && proof == prepare(text) => PasswordCheck::Correct,
            // Only its start was compared: the new hash might be of another password.
            Some(proof) if hash.is_plain() && proof.len() >= CUT => PasswordCheck::Correct,
            Some(_) => self.rewrite(text, hash),
        }
    }

    /// Returns the form of `text` that matches `hash`. If none does, it takes as long as
    /// [`verify_dummy`](Self::verify_dummy).
    pub(super) fn proof<'a>(&self, text: &'a str, hash: &PasswordHash) -> Option<Cow<'a, str>> {
        self.expect_cost(hash.cost());
        let key = self.key(hash);
        if key.is_none() && !hash.is_plain() {
            log::error!("a stored password was made with a PASSWORD_PEPPER that is not set, so it cannot be verified");
            self.verify_dummy(text);
            return None;
        }
        let input = |form: &str| key.map_or_else(|| form.to_owned(), |key| key.derive(form));
        // Some programs end bcrypt's input at a NUL, others repeat it: a text with one matches no plain hash.
        let is_right = |form: &Cow<'_, str>| {
            bcrypt::verify(input(form), hash.bcrypt()).unwrap_or(false) && !(hash.is_plain() && form.contains('\0'))
        };
        let forms = forms(text);
        if let Some(right) = forms.iter().find(|form| is_right(form)) {
            return Some(right.clone());
        }
        for form in forms {
            self.spend(input(&form).as_bytes(), hash.cost().get());
        }
        None
    }

    pub(super) fn verify_dummy(&self, text: &str) {
        for form in forms(text) {
            spend_once(self.current_key().derive(&form).as_bytes(), self.slowest.load(Ordering::Relaxed));
        }
    }

    /// After an attempt at cost `done`, works on until the time equals one attempt at the highest cost: 2ⁿ + 2ⁿ + 2ⁿ⁺¹
    /// + … + 2ᵐ⁻¹ = 2ᵐ.
    fn spend(&self, input: &[u8], done: u32) {
        for cost in done..self.slowest.load(Ordering::Relaxed) {
            spend_once(input, cost);
        }
    }

    /// Keeps the salt of our own hash, so that [`PasswordHash::is_of_the_same_password`] recognizes the rewrite.
    fn rewrite(&self, text: &str, old: &PasswordHash) -> PasswordCheck {
        let salt = if old.is_plain() { None } else { Some(old.salt()) };
        self.hash_text(&prepare(text), salt).map_or(PasswordCheck::Correct, PasswordCheck::CorrectButOutdated)
    }

    fn hash_text(&self, text: &str, salt: Option<[u8; 16]>) -> Result<PasswordHash, PoolError> {
        let (key, cost) = (self.current_key(), self.cost.get());
        let input = key.derive(text);
        let made = match salt {
            Some(salt) => bcrypt::hash_with_salt(input, cost, salt),
            None => bcrypt::hash_with_result(input, cost),
        };
        let bcrypt = made.map_err(|error| PoolError::Failed(error.to_string()))?;
        PasswordHash::parse(format!("{}:{bcrypt}", key.name())).map_err(|error| PoolError::Failed(error.to_string()))
    }

    fn is_current(&self, hash: &PasswordHash) -> bool {
        hash.cost() == self.cost && hash.key() == Some(self.current_key().name())
    }

    fn current_key(&self) -> &Key {
        self.pepper.as_ref().unwrap_or(&self.fixed)
    }

    /// The key of `hash`; `None` for a plain hash, or if the key is not set.
    fn key(&self, hash: &PasswordHash) -> Option<&Key> {
        let name = hash.key()?;
        [Some(&self.fixed), self.pepper.as_ref()].into_iter().flatten().find(|key| key.name() == name)
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

    /// The CPU time of `work` on this thread: the least of several tries.
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
        hasher(cost).hash_text("the right one", None).unwrap()
    }

    fn assert_alike(one: Duration, other: Duration, why: &str) {
        let ratio = one.as_secs_f64() / other.as_secs_f64();
        assert!((0.8..1.25).contains(&ratio), "{why}: {one:?} and {other:?}");
    }

    #[test]
    fn unknown_user_takes_as_long_as_a_wrong_password() {
        let hasher = hasher(AT);
        let plain = PasswordHash::parse(hash(AT - 1).bcrypt()).unwrap();
        let unknown = cost_of(|| hasher.verify_dummy("a wrong one"));
        for (hash, why) in
            [(hash(AT), "current"), (hash(AT - 3), "of a lower cost"), (plain, "plain and of a lower cost")]
        {
            let wrong = cost_of(|| assert!(matches!(hasher.verify("a wrong one", &hash), PasswordCheck::Wrong)));
            assert_alike(wrong, unknown, why);
        }
        let foreign = PasswordHash::parse(format!("pepper-00000000:{}", hash(AT - 2).bcrypt())).unwrap();
        let wrong = cost_of(|| assert!(matches!(hasher.verify("a wrong one", &foreign), PasswordCheck::Wrong)));
        assert_alike(wrong, unknown, "of a pepper that is not set");
    }

    fn is_right(verdict: &PasswordCheck) -> bool {
        !matches!(verdict, PasswordCheck::Wrong)
    }

    #[test]
    fn password_hashed_before_it_was_normalised_opens_and_is_rewritten() {
        let hasher = hasher(4);
        for (sent, prepared) in [("cafe\u{301} owls", "caf\u{e9} owls"), ("two\u{a0}quiet owls", "two quiet owls")] {
            let old = bcrypt::hash(hasher.fixed.derive(sent), 4).unwrap();
            let old = PasswordHash::parse(format!("fixed:{old}")).unwrap();
            assert!(matches!(hasher.verify(prepared, &old), PasswordCheck::Wrong), "no other form was hashed");
            let PasswordCheck::CorrectButOutdated(new) = hasher.verify(sent, &old) else {
                panic!("{sent} does not open")
            };
            assert!(new.is_of_the_same_password(&old));
            assert!([sent, prepared].iter().all(|form| matches!(hasher.verify(form, &new), PasswordCheck::Correct)));
        }
    }

    #[test]
    fn plain_hash_opens_by_the_bytes_as_sent_and_by_their_nfc() {
        let hasher = hasher(4);
        let (sent, prepared) = ("cafe\u{301} owls", "caf\u{e9} owls");
        for (hashed, opens, fails) in [(sent, &[sent][..], &[prepared][..]), (prepared, &[sent, prepared], &[])] {
            let plain = PasswordHash::parse(bcrypt::hash(hashed, 4).unwrap()).unwrap();
            for text in opens {
                let PasswordCheck::CorrectButOutdated(new) = hasher.verify(text, &plain) else {
                    panic!("{text} does not open")
                };
                assert!([sent, prepared].iter().all(|form| is_right(&hasher.verify(form, &new))));
            }
            assert!(fails.iter().all(|text| !is_right(&hasher.verify(text, &plain))));
        }
    }

    #[test]
    fn wrong_password_takes_the_same_time_for_every_hash() {
        let hasher = hasher(AT);
        let plain = PasswordHash::parse(hash(AT - 1).bcrypt()).unwrap();
        for (text, why) in [
            ("a wro\u{301}ng one", "decomposed: tried in two forms"),
            ("a\u{a0}wrong one", "another space"),
            ("a\0wrong one", "NUL"),
            (&*"wrong".repeat(30), "long"),
        ] {
            let unknown = cost_of(|| hasher.verify_dummy(text));
            for (hash, kind) in [(hash(AT), "current"), (hash(AT - 2), "of a lower cost"), (plain.clone(), "plain")] {
                let wrong = cost_of(|| assert!(matches!(hasher.verify(text, &hash), PasswordCheck::Wrong)));
                assert_alike(wrong, unknown, &format!("{why}, {kind}"));
            }
        }
    }

    #[test]
    fn unknown_user_takes_as_long_as_the_costliest_hash() {
        let (told, learned, dear) = (hasher(AT - 3), hasher(AT - 3), hash(AT));
        told.expect_cost(dear.cost());
        learned.verify("a wrong one", &dear);
        let wrong = cost_of(|| drop(learned.verify("a wrong one", &dear)));
        for (hasher, why) in [(told, "told at start"), (learned, "met since")] {
            assert_alike(cost_of(|| hasher.verify_dummy("a wrong one")), wrong, why);
            let cheap = hash(AT - 3);
            assert_alike(cost_of(|| drop(hasher.verify("a wrong one", &cheap))), wrong, why);
        }
    }
}
