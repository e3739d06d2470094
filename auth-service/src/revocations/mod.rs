//! The revocation list: entries in the store, and the reader that serves them to verifiers.
//!
//! The step that ends a session or revokes a user's tokens writes the entry. It expires two leeways after the last
//! token that it revokes: the clocks of two verifiers may be off by one leeway in opposite directions.
//!
//! Token dates are whole seconds, so a token dated in the second of a revocation may have been issued before or after
//! it. The rule: `notBefore` is the beginning of the second after the revocation, or after the newest token of a
//! session that continues, if that is later. A token issued after the revocation is dated at `notBefore` or later, and
//! is sent once that time has come. So all tokens issued before the revocation are refused, and none issued after it.
//!
//! The list may have several shards, one for each set of keys that the store can change in one step. Positions in a
//! shard only grow. They follow the clock where possible, so that even a store that has lost all its data does not
//! repeat one.

mod list;
/// Compact storage of entries in memory.
mod packed;
mod reader;
pub(crate) mod redis;
pub(crate) mod sql;

use std::fmt;
use std::str::FromStr;

use shared_claims::Revocation;

pub use self::reader::RevocationReader;

/// A position in a shard: milliseconds since 1970, and a sequence number within the millisecond. The default precedes
/// all others.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub struct Position {
    at: u64,
    number: u64,
}

/// The positions up to which a list was read, one per shard. The text form is `name.position.position…`, each position
/// empty or hexadecimal. The default belongs to no list.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Cursor {
    /// The name of the list.
    pub list: String,
    /// One per shard.
    pub positions: Vec<Position>,
}

const WRONG: &str = "not a cursor";

/// The part of the list after a cursor.
#[derive(Clone, Debug, Default)]
pub struct Changes {
    /// The name of the list. If it differs from the cursor's, this is the whole list.
    pub list: String,
    /// The time by the store's clock, in milliseconds since 1970; the earliest if it has several clocks.
    pub now: i64,
    /// One per shard.
    pub shards: Vec<ShardChanges>,
    /// True if more entries can be read immediately.
    pub more: bool,
    /// Descriptions of unreadable entries, which are in no shard.
    pub corrupt: Vec<String>,
}

/// The changes of one shard.
#[derive(Clone, Debug, Default)]
pub struct ShardChanges {
    /// True if the shard does not continue at the cursor: `entries` then starts at the beginning of the shard.
    pub is_restarted: bool,
    /// Sorted by position.
    pub entries: Vec<(Position, Revocation)>,
    /// The position up to which `entries` is complete; the entry there may have expired or be corrupt. The default
    /// stands for the position of the last of `entries`.
    pub end: Position,
}

impl Cursor {
    /// Moves the cursor past `changes`.
    pub fn move_past(&mut self, changes: &Changes) {
        if self.list != changes.list || self.positions.len() != changes.shards.len() {
            *self = Self { list: changes.list.clone(), positions: vec![Position::default(); changes.shards.len()] };
        }
        for (position, shard) in self.positions.iter_mut().zip(&changes.shards) {
            if shard.is_restarted {
                *position = Position::default();
            }
            let last = shard.entries.last().map(|(last, _)| *last);
            *position = last.unwrap_or_default().max(shard.end).max(*position);
        }
    }
}

/// The time `ms` in seconds, rounded up.
pub(super) fn whole_seconds(ms: i64) -> u64 {
    u64::try_from(ms).unwrap_or(0).div_ceil(1000)
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.at, self.number) {
            (0, 0) => Ok(()),
            (at, 0) => write!(f, "{at:x}"),
            (at, number) => write!(f, "{at:x}-{number:x}"),
        }
    }
}

impl FromStr for Position {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        let number = |text: &str| match text {
            "" => Ok(0),
            text if text.starts_with('+') => Err(WRONG),
            text => u64::from_str_radix(text, 16).map_err(|_| WRONG),
        };
        let (at, count) = text.split_once('-').unwrap_or((text, ""));
        Ok(Self { at: number(at)?, number: number(count)? })
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.list)?;
        self.positions.iter().try_for_each(|position| write!(f, ".{position}"))
    }
}

impl FromStr for Cursor {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        let mut parts = text.split('.');
        let list = parts.next().filter(|list| !list.is_empty()).ok_or(WRONG)?;
        Ok(Self { list: list.to_owned(), positions: parts.map(str::parse).collect::<Result<_, _>>()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursor_parses_from_its_own_text() {
        let at = |at, number| Position { at, number };
        for (positions, text) in [
            (vec![], "list"),
            (vec![at(0, 0)], "list."),
            (vec![at(255, 0), at(0, 0), at(16, 17)], "list.ff..10-11"),
            (vec![at(0, 1), at(u64::MAX, u64::MAX)], "list.0-1.ffffffffffffffff-ffffffffffffffff"),
        ] {
            let cursor = Cursor { list: "list".to_owned(), positions };
            assert_eq!((cursor.to_string().as_str(), text.parse()), (text, Ok(cursor)));
        }
    }

    #[test]
    fn invalid_cursor_is_refused() {
        for text in ["", ".", ".1", "list.x", "list.+1", "list.1-2-3", "list.10000000000000000", "list.é", "list. 1"] {
            assert_eq!(text.parse::<Cursor>(), Err(WRONG), "{text:?}");
        }
    }

    #[test]
    fn positions_are_in_the_order_of_time() {
        let at = |at, number| Position { at, number };
        assert!([at(0, 0), at(0, 1), at(1, 0), at(1, 2), at(2, 0)].is_sorted());
    }
}
