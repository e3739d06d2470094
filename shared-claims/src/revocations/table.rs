use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwap;

/// The smallest number of slots.
const LEAST: usize = 8;

/// Values by hashes, in 26 to 32 bytes each. A lookup waits for no writer; writers take turns.
pub(super) struct Table {
    slots: ArcSwap<Slots>,
    /// The number of entries; its lock is the writers' turn.
    used: Mutex<usize>,
}

/// Open addressing with linear probing. A key of 0 marks an empty slot; at least three of eight slots are empty, so that a
/// lookup of a hash without a value rarely reads more than one line of the processor's cache.
struct Slots {
    keys: Box<[AtomicU64]>,
    values: Box<[AtomicU64]>,
}

impl Table {
    pub(super) fn new() -> Self {
        Self { slots: ArcSwap::from_pointee(Slots::of(LEAST)), used: Mutex::new(0) }
    }

    /// The value of `hash`.
    pub(super) fn get(&self, hash: u64) -> Option<u64> {
        let (slots, key) = (self.slots.load(), hash.max(1));
        let at = slots.place(key);
        // A key is written after its value.
        (slots.keys[at].load(Ordering::Acquire) == key).then(|| slots.values[at].load(Ordering::Relaxed))
    }

    /// Sets the value of `hash` to `value`, or to `merged` of the known value.
    pub(super) fn put(&self, hash: u64, value: u64, merged: impl Fn(u64) -> u64) {
        let (mut used, mut slots, key) = (self.turn(), self.slots.load_full(), hash.max(1));
        let mut at = slots.place(key);
        if slots.keys[at].load(Ordering::Relaxed) == key {
            let known = slots.values[at].load(Ordering::Relaxed);
            return slots.values[at].store(merged(known), Ordering::Relaxed);
        }
        *used += 1;
        if *used > slots.keys.len() / 8 * 5 {
            slots = Arc::new(slots.copied(slots.keys.len() / 4 * 5, |_| true));
            self.slots.store(Arc::clone(&slots));
            at = slots.place(key);
        }
        slots.set(at, key, value);
    }

    /// Replaces each value by `revised` of it, and drops those without.
    pub(super) fn revise(&self, revised: impl Fn(u64) -> Option<u64>) {
        let (mut used, slots) = (self.turn(), self.slots.load_full());
        let mut dropped = 0;
        for (_, value) in slots.entries() {
            match revised(value.load(Ordering::Relaxed)) {
                Some(revised) => value.store(revised, Ordering::Relaxed),
                None => dropped += 1,
            }
        }
        // A slot is not emptied in place: lookups would not find the entries behind it.
        if dropped > 0 {
            *used -= dropped;
            let kept = slots.copied(*used / 5 * 8 + LEAST, |value| revised(value).is_some());
            self.slots.store(Arc::new(kept));
        }
    }

    pub(super) fn len(&self) -> usize {
        *self.turn()
    }

    fn turn(&self) -> MutexGuard<'_, usize> {
        self.used.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Slots {
    /// Empty slots, a multiple of eight.
    fn of(count: usize) -> Self {
        let empty = || (0..count.next_multiple_of(8)).map(|_| AtomicU64::new(0)).collect();
        Self { keys: empty(), values: empty() }
    }

    /// The slot of `key`, or the empty one in which a lookup of it ends.
    fn place(&self, key: u64) -> usize {
        let count = self.keys.len();
        let first = (u128::from(key) * count as u128) >> 64;
        let mut at = usize::try_from(first).unwrap_or_default();
        loop {
            let found = self.keys[at].load(Ordering::Acquire);
            if found == key || found == 0 {
                return at;
            }
            at = if at + 1 == count { 0 } else { at + 1 };
        }
    }

    fn set(&self, at: usize, key: u64, value: u64) {
        self.values[at].store(value, Ordering::Relaxed);
        self.keys[at].store(key, Ordering::Release);
    }

    fn entries(&self) -> impl Iterator<Item = (u64, &AtomicU64)> {
        let entries = self.keys.iter().map(|key| key.load(Ordering::Acquire)).zip(&self.values);
        entries.filter(|(key, _)| *key > 0)
    }

    /// At least `count` slots with the entries whose value is `kept`.
    fn copied(&self, count: usize, kept: impl Fn(u64) -> bool) -> Self {
        let copy = Self::of(count);
        for (key, value) in self.entries() {
            let value = value.load(Ordering::Relaxed);
            if kept(value) {
                copy.set(copy.place(key), key, value);
            }
        }
        copy
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Spreads small numbers as a hash does, and keeps 0.
    fn hash(number: u64) -> u64 {
        number.wrapping_mul(0x9e37_79b9_7f4a_7c15)
    }

    #[test]
    fn entries_are_found_until_they_are_dropped() {
        let table = Table::new();
        for number in 0..10_000 {
            assert_eq!(table.get(hash(number)), None, "{number}");
            table.put(hash(number), number, |known| known);
            table.put(hash(number), number + 5, |known| known.max(number + 5));
        }
        assert_eq!(table.len(), 10_000);
        assert!((0..10_000).all(|number| table.get(hash(number)) == Some(number + 5)));
        table.revise(|value| (value % 3 > 0).then_some(value + 3));
        for number in 0..10_000 {
            let expected = Some(number + 8).filter(|_| (number + 5) % 3 > 0);
            assert_eq!(table.get(hash(number)), expected, "{number}");
        }
        table.revise(|_| None);
        assert_eq!((table.len(), table.get(hash(1))), (0, None));
    }

    #[test]
    fn three_of_eight_slots_stay_empty() {
        let table = Table::new();
        for number in 0..20_000 {
            table.put(hash(number), 1, |known| known);
            let slots = table.slots.load().keys.len() as u64;
            assert!(slots / 8 * 5 > number, "{number} in {slots}");
            assert!(number < 1000 || slots * 16 < 33 * number, "{number} in {slots}");
        }
    }
}
