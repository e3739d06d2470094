use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use arc_swap::ArcSwapOption;

/// The number of slots, a power of two.
const SLOTS: usize = 4096;

/// The longest token that is cached, in bytes. An RS256 token with a key of 4096 bits has some 1200 bytes.
const LONGEST: usize = 1536;

/// The maximum size of all entries, in bytes.
const BYTES: usize = 4 << 20;

/// Verified tokens, so that a token presented again costs a comparison instead of a signature. Each token maps to one
/// slot; a newer token may replace it there.
pub(super) struct Cache<C> {
    slots: OnceLock<Box<[ArcSwapOption<Entry<C>>]>>,
    bytes: AtomicUsize,
    seed: u64,
}

struct Entry<C> {
    token: Box<str>,
    generation: u64,
    claims: C,
}

impl<C: Clone> Cache<C> {
    pub(super) fn new() -> Self {
        // Each RandomState has random keys.
        Self { slots: OnceLock::new(), bytes: AtomicUsize::new(0), seed: RandomState::new().hash_one(()) | 1 }
    }

    /// The result of `read` for the claims of `token`, if the token was verified with the keys of `generation`.
    pub(super) fn find<T>(&self, token: &str, generation: u64, read: impl FnOnce(&C) -> T) -> Option<T> {
        let entry = self.slots.get()?.get(self.place(token)?)?.load();
        let entry = entry.as_ref().filter(|entry| entry.generation == generation && is_same(&entry.token, token))?;
        Some(read(&entry.claims))
    }

    /// Stores that `token` was verified with the keys of `generation`.
    pub(super) fn keep(&self, token: &str, generation: u64, claims: &C) {
        let slots = self.slots.get_or_init(|| std::iter::repeat_with(ArcSwapOption::empty).take(SLOTS).collect());
        if token.len() <= LONGEST
            && let Some(slot) = self.place(token).and_then(|place| slots.get(place))
        {
            let entry = Entry { token: token.into(), generation, claims: claims.clone() };
            let replace = |new| slot.swap(new).map_or(0, |old: Arc<Entry<C>>| old.bytes());
            // The old entry is removed even if the new one does not fit: the old token may have expired long ago.
            self.bytes.fetch_sub(replace(None), Ordering::Relaxed);
            let bytes = entry.bytes();
            let is_full = self.bytes.fetch_add(bytes, Ordering::Relaxed) + bytes > BYTES;
            self.bytes.fetch_sub(if is_full { bytes } else { replace(Some(Arc::new(entry))) }, Ordering::Relaxed);
        }
    }

    /// The slot's index, derived from the signature without its last characters, which may carry fewer than six bits.
    /// The seed keeps a client from choosing a token that evicts a particular other one.
    fn place(&self, token: &str) -> Option<usize> {
        let bytes = token.as_bytes().last_chunk::<12>()?.first_chunk::<8>()?;
        let mixed = (u64::from_le_bytes(*bytes) ^ self.seed.rotate_left(32)).wrapping_mul(self.seed);
        usize::try_from(mixed >> (64 - SLOTS.trailing_zeros())).ok()
    }
}

impl<C> Entry<C> {
    /// The size of the token, plus an upper bound for the size of its claims.
    fn bytes(&self) -> usize {
        self.token.len() + self.token.rfind('.').unwrap_or_default()
    }
}

/// Compares in constant time.
fn is_same(known: &str, presented: &str) -> bool {
    let pairs = known.bytes().zip(presented.bytes());
    known.len() == presented.len() && pairs.fold(0, |differences, (a, b)| differences | (a ^ b)) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_whole_token_under_the_same_keys_is_known() {
        let cache = Cache::new();
        let token = "header.claims.0123456789abcdef";
        cache.keep(token, 7, &"claims");
        for (presented, generation, expected, why) in [
            (token, 7, Some("claims"), "as it was kept"),
            (token, 8, None, "under other keys"),
            ("header.Claims.0123456789abcdef", 7, None, "other claims under the signature"),
            ("header.claims.0123456789abcdeg", 7, None, "another last character"),
            ("header.claims.0123456789abcdef0", 7, None, "longer"),
            ("", 7, None, "nothing"),
        ] {
            assert_eq!(cache.find(presented, generation, |claims| *claims), expected, "{why}");
        }
        let long = format!("{}.0123456789abcdef", "x".repeat(LONGEST));
        cache.keep(&long, 7, &"claims");
        assert_eq!(cache.find(&long, 7, |claims| *claims), None, "too long to be kept");
    }

    #[test]
    fn size_is_bounded_and_newer_tokens_are_kept() {
        let cache = Cache::new();
        let (mut last, mut found) = (String::new(), 0);
        for n in 0..4 * SLOTS {
            last = format!("{}.{n:012}xxxx", "x".repeat(LONGEST - 17));
            cache.keep(&last, 0, &());
            found += usize::from(cache.find(&last, 0, |()| ()).is_some());
        }
        let held = cache.bytes.load(Ordering::Relaxed);
        let slots = cache.slots.get().unwrap();
        let counted: usize = slots.iter().map(|slot| slot.load_full().map_or(0, |entry| entry.bytes())).sum();
        assert_eq!(held, counted);
        assert!(held <= BYTES && BYTES - held < 4 * LONGEST, "{held} bytes");
        assert!(found > SLOTS, "{found} were kept, the last {}", last.len());
    }

    #[test]
    fn tokens_have_different_slots() {
        let cache = Cache::new();
        let tokens: Vec<_> = (0..1000_u32).map(|n| format!("a.b.{:012}xxxx", n.wrapping_mul(2_654_435_761))).collect();
        for token in &tokens {
            cache.keep(token, 0, &());
        }
        let found = tokens.iter().filter(|token| cache.find(token, 0, |()| ()).is_some()).count();
        assert!(found > 800, "{found} of 1000 are remembered");
    }
}
