//! The list of revocations, as verifiers follow it, and the reader that serves it to them.
//!
//! An entry is written by the step that ends the session, or revokes a user's tokens, and lives until the last token that it
//! revokes has expired, by twice the leeway longer: the clock of a verifier may differ, and the clock of another one in the
//! other direction.
//!
//! Tokens count whole seconds, so one of the second of a cut-off may have been made before or after it. The rule: a cut-off
//! lies at the beginning of the next second, later still if a session that goes on has a token dated there; a token that is
//! issued after it is dated at that second or later, and handed out when that has come. So all tokens made before are refused,
//! and none made after.
//!
//! The list may have several shards, as many as the store has places that it changes in one step. In each, entries have
//! positions that only grow, by the clock where it can be, so that even a store that forgot everything gives none twice.

mod list;
mod reader;
mod redis;
mod sql;

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use shared_claims::{LEEWAY, Revocation};

pub use self::reader::RevocationReader;
pub use self::redis::RedisRevocations;
pub(crate) use self::redis::list_key;
pub use self::sql::SqlRevocations;

/// A place in a shard: milliseconds since 1970, and a number among those of the same one. The default is before all.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub struct Position {
    at: u64,
    number: u64,
}

/// The places up to which a list was read, in each of its shards. As text it is `name.position.position…`, a position being empty
/// or hexadecimal. The default is one that no list has.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Cursor {
    /// The name of the list.
    pub list: String,
    /// One for each shard.
    pub positions: Vec<Position>,
}

/// A text that is no cursor.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("not a cursor")]
pub struct NotACursor;

/// The part of the list behind a cursor.
#[derive(Clone, Debug, Default)]
pub struct Changes {
    /// The name of the list; where it is another than the cursor's, this is all there is.
    pub list: String,
    /// The time by the store's clock, the earliest one where it has several, in milliseconds since 1970.
    pub now: i64,
    /// One for each shard.
    pub shards: Vec<ShardChanges>,
    /// Whether there is more to be read at once.
    pub more: bool,
    /// Entries that cannot be read, a description of each. They are in no shard.
    pub corrupt: Vec<String>,
}

/// The part of one shard.
#[derive(Clone, Debug, Default)]
pub struct ShardChanges {
    /// The shard does not go on where the cursor is: these entries come from its beginning.
    pub is_restarted: bool,
    /// In the order of their positions.
    pub entries: Vec<(Position, Revocation)>,
    /// That is all up to here, where the last entry may be over by now or corrupt; with the default, up to the last of `entries`.
    pub end: Position,
}

impl Cursor {
    /// Moves on to where `news` was read.
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

/// The time behind its date for which a revoked token is listed.
pub(crate) fn kept_for(access_ttl: Duration) -> Duration {
    access_ttl.saturating_add(Duration::from_secs(2 * LEEWAY))
}

/// The second in which the time `ms` is over.
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
    type Err = NotACursor;

    fn from_str(text: &str) -> Result<Self, NotACursor> {
        let number = |text: &str| match text {
            "" => Ok(0),
            text if text.starts_with('+') => Err(NotACursor),
            text => u64::from_str_radix(text, 16).map_err(|_| NotACursor),
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
    type Err = NotACursor;

    fn from_str(text: &str) -> Result<Self, NotACursor> {
        let mut parts = text.split('.');
        let list = parts.next().filter(|list| !list.is_empty()).ok_or(NotACursor)?;
        Ok(Self { list: list.to_owned(), positions: parts.map(str::parse).collect::<Result<_, _>>()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_read_as_it_is_written() {
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
    fn what_is_no_cursor_is_refused() {
        for text in ["", ".", ".1", "list.x", "list.+1", "list.1-2-3", "list.10000000000000000", "list.é", "list. 1"] {
            assert_eq!(text.parse::<Cursor>(), Err(NotACursor), "{text:?}");
        }
    }

    #[test]
    fn positions_are_in_the_order_of_time() {
        let at = |at, number| Position { at, number };
        assert!([at(0, 0), at(0, 1), at(1, 0), at(1, 2), at(2, 0)].is_sorted());
    }
}
