//! The list of revocations in Redis: a stream for each of sixteen slots.
//!
//! Redis takes one step on one slot at a time, and an entry is written by the step that ends the session. So the sessions of
//! all people live in sixteen slots, and each has its own shard of the list beside them: few enough that reading them all is
//! nothing, and enough for sixteen masters.

use std::array;

use futures_util::future::try_join_all;
use sha2::{Digest, Sha256};
use shared_claims::Revocation;
use shared_service::database::StoreError;
use uuid::Uuid;

use super::super::{Cursor, News, Position, STORE, ShardNews};
use super::RedisSessions;
use super::lua::{Lua, Step};
use super::slot::{SLOTS, slot};

/// How many shards there are.
const SHARDS: usize = 16;
/// How many entries of a shard are read at once.
const PAGE: usize = 500;

/// What stands in the braces of a shard's keys. Their slots lie evenly apart, so any masters share them evenly.
const TAGS: [&str; SHARDS] =
    ["07", "1oy", "2cx", "3r", "4ex", "5y", "64", "7xz", "8u", "9vz", "aoo", "bed", "cy", "dcd", "es", "fg"];

static REVOCATIONS: Lua = Lua::new(include_str!("revocations.lua"));

/// The time, the server's history, the newest id, and entries with their fields.
type Reply = (i64, String, String, Vec<(String, Vec<String>)>);

/// What was read of one shard.
struct Part {
    now: i64,
    history: String,
    /// Whether there may be more.
    full: bool,
    corrupt: Vec<String>,
    shard: ShardNews,
}

/// The key of a user's index, and of the shard beside it.
pub(super) fn keys(user_id: &str) -> [String; 2] {
    let number = usize::from(slot(user_id)) / (usize::from(SLOTS) / SHARDS);
    [format!("sessions:{{{}}}:{user_id}", TAGS[number]), shard(number)]
}

fn shard(number: usize) -> String {
    format!("revocations:{{{}}}", TAGS[number])
}

impl RedisSessions {
    /// What came behind `cursor`, all of it where that is not of this list.
    pub(super) async fn news(&self, cursor: &Cursor) -> Result<News, StoreError> {
        let after = <[Position; SHARDS]>::try_from(cursor.positions.as_slice()).unwrap_or_default();
        let mut news = self.read_all(after).await?;
        if news.list != cursor.list {
            news = self.read_all([Position::default(); SHARDS]).await?;
            for shard in &mut news.shards {
                shard.anew = true;
            }
        }
        Ok(news)
    }

    /// The list has a name of its own, and another one on other histories: then it begins anew.
    async fn read_all(&self, after: [Position; SHARDS]) -> Result<News, StoreError> {
        let shards: [_; SHARDS] = array::from_fn(|number| self.read(number, after[number]));
        let (name, shards) = tokio::try_join!(self.name(), try_join_all(shards))?;
        let (mut news, mut told) = (News { now: i64::MAX, ..News::default() }, name);
        for part in shards {
            told += &part.history;
            news.now = news.now.min(part.now);
            news.more |= part.full;
            news.corrupt.extend(part.corrupt);
            news.shards.push(part.shard);
        }
        news.list = digest(&told);
        Ok(news)
    }

    async fn name(&self) -> Result<String, StoreError> {
        let (keys, arguments) = (vec![format!("{}:name", shard(0))], vec![Uuid::new_v4().simple().to_string()]);
        // A name that is lost is found to be another.
        self.step(Step { script: &REVOCATIONS, keys, name: "name", arguments, writes: false }).await
    }

    /// What came to a shard. Where its newest entry lies before the position, the shard was forgotten: it is read from its beginning.
    async fn read(&self, number: usize, after: Position) -> Result<Part, StoreError> {
        let (mut now, mut history, mut newest, mut found) = self.read_after(number, after).await?;
        let anew = end(&newest)? < after;
        if anew {
            (now, history, newest, found) = self.read_after(number, Position::default()).await?;
        }
        let full = found.len() >= PAGE;
        // Of a page that is full, the last entry is where the next one begins, whatever it says.
        let last = if full { found.last().map(|(id, _)| id.clone()).unwrap_or_default() } else { newest };
        let (mut entries, mut corrupt) = (Vec::new(), Vec::new());
        for (id, fields) in found {
            match revocation(&fields) {
                Some(revocation) => entries.push((position(&id)?, revocation)),
                None => corrupt.push(format!("{} {id}: {}", shard(number), fields.join(" "))),
            }
        }
        Ok(Part { now, history, full, corrupt, shard: ShardNews { anew, entries, end: end(&last)? } })
    }

    async fn read_after(&self, number: usize, after: Position) -> Result<Reply, StoreError> {
        let (keys, arguments) = (vec![shard(number)], vec![format!("{}-{}", after.at, after.number), PAGE.to_string()]);
        // What is read need not outlive a fail-over: whoever was told of an end remembers it.
        self.step(Step { script: &REVOCATIONS, keys, name: "read", arguments, writes: false }).await
    }
}

/// 128 bits of SHA-256, in hexadecimal.
fn digest(text: &str) -> String {
    Uuid::from_slice(&Sha256::digest(text)[..16]).unwrap_or_default().simple().to_string()
}

/// The position of the newest entry, where there is one.
fn end(newest: &str) -> Result<Position, StoreError> {
    if newest.is_empty() { Ok(Position::default()) } else { position(newest) }
}

/// An id of a stream is `milliseconds-number`.
fn position(id: &str) -> Result<Position, StoreError> {
    let parts = id.split_once('-').and_then(|(at, number)| Some((at.parse().ok()?, number.parse().ok()?)));
    parts
        .map(|(at, number)| Position { at, number })
        .ok_or_else(|| StoreError::corrupt(STORE, format!("an entry of the list of revocations is called {id:?}")))
}

/// None where it is not one that a version of this program writes.
fn revocation(fields: &[String]) -> Option<Revocation> {
    match fields {
        [sid, id, until, time] if sid == "sid" && until == "until" => {
            Some(Revocation::Session { sid: id.clone(), until: time.parse().ok()? })
        }
        [sub, id, not_before, date, until, time] if sub == "sub" && not_before == "not_before" && until == "until" => {
            Some(Revocation::Subject { sub: id.clone(), not_before: date.parse().ok()?, until: time.parse().ok()? })
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shards_lie_evenly_apart() {
        for (number, tag) in TAGS.iter().enumerate() {
            assert_eq!(usize::from(slot(tag)) / 1024, number, "{tag}");
        }
    }

    #[test]
    fn all_keys_of_a_user_are_in_one_slot() {
        for user in ["0198c0de-0000-7000-8000-000000000000", "", "x", "{y}"] {
            let [index, shard] = keys(user);
            assert_eq!(slot(&index), slot(&shard), "{user}");
        }
    }
}
