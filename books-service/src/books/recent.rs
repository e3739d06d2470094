use std::collections::HashMap;

/// What a key costs, beside its own bytes and those of its value.
const ENTRY_BYTES: usize = 4 << 10;

/// A map that forgets what was not used of late, so that it holds about `limit` bytes at most.
///
/// Two generations: what is used moves to the young one, and when that holds half of the limit, the old one is dropped
/// and the young one grows old. So forgetting costs nothing per entry and needs no list of who came when.
pub struct Recent<V> {
    young: HashMap<String, Entry<V>>,
    old: HashMap<String, Entry<V>>,
    /// What the young generation holds.
    bytes: usize,
    limit: usize,
}

struct Entry<V> {
    value: V,
    bytes: usize,
}

impl<V: Clone> Recent<V> {
    /// An empty map of at most `limit` bytes.
    pub fn new(limit: usize) -> Self {
        Self { young: HashMap::new(), old: HashMap::new(), bytes: 0, limit }
    }

    /// The value of `key`, if it is not forgotten.
    pub fn get(&mut self, key: &str) -> Option<V> {
        if let Some(entry) = self.young.get(key) {
            return Some(entry.value.clone());
        }
        let entry = self.old.remove(key)?;
        Some(self.take(key, entry))
    }

    /// The value of `key`: the one that it has, else `value`.
    pub fn get_or_insert(&mut self, key: &str, value: V) -> V {
        match self.get(key) {
            Some(known) => known,
            None => self.take(key, Entry { value, bytes: ENTRY_BYTES + key.len() }),
        }
    }

    /// Notes that the value of `key` holds `bytes` now.
    pub fn weigh(&mut self, key: &str, bytes: usize) {
        if let Some(entry) = self.young.get_mut(key).or_else(|| self.old.get_mut(key)) {
            let bytes = ENTRY_BYTES + key.len() + bytes;
            let more = bytes.saturating_sub(entry.bytes);
            entry.bytes = bytes;
            self.grow(more);
        }
    }

    fn take(&mut self, key: &str, entry: Entry<V>) -> V {
        let (value, bytes) = (entry.value.clone(), entry.bytes);
        self.young.insert(key.to_owned(), entry);
        self.grow(bytes);
        value
    }

    fn grow(&mut self, bytes: usize) {
        self.bytes += bytes;
        if self.bytes > self.limit / 2 {
            self.old = std::mem::take(&mut self.young);
            self.bytes = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_used_stays() {
        let mut recent = Recent::new(100 * ENTRY_BYTES);
        recent.get_or_insert("used", 0);
        for key in 1..10_000 {
            recent.get_or_insert(&key.to_string(), key);
            assert_eq!(recent.get("used"), Some(0), "forgotten at {key}");
        }
    }

    #[test]
    fn what_is_not_used_goes() {
        let mut recent = Recent::new(100 * ENTRY_BYTES);
        for key in 0..150 {
            recent.get_or_insert(&key.to_string(), key);
        }
        assert_eq!(recent.get("0"), None);
        assert_eq!(recent.get("149"), Some(149));
    }

    #[test]
    fn who_comes_second_gets_what_is_there() {
        let mut recent = Recent::new(100 * ENTRY_BYTES);
        assert_eq!(recent.get_or_insert("key", 1), 1);
        assert_eq!(recent.get_or_insert("key", 2), 1);
    }

    #[test]
    fn the_bound_holds_whatever_is_kept() {
        let limit = 1000 * ENTRY_BYTES;
        let mut recent = Recent::new(limit);
        for step in 0..100_000_u32 {
            let number = step.wrapping_mul(2_654_435_761) % 700;
            recent.get_or_insert(&number.to_string(), ());
            recent.weigh(&number.to_string(), ENTRY_BYTES * (number as usize % 13));
            let held: usize = recent.young.values().chain(recent.old.values()).map(|entry| entry.bytes).sum();
            assert!(held <= limit + 15 * ENTRY_BYTES, "{held} at {step}");
        }
    }
}
