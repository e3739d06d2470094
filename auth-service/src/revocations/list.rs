use std::sync::Arc;

use bytes::Bytes;
use shared_claims::Revocation;

use super::packed::Packed;
use super::{Changes, Cursor, Position, ShardChanges};

/// New entries extend a segment whose JSON is shorter than this, in bytes.
const SHORT: usize = 64 * 1024;

/// The unexpired part of the store's list as read so far. It takes a third of the memory of its JSON.
#[derive(Clone, Default)]
pub(super) struct List {
    read: Cursor,
    shards: Vec<Vec<Arc<Segment>>>,
}

/// Consecutive entries of a shard.
#[derive(Clone, Default)]
pub(crate) struct Segment {
    entries: Packed,
    /// The latest expiry among the entries, in seconds since 1970.
    until: u64,
    /// The length of their JSON, in bytes.
    length: usize,
}

/// A part of a response.
pub(crate) enum Piece {
    Text(Bytes),
    /// Serialized when it is sent.
    Whole(Arc<Segment>),
}

impl List {
    /// The position up to which the list was read.
    pub(super) const fn cursor(&self) -> &Cursor {
        &self.read
    }

    /// Adds changes, without entries that were added before, and drops expired segments by the store's clock.
    pub(super) fn take(&mut self, changes: &Changes) {
        let known = if self.read.list == changes.list { self.read.positions.clone() } else { Vec::new() };
        self.read.move_past(changes);
        self.shards.resize(changes.shards.len(), Vec::new());
        for (number, (shard, ShardChanges { is_restarted, entries, .. })) in
            self.shards.iter_mut().zip(&changes.shards).enumerate()
        {
            if *is_restarted {
                shard.clear();
            }
            let known = known.get(number).copied().filter(|_| !is_restarted).unwrap_or_default();
            let first = entries.partition_point(|(position, _)| *position <= known && known > Position::default());
            let entries = &entries[first..];
            let now = u64::try_from(changes.now / 1000).unwrap_or(0);
            shard.retain(|segment| segment.until > now);
            if !entries.is_empty() {
                let last = shard.pop_if(|last| last.length < SHORT).unwrap_or_default();
                extend(shard, Arc::unwrap_or_clone(last), entries);
            }
        }
    }

    /// The JSON of a `shared_claims::RevocationList` in pieces: the entries after `after`, or all of them if `after` is
    /// not a cursor of this list.
    pub(super) fn since(&self, after: Option<&Cursor>) -> Vec<Piece> {
        let known = after.filter(|cursor| cursor.list == self.read.list && cursor.positions.len() == self.shards.len());
        let mut pieces = vec![Piece::text(format!(r#"{{"cursor":"{}","entries":["#, self.read))];
        for (number, shard) in self.shards.iter().enumerate() {
            let position = known.map(|cursor| cursor.positions[number]).unwrap_or_default();
            // A position ahead of the shard means that the store has lost entries: send the shard from its beginning.
            let position = if position > self.read.positions[number] { Position::default() } else { position };
            let first = shard.partition_point(|segment| segment.entries.last() <= position);
            pieces.extend(shard[first..].iter().map(|segment| segment.behind(position)));
        }
        if let Some(first) = pieces.get_mut(1) {
            // Each entry has a comma before it; the first must not.
            *first = Piece::text(first.bytes().slice(1..));
        }
        pieces.push(Piece::text("]}"));
        pieces
    }
}

/// Adds `entries` to `last`, and begins another segment whenever one is full.
fn extend(shard: &mut Vec<Arc<Segment>>, mut last: Segment, entries: &[(Position, Revocation)]) {
    let mut json = Vec::new();
    for (position, entry) in entries {
        if last.length >= SHORT {
            last.entries.shrink();
            shard.push(Arc::new(std::mem::take(&mut last)));
        }
        last.entries.push(*position, entry);
        let (Revocation::Session { until, .. } | Revocation::Subject { until, .. }) = entry;
        last.until = last.until.max(*until);
        json.clear();
        write_json(&mut json, entry);
        last.length += json.len();
    }
    last.entries.shrink();
    shard.push(Arc::new(last));
}

impl Segment {
    /// The entries after `position`, at least one.
    fn behind(self: &Arc<Self>, position: Position) -> Piece {
        if position == Position::default() {
            return Piece::Whole(Arc::clone(self));
        }
        Piece::text(json(self.entries.iter().skip_while(|(place, _)| *place <= position)))
    }
}

impl Piece {
    fn text(text: impl Into<Bytes>) -> Self {
        Self::Text(text.into())
    }

    /// The number of bytes.
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Whole(segment) => segment.length,
        }
    }

    /// The JSON text.
    pub(crate) fn bytes(&self) -> Bytes {
        match self {
            Self::Text(text) => text.clone(),
            Self::Whole(segment) => json(segment.entries.iter()).into(),
        }
    }
}

/// The JSON of each of `entries` after a comma.
fn json(entries: impl Iterator<Item = (Position, Revocation)>) -> Vec<u8> {
    let mut json = Vec::new();
    entries.for_each(|(_, entry)| write_json(&mut json, &entry));
    json
}

fn write_json(json: &mut Vec<u8>, entry: &Revocation) {
    json.push(b',');
    // Serializing strings and integers to memory cannot fail.
    drop(serde_json::to_writer(json, entry));
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn entry(name: u64, until: u64) -> Revocation {
        Revocation::Session { sid: format!("s-{name}"), until }
    }

    fn at(at: u64) -> Position {
        format!("{at:x}").parse().unwrap_or_default()
    }

    /// Changes in two shards; the number of an entry is also its position.
    fn changes(list: &str, now: i64, shards: [(bool, &[u64]); 2]) -> Changes {
        let shards = shards.map(|(is_restarted, names)| ShardChanges {
            is_restarted,
            entries: names.iter().map(|name| (at(*name), entry(*name, 1000 + name))).collect(),
            end: Position::default(),
        });
        Changes { list: list.to_owned(), now, shards: shards.into(), more: false, corrupt: vec![] }
    }

    fn names(list: &List, after: Option<&Cursor>) -> Vec<String> {
        let pieces = list.since(after);
        let text = pieces.iter().map(Piece::bytes).collect::<Vec<_>>().concat();
        assert_eq!(pieces.iter().map(Piece::len).sum::<usize>(), text.len());
        let json: Value = serde_json::from_slice(&text).unwrap_or_default();
        assert_eq!(json["cursor"], list.cursor().to_string());
        let sid = |entry: &Value| entry["sid"].as_str().unwrap_or_default().to_owned();
        json["entries"].as_array().map_or_else(Vec::new, |entries| entries.iter().map(sid).collect())
    }

    #[test]
    fn list_returns_the_entries_after_a_cursor() {
        let mut list = List::default();
        assert_eq!(names(&list, None), [""; 0]);
        list.take(&changes("a", 0, [(true, &[1, 2]), (true, &[])]));
        let early = list.cursor().clone();
        list.take(&changes("a", 0, [(false, &[3]), (false, &[4, 4, 5])]));
        assert_eq!(names(&list, None), ["s-1", "s-2", "s-3", "s-4", "s-4", "s-5"]);
        assert_eq!(names(&list, Some(&early)), ["s-3", "s-4", "s-4", "s-5"]);
        assert_eq!(names(&list, Some(list.cursor())), [""; 0]);
        for (list_name, positions, expected, why) in [
            ("b", vec![at(9), at(9)], 6, "another list's"),
            ("a", vec![at(9)], 6, "of another form"),
            ("a", vec![at(2), at(9)], 4, "ahead in one shard"),
            ("a", vec![at(1), at(4)], 3, "in the midst"),
        ] {
            let cursor = Cursor { list: list_name.to_owned(), positions };
            assert_eq!(names(&list, Some(&cursor)).len(), expected, "{why}");
        }
    }

    #[test]
    fn expired_entries_are_dropped_by_the_stores_clock() {
        let mut list = List::default();
        list.take(&changes("a", 0, [(true, &[1, 2]), (true, &[5])]));
        list.take(&changes("a", 1_002_000, [(false, &[]), (false, &[])]));
        assert_eq!(names(&list, None), ["s-5"]);
        list.take(&changes("a", 1_004_999, [(false, &[]), (false, &[])]));
        assert_eq!(names(&list, None), ["s-5"], "not before its time");
        list.take(&changes("a", 1_005_000, [(false, &[]), (false, &[])]));
        assert_eq!(names(&list, None), [""; 0]);
    }

    #[test]
    fn lost_list_is_replaced_by_the_new_one() {
        let mut list = List::default();
        list.take(&changes("a", 0, [(true, &[1, 2]), (true, &[5])]));
        list.take(&changes("a", 0, [(true, &[3]), (false, &[])]));
        assert_eq!(names(&list, None), ["s-3", "s-5"], "a shard that was lost");
        list.take(&changes("b", 0, [(true, &[7]), (true, &[])]));
        assert_eq!(names(&list, None), ["s-7"]);
    }

    #[test]
    fn long_segment_is_not_extended() {
        let mut list = List::default();
        let many: Vec<u64> = (1..=5000).collect();
        for names in many.chunks(100) {
            list.take(&changes("a", 0, [(false, names), (false, &[])]));
        }
        assert_eq!(names(&list, None).len(), 5000);
        assert!((2..10).contains(&list.shards[0].len()), "{} segments", list.shards[0].len());
    }
}
