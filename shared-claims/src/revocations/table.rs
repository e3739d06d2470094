use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwap;

/// The minimum number of slots.
const LEAST: usize = 8;

/// Values by hash, in 26 to 32 bytes each. A lookup never waits for a writer; a lock serializes the writers.
pub(super) struct Table {
    slots: ArcSwap<Slots>,
    /// The number of entries. A writer holds its lock.
    used: Mutex<usize>,
}

/// Open addressing with linear probing. A key of 0 marks an empty slot; at least three of eight slots are empty, so
/// that a lookup of an absent hash rarely reads more than one line of the processor's cache.
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
        // `set` stores the value before the key, so a lookup that sees the key sees the value.
        (slots.keys[at].load(Ordering::Acquire) == key).then(|| slots.values[at].load(Ordering::Relaxed))
    }

    /// Adds `hash` with `value`. If `hash` has a value already, replaces that by the result of `merged` for it.
    pub(super) fn put(&self, hash: u64, value: u64, merged: impl Fn(u64) -> u64) {
        let (mut used, mut slots, key) = (self.turn(), self.slots.load_full(), hash.max(1));
        let mut at = slots.place(key);
        if slots.keys[at].load(Ordering::Relaxed) == key {
            let known = slots.values[at].load(Ordering::Relaxed);
            return slots.values[at].store(merged(known), Ordering::Relaxed);
        }
        *used += 1;
        if *used > slots.keys.len() / 8 * 5 {
            slots = Arc::new(slots.copied(slots.keys.len() / 4 * 5, |_, _| true));
            self.slots.store(Arc::clone(&slots));
            at = slots.place(key);
        }
        slots.set(at, key, value);
    }

    /// Replaces each value by the result of `revised` for its hash and itself; drops the entries for which that is
    /// `None`.
    pub(super) fn revise(&self, revised: impl Fn(u64, u64) -> Option<u64>) {
        let (mut used, slots) = (self.turn(), self.slots.load_full());
        let mut dropped = 0;
        for (key, value) in slots.entries() {
            match revised(key, value.load(Ordering::Relaxed)) {
                Some(revised) => value.store(revised, Ordering::Relaxed),
                None => dropped += 1,
            }
        }
        // No slot is emptied in place: a lookup would stop there and miss later entries of its probe sequence.
        if dropped > 0 {
            *used -= dropped;
            let kept = slots.copied(*used / 5 * 8 + LEAST, |key, value| revised(key, value).is_some());
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
    /// At least `count` empty slots; the number is a multiple of eight.
    fn of(count: usize) -> Self {
        let empty = || (0..count.next_multiple_of(8)).map(|_| AtomicU64::new(0)).collect();
        Self { keys: empty(), values: empty() }
    }

    /// The index of the slot of `key`, or of the empty slot in which its probe sequence ends.
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

    /// A copy with at least `count` slots, of the entries for which `kept` returns true.
    fn copied(&self, count: usize, kept: impl Fn(u64, u64) -> bool) -> Self {
        let copy = Self::of(count);
        for (key, value) in self.entries() {
            let value = value.load(Ordering::Relaxed);
            if kept(key, value) {
                copy.set(copy.place(key), key, value);
            }
        }
        copy
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Spreads small numbers as a hash does, and maps 0 to 0.
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
        table.revise(|_, value| (value % 3 > 0).then_some(value + 3));
        for number in 0..10_000 {
            let expected = Some(number + 8).filter(|_| (number + 5) % 3 > 0);
            assert_eq!(table.get(hash(number)), expected, "{number}");
        }
        table.revise(|_, _| None);
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
