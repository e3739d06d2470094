use std::borrow::Cow;
use std::sync::atomic::{AtomicU32, Ordering};

use bcrypt_lanes::Attempt;

use super::keys::Key;
use super::text::{forms, prepare};
use super::{PasswordHash, PoolError};

/// The length at which plain bcrypt truncates its input, in bytes.
const CUT: usize = 72;

/// Hashes passwords, and makes the attempts that verify them, for the threads of the [`Pool`](super::Pool).
#[derive(Debug)]
pub(super) struct Hasher {
    pub(super) cost: u32,
    /// The highest cost of any hash seen so far, at least `cost`: every failure takes that long.
    slowest: AtomicU32,
    pepper: Option<Key>,
    fixed: Key,
}

impl Hasher {
    pub(super) fn new(cost: u32, pepper: Option<Key>) -> Self {
        Self { cost, slowest: AtomicU32::new(cost), pepper, fixed: Key::fixed() }
    }

    pub(super) fn expect_cost(&self, cost: u32) {
        self.slowest.fetch_max(cost, Ordering::Relaxed);
    }

    /// The attempts that verify `text` against `hash`: one for each of its [`forms`], in their order. Dummies follow,
    /// so that a failure takes as many rounds as [`dummies`](Self::dummies): 2ⁿ + 2ⁿ + 2ⁿ⁺¹ + … + 2ᵐ⁻¹ = 2ᵐ.
    pub(super) fn attempts(&self, text: &str, hash: &PasswordHash) -> Vec<Attempt> {
        self.expect_cost(hash.cost());
        let key = self.key(hash);
        if key.is_none() && !hash.is_plain() {
            log::error!("a stored password was made with a PASSWORD_PEPPER that is not set, so it cannot be verified");
            return self.dummies(text);
        }
        let cost = hash.cost();
        let input = |form: Cow<'_, str>| key.map_or_else(|| form.to_string(), |key| key.derive(&form));
        let inputs: Vec<String> = forms(text).into_iter().map(input).collect();
        let compare = |input: &String| {
            // Some programs end bcrypt's input at a NUL, others do not: a text with a NUL matches no plain hash.
            let matches_none = hash.is_plain() && input.contains('\0');
            if matches_none { dummy(input, cost) } else { Attempt::new(input.as_bytes(), hash.bcrypt()) }
        };
        let rest = inputs.iter().flat_map(|input| (cost..self.slowest()).map(move |cost| dummy(input, cost)));
        inputs.iter().map(compare).chain(rest).collect()
    }

    /// Dummy attempts that take as long as a wrong password for any hash.
    pub(super) fn dummies(&self, text: &str) -> Vec<Attempt> {
        let inputs = forms(text).into_iter().map(|form| self.current_key().derive(&form));
        inputs.map(|input| dummy(&input, self.slowest())).collect()
    }

    /// True if `hash` should be replaced, given that the form of `text` with the index `form` is right.
    pub(super) fn is_outdated(&self, hash: &PasswordHash, text: &str, form: usize) -> bool {
        // A plain hash covers only the start of a long password: the new hash might be of another password.
        let is_cut = hash.is_plain() && forms(text).get(form).is_none_or(|form| form.len() >= CUT);
        let is_current = hash.cost() == self.cost && hash.key() == Some(self.current_key().name());
        // The first form is the prepared one.
        !(is_cut || is_current && form == 0)
    }

    /// Hashes `text` again. Keeps the salt of `old` if that has a key, so that
    /// [`PasswordHash::is_of_the_same_password`] recognizes the rewrite.
    pub(super) fn rewrite(&self, text: &str, old: &PasswordHash) -> Result<PasswordHash, PoolError> {
        self.hash_text(&prepare(text), (!old.is_plain()).then(|| old.bcrypt().salt()))
    }

    /// Hashes `text`, with a new salt if there is none.
    pub(super) fn hash_text(&self, text: &str, salt: Option<[u8; 16]>) -> Result<PasswordHash, PoolError> {
        let (key, cost) = (self.current_key(), self.cost);
        let input = key.derive(text);
        let made = match salt {
            Some(salt) => bcrypt::hash_with_salt(input, cost, salt),
            None => bcrypt::hash_with_result(input, cost),
        };
        let bcrypt = made.map_err(|error| PoolError::Failed(error.to_string()))?;
        PasswordHash::parse(format!("{}:{bcrypt}", key.name())).map_err(|error| PoolError::Failed(error.to_string()))
    }

    fn slowest(&self) -> u32 {
        self.slowest.load(Ordering::Relaxed)
    }

    fn current_key(&self) -> &Key {
        self.pepper.as_ref().unwrap_or(&self.fixed)
    }

    /// The key of `hash`; `None` for a plain hash, or if the key is not set.
    pub(super) fn key(&self, hash: &PasswordHash) -> Option<&Key> {
        let name = hash.key()?;
        [Some(&self.fixed), self.pepper.as_ref()].into_iter().flatten().find(|key| key.name() == name)
    }
}

fn dummy(input: &str, cost: u32) -> Attempt {
    Attempt::dummy(input.as_bytes(), cost)
}

#[cfg(test)]
mod tests {
    use std::iter;
    use std::time::Duration;

    use bcrypt_lanes::Lanes;
    use rustix::time::{ClockId, clock_gettime};

    use super::*;

    const AT: u32 = 8;

    /// The CPU time of `work` on this thread: the minimum of several tries.
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
        Hasher::new(cost, None)
    }

    fn hash(cost: u32) -> PasswordHash {
        hasher(cost).hash_text("the right one", None).unwrap()
    }

    /// A hash of this cost, without a key.
    fn plain(cost: u32) -> PasswordHash {
        PasswordHash::parse(hash(cost).as_stored().trim_start_matches("fixed:")).unwrap()
    }

    /// The index of the first right attempt.
    fn right(attempts: Vec<Attempt>) -> Option<usize> {
        let mut lanes = Lanes::new();
        attempts.into_iter().position(|attempt| {
            lanes.start(attempt, ());
            iter::repeat_with(|| lanes.step()).find_map(|mut ended| ended.pop()).is_some_and(|((), is_right)| is_right)
        })
    }

    fn is_right(hasher: &Hasher, text: &str, hash: &PasswordHash) -> bool {
        right(hasher.attempts(text, hash)).is_some()
    }

    /// The hash to store instead, after a right password.
    fn rewritten(hasher: &Hasher, text: &str, hash: &PasswordHash) -> Option<PasswordHash> {
        let form = right(hasher.attempts(text, hash)).unwrap_or_else(|| panic!("{text} does not open"));
        hasher.is_outdated(hash, text, form).then(|| hasher.rewrite(text, hash).unwrap())
    }

    fn assert_alike(one: Duration, other: Duration, why: &str) {
        let ratio = one.as_secs_f64() / other.as_secs_f64();
        assert!((0.8..1.25).contains(&ratio), "{why}: {one:?} and {other:?}");
    }

    #[test]
    fn unknown_user_takes_as_long_as_a_wrong_password() {
        let hasher = hasher(AT);
        let unknown = cost_of(|| assert_eq!(right(hasher.dummies("a wrong one")), None));
        for (hash, why) in
            [(hash(AT), "current"), (hash(AT - 3), "of a lower cost"), (plain(AT - 1), "plain and of a lower cost")]
        {
            let wrong = cost_of(|| assert!(!is_right(&hasher, "a wrong one", &hash)));
            assert_alike(wrong, unknown, why);
        }
        let foreign = PasswordHash::parse(format!("pepper-00000000:{}", plain(AT - 2).as_stored())).unwrap();
        let wrong = cost_of(|| assert!(!is_right(&hasher, "a wrong one", &foreign)));
        assert_alike(wrong, unknown, "of a pepper that is not set");
    }

    #[test]
    fn password_hashed_before_it_was_normalised_opens_and_is_rewritten() {
        let hasher = hasher(4);
        for (sent, prepared) in [("cafe\u{301} owls", "caf\u{e9} owls"), ("two\u{a0}quiet owls", "two quiet owls")] {
            let old = bcrypt::hash(hasher.fixed.derive(sent), 4).unwrap();
            let old = PasswordHash::parse(format!("fixed:{old}")).unwrap();
            assert!(!is_right(&hasher, prepared, &old), "no other form was hashed");
            let new = rewritten(&hasher, sent, &old).unwrap();
            assert!(new.is_of_the_same_password(&old));
            assert!([sent, prepared].iter().all(|form| rewritten(&hasher, form, &new).is_none()));
        }
    }

    #[test]
    fn plain_hash_opens_by_the_bytes_as_sent_and_by_their_nfc() {
        let hasher = hasher(4);
        let (sent, prepared) = ("cafe\u{301} owls", "caf\u{e9} owls");
        for (hashed, opens, fails) in [(sent, &[sent][..], &[prepared][..]), (prepared, &[sent, prepared], &[])] {
            let plain = PasswordHash::parse(bcrypt::hash(hashed, 4).unwrap()).unwrap();
            for text in opens {
                let new = rewritten(&hasher, text, &plain).unwrap();
                assert!([sent, prepared].iter().all(|form| is_right(&hasher, form, &new)));
            }
            assert!(fails.iter().all(|text| !is_right(&hasher, text, &plain)));
        }
    }

    #[test]
    fn wrong_password_takes_the_same_time_for_every_hash() {
        let hasher = hasher(AT);
        for (text, why) in [
            ("a wro\u{301}ng one", "decomposed: tried in two forms"),
            ("a\u{a0}wrong one", "another space"),
            ("a\0wrong one", "NUL"),
            (&*"wrong".repeat(30), "long"),
        ] {
            let unknown = cost_of(|| assert_eq!(right(hasher.dummies(text)), None));
            for (hash, kind) in [(hash(AT), "current"), (hash(AT - 2), "of a lower cost"), (plain(AT - 1), "plain")] {
                let wrong = cost_of(|| assert!(!is_right(&hasher, text, &hash)));
                assert_alike(wrong, unknown, &format!("{why}, {kind}"));
            }
        }
    }

    #[test]
    fn unknown_user_takes_as_long_as_the_costliest_hash() {
        let (told, learned, dear) = (hasher(AT - 3), hasher(AT - 3), hash(AT));
        told.expect_cost(dear.cost());
        learned.attempts("a wrong one", &dear);
        let wrong = cost_of(|| assert!(!is_right(&learned, "a wrong one", &dear)));
        for (hasher, why) in [(told, "told at start"), (learned, "met since")] {
            assert_alike(cost_of(|| assert_eq!(right(hasher.dummies("a wrong one")), None)), wrong, why);
            let cheap = hash(AT - 3);
            assert_alike(cost_of(|| assert!(!is_right(&hasher, "a wrong one", &cheap))), wrong, why);
        }
    }
}
