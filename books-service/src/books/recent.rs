use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::Hash;

/// What a key costs, beside its own bytes and those of its value.
const ENTRY_BYTES: usize = 4 << 10;

/// A map that forgets what was not used of late, so that it never holds more than `limit` bytes.
///
/// Two generations: what is used moves to the young one. When an entry would bring that above half of the limit, the
/// old one is dropped and the young one grows old. So forgetting costs nothing per entry and needs no list of who came
/// when.
pub struct Recent<K, V> {
    young: HashMap<K, Entry<V>>,
    old: HashMap<K, Entry<V>>,
    /// What the young generation holds.
    bytes: usize,
    limit: usize,
}

struct Entry<V> {
    value: V,
    bytes: usize,
}

impl<K: Hash + Eq, V: Clone> Recent<K, V> {
    /// An empty map of at most `limit` bytes.
    pub fn new(limit: usize) -> Self {
        Self { young: HashMap::new(), old: HashMap::new(), bytes: 0, limit }
    }

    /// The value of `key`, if it is not forgotten.
    pub fn get<Q: Hash + Eq + ?Sized>(&mut self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
    {
        if let Some(entry) = self.young.get(key) {
            return Some(entry.value.clone());
        }
        let (key, entry) = self.old.remove_entry(key)?;
        let value = entry.value.clone();
        self.keep(key, entry);
        Some(value)
    }

    /// Keeps `value`, which holds `bytes` together with its key, as the value of `key`.
    pub fn put(&mut self, key: K, value: V, bytes: usize) {
        self.old.remove(&key);
        if let Some(before) = self.young.remove(&key) {
            self.bytes -= before.bytes;
        }
        self.keep(key, Entry { value, bytes: ENTRY_BYTES + bytes });
    }

    /// Makes room for `entry` before it is kept; one that is larger than a generation is not kept at all.
    fn keep(&mut self, key: K, entry: Entry<V>) {
        if entry.bytes > self.limit / 2 {
            return;
        }
        if self.bytes + entry.bytes > self.limit / 2 {
            self.old = std::mem::take(&mut self.young);
            self.bytes = 0;
        }
        self.bytes += entry.bytes;
        self.young.insert(key, entry);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn used_entry_is_kept() {
        let mut recent = Recent::new(100 * ENTRY_BYTES);
        recent.put(0, 0, 0);
        for key in 1..10_000 {
            recent.put(key, key, 0);
            assert_eq!(recent.get(&0), Some(0), "forgotten at {key}");
        }
    }

    #[test]
    fn unused_entry_is_forgotten() {
        let mut recent = Recent::new(100 * ENTRY_BYTES);
        for key in 0..150 {
            recent.put(key, key, 0);
        }
        assert_eq!(recent.get(&0), None);
        assert_eq!(recent.get(&149), Some(149));
    }

    #[test]
    fn later_value_replaces_earlier_one() {
        let mut recent = Recent::new(100 * ENTRY_BYTES);
        recent.put("key", 1, 0);
        recent.put("key", 2, ENTRY_BYTES);
        assert_eq!((recent.get("key"), recent.bytes), (Some(2), 2 * ENTRY_BYTES));
        recent.put("key", 3, 100 * ENTRY_BYTES);
        assert_eq!((recent.get("key"), recent.bytes), (None, 0), "an entry above the bound is not kept");
    }

    #[test]
    fn bound_holds_for_any_entries() {
        let limit = 1000 * ENTRY_BYTES;
        let mut recent = Recent::new(limit);
        for step in 0..100_000_u32 {
            let number = step.wrapping_mul(2_654_435_761) % 700;
            recent.put(number, (), 0);
            recent.put(number, (), ENTRY_BYTES * (number as usize % 13));
            recent.get(&(step % 700));
            let held: usize = recent.young.values().chain(recent.old.values()).map(|entry| entry.bytes).sum();
            assert!(held <= limit, "{held} at {step}");
        }
    }
}
