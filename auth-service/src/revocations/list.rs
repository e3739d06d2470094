use std::collections::VecDeque;
use std::sync::OnceLock;

use bytes::Bytes;
use serde::{Serialize, Serializer};
use shared_claims::Revocation;

use crate::sessions::{Cursor, News, Position, ShardNews};

/// The list of the store as far as it was read, less what is over.
#[derive(Default)]
pub(super) struct List {
    read: Cursor,
    shards: Vec<VecDeque<(Position, Revocation)>>,
    /// All of it as JSON, once somebody has asked for it.
    whole: OnceLock<Bytes>,
}

/// A `shared_claims::RevocationList` whose entries stand elsewhere.
#[derive(Serialize)]
struct Wire<E: Serialize> {
    cursor: String,
    entries: E,
}

/// From each shard, what stands from a place on.
struct From<'a>(&'a List, Vec<usize>);

impl List {
    /// How far it was read.
    pub(super) fn cursor(&self) -> Cursor {
        self.read.clone()
    }

    /// How many entries there are.
    pub(super) fn len(&self) -> usize {
        self.shards.iter().map(VecDeque::len).sum()
    }

    /// Takes what was read, and drops what was over before `now`, in seconds since 1970.
    pub(super) fn take(&mut self, pages: Vec<News>, now: u64) {
        let before = (self.read.clone(), self.len());
        for news in pages {
            self.read.follow(&news);
            if self.shards.len() != news.shards.len() {
                self.shards = vec![VecDeque::new(); news.shards.len()];
            }
            for (shard, ShardNews { anew, entries }) in self.shards.iter_mut().zip(news.shards) {
                if anew {
                    shard.clear();
                }
                shard.extend(entries);
            }
        }
        for shard in &mut self.shards {
            while shard.front().is_some_and(|(_, entry)| until(entry) <= now) {
                shard.pop_front();
            }
        }
        if before != (self.read.clone(), self.len()) {
            self.whole = OnceLock::new();
        }
    }

    /// The JSON of what came behind `after`; everything, where that is no cursor of this list.
    pub(super) fn since(&self, after: Option<&Cursor>) -> Bytes {
        let known = after.filter(|cursor| cursor.list == self.read.list && cursor.positions.len() == self.shards.len());
        let Some(cursor) = known else {
            return self.whole.get_or_init(|| self.json(vec![0; self.shards.len()])).clone();
        };
        let behind = |(number, shard): (usize, &VecDeque<(Position, Revocation)>)| {
            let position = cursor.positions[number];
            // A shard that is not there yet was forgotten by the store.
            let ahead = position > self.read.positions[number];
            if ahead { 0 } else { shard.partition_point(|(place, _)| *place <= position) }
        };
        self.json(self.shards.iter().enumerate().map(behind).collect())
    }

    fn json(&self, from: Vec<usize>) -> Bytes {
        let wire = Wire { cursor: self.read.to_string(), entries: From(self, from) };
        // Strings and integers always have a JSON form.
        serde_json::to_vec(&wire).unwrap_or_default().into()
    }
}

impl Serialize for From<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let shards = self.0.shards.iter().zip(&self.1);
        serializer.collect_seq(shards.flat_map(|(shard, from)| shard.range(*from..).map(|(_, entry)| entry)))
    }
}

fn until(entry: &Revocation) -> u64 {
    match entry {
        Revocation::Session { until, .. } | Revocation::Subject { until, .. } => *until,
    }
}
