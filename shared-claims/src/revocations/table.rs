use std::collections::HashMap;

use super::filter::Filter;
use super::key::{ByKey, Key};

/// What is known of names, most of which are not in it.
#[derive(Clone)]
pub(super) struct Table<V> {
    rows: HashMap<Key, V, ByKey>,
    filter: Filter,
}

impl<V> Default for Table<V> {
    fn default() -> Self {
        Self { rows: HashMap::default(), filter: Filter::default() }
    }
}

impl<V: Copy> Table<V> {
    pub(super) fn get(&self, key: Key) -> Option<V> {
        if self.filter.may_have(key) { self.rows.get(&key).copied() } else { None }
    }

    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    pub(super) fn values(&self) -> impl Iterator<Item = V> {
        self.rows.values().copied()
    }

    /// This table with `rows` in it, each merged with what is known of its name by `both`.
    pub(super) fn with(&self, rows: impl Iterator<Item = (Key, V)>, both: impl Fn(V, V) -> V) -> Self {
        let mut all = self.rows.clone();
        for (key, value) in rows {
            all.entry(key).and_modify(|known| *known = both(*known, value)).or_insert(value);
        }
        Self::of(all)
    }

    /// The rows as they are `kept`. Collected anew rather than retained, so that the memory goes as well.
    pub(super) fn kept(&self, kept: impl Fn(V) -> Option<V>) -> Self {
        Self::of(self.rows.iter().filter_map(|(key, value)| Some((*key, kept(*value)?))).collect())
    }

    fn of(rows: HashMap<Key, V, ByKey>) -> Self {
        let filter = Filter::of(rows.keys().copied(), rows.len());
        Self { rows, filter }
    }
}
