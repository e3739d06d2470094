//! Verifies passwords against bcrypt hashes, up to four at once on one thread.
//!
//! bcrypt (N. Provos, D. Mazières, "A Future-Adaptable Password Scheme", USENIX 1999) spends most of its time waiting
//! for table look-ups. Four independent verifications whose steps alternate take about 1.5 times as long as one. Up to
//! four, none waits for another: each starts at the next round, and ends after the rounds of its own cost.
//!
//! The crate `bcrypt` is the reference, and makes new hashes.
//!
//! ```
//! use bcrypt_lanes::{Attempt, Hash, Lanes};
//!
//! let hash = Hash::parse("$2a$06$m0CrhHm10qJ3lXRY.5zDGO3rS2KdeeWLuGmsfGlMfOxih58VYVfxe").ok_or("no hash")?;
//! let mut lanes = Lanes::new();
//! lanes.start(Attempt::new(b"a", &hash), "right");
//! lanes.start(Attempt::new(b"b", &hash), "wrong");
//! let mut ended = Vec::new();
//! while !lanes.is_empty() {
//!     ended.extend(lanes.step());
//! }
//! ended.sort_unstable();
//! assert_eq!(ended, [("right", true), ("wrong", false)]);
//! # Ok::<(), &str>(())
//! ```

mod blowfish;
mod hash;

use std::array;
use std::iter;

pub use hash::Hash;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use blowfish::{State, Words, round};

/// The maximum number of verifications that share a thread.
pub const LANES: usize = 4;

/// A password, to be compared with a hash.
pub struct Attempt {
    key: Zeroizing<Words>,
    salt: Words,
    rounds_left: u32,
    /// `None` for a dummy, which is never right.
    digest: Option<[u8; 23]>,
}

impl Attempt {
    /// Compares the first 72 bytes of `password`. NUL is a byte like any other, and is appended to a shorter password.
    #[must_use]
    pub fn new(password: &[u8], hash: &Hash) -> Self {
        let salt = hash.salt();
        Self { digest: Some(hash.digest), salt: repeat(salt.iter().copied()), ..Self::dummy(password, hash.cost()) }
    }

    /// Takes as long as a comparison with a hash of this cost, and is never right. A cost above 31 counts as 31.
    #[must_use]
    pub fn dummy(password: &[u8], cost: u32) -> Self {
        let key = Zeroizing::new(repeat(password.iter().copied().chain(iter::once(0))));
        Self { key, salt: Words::default(), rounds_left: 1 << cost.min(31), digest: None }
    }

    /// Compares in constant time.
    fn is_right(&self, state: &State) -> bool {
        let [digest @ .., _] = state.digest();
        self.digest.is_some_and(|expected| expected.ct_eq(&digest).into())
    }
}

/// The first 72 bytes of the repeated `bytes`, as words.
fn repeat(bytes: impl Iterator<Item = u8> + Clone) -> Words {
    let mut bytes = bytes.cycle();
    array::from_fn(|_| bytes.by_ref().take(4).fold(0, |word, byte| word << 8 | u32::from(byte)))
}

/// Does a round of each attempt. It is not generic, so that it is compiled with this crate, at this crate's `opt-level`.
#[inline(never)]
fn round_of_each(states: &mut [State], attempts: &mut [Attempt]) {
    match attempts.len() {
        0 => {}
        1 => round_of::<1>(states, attempts),
        2 => round_of::<2>(states, attempts),
        3 => round_of::<3>(states, attempts),
        _ => round_of::<LANES>(states, attempts),
    }
}

/// Does a round of the first `N`.
fn round_of<const N: usize>(states: &mut [State], attempts: &mut [Attempt]) {
    if let Some((states, attempts)) = states.first_chunk_mut::<N>().zip(attempts.first_chunk_mut::<N>()) {
        let lanes = attempts.each_ref();
        round(states, lanes.map(|lane| &*lane.key), lanes.map(|lane| &lane.salt));
        for lane in attempts {
            lane.rounds_left -= 1;
        }
    }
}

/// Attempts that share a thread, each with a value of the caller.
pub struct Lanes<T> {
    /// An attempt, its state and its caller's value have the same index; the first [`LANES`] attempts run.
    states: Vec<State>,
    attempts: Vec<Attempt>,
    values: Vec<T>,
}

impl<T> Lanes<T> {
    /// Creates lanes without attempts.
    #[must_use]
    pub fn new() -> Self {
        let attempts = Vec::with_capacity(LANES);
        Self { states: Vec::with_capacity(LANES), attempts, values: Vec::with_capacity(LANES) }
    }

    /// The number of attempts.
    #[must_use]
    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// True if there are no attempts.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// True if another attempt would wait until one ends.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.len() >= LANES
    }

    /// Adds an attempt and sets up its key, which takes as long as half a round. It runs from the next [`step`](Self::step)
    /// on, a fifth one only when another has ended.
    pub fn start(&mut self, attempt: Attempt, value: T) {
        self.states.push(State::new(&attempt.key, &attempt.salt));
        self.attempts.push(attempt);
        self.values.push(value);
    }

    /// Does one round of each running attempt, about 0.1 ms in all. Returns those that ended, in no particular
    /// order: true if the password was right.
    pub fn step(&mut self) -> Vec<(T, bool)> {
        round_of_each(&mut self.states, &mut self.attempts);
        let mut ended = Vec::new();
        for place in (0..self.len()).rev() {
            if self.attempts[place].rounds_left == 0 {
                let (state, attempt) = (self.states.swap_remove(place), self.attempts.swap_remove(place));
                ended.push((self.values.swap_remove(place), attempt.is_right(&state)));
            }
        }
        ended
    }
}

impl<T> Default for Lanes<T> {
    fn default() -> Self {
        Self::new()
    }
}
