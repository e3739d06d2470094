//! The revocation list in Redis: a stream for each shard of users.
//!
//! A step in Redis Cluster works on one slot, and the step that ends a session also writes the entry. So the sessions
//! of all users are in the slots of sixteen shards, each with its shard of the list.

use futures_util::future::try_join_all;
use sha2::{Digest, Sha256};
use shared_claims::Revocation;
use shared_service::database::StoreError;
use uuid::Uuid;

use super::{Changes, Cursor, Position, ShardChanges};
use crate::SESSION_STORE;
use crate::redis::{Lua, Redis, SHARDS, Shard, Step};

/// The maximum number of entries of a shard in one read.
const PAGE: usize = 1_000;

static REVOCATIONS: Lua = Lua::new(include_str!("revocations.lua"));

/// The key of a shard of the list.
pub(crate) fn list_key(shard: Shard) -> String {
    shard.key("revocations")
}

/// The time, the replication id, the newest entry's id, and entries with their fields.
type Reply = (i64, String, String, Vec<(String, Vec<String>)>);

/// Reads the list after `cursor`, or all of it if the cursor belongs to another list.
pub(crate) async fn read(redis: &Redis, cursor: &Cursor) -> Result<Changes, StoreError> {
    let after = <[Position; SHARDS]>::try_from(cursor.positions.as_slice()).unwrap_or_default();
    let mut changes = read_all(redis, after).await?;
    if changes.list != cursor.list {
        changes = read_all(redis, [Position::default(); SHARDS]).await?;
        for shard in &mut changes.shards {
            shard.is_restarted = true;
        }
    }
    Ok(changes)
}

/// The name of the list depends on the replication ids of the servers: after a fail-over it is another list, which is
/// read from its beginning.
async fn read_all(redis: &Redis, after: [Position; SHARDS]) -> Result<Changes, StoreError> {
    let shards = Shard::all().map(|shard| read_shard(redis, shard, after[shard.number()]));
    let (mut names, shards) = tokio::try_join!(name(redis), try_join_all(shards))?;
    let mut changes = Changes { now: i64::MAX, ..Changes::default() };
    for shard in shards {
        names += &shard.list;
        changes.now = changes.now.min(shard.now);
        changes.more |= shard.more;
        changes.corrupt.extend(shard.corrupt);
        changes.shards.extend(shard.shards);
    }
    changes.list = digest(&names);
    Ok(changes)
}

/// A lost name is replaced by a new one, so no replica has to acknowledge it.
async fn name(redis: &Redis) -> Result<String, StoreError> {
    let key = format!("{}:name", list_key(Shard::all()[0]));
    let arguments = vec![Uuid::new_v4().simple().to_string()];
    redis.step(&step(key, "name", arguments)).await
}

/// The changes of one shard, with the replication id of its server as the name of the list. If the newest entry is
/// before the position, the shard was lost: it is read from its beginning.
async fn read_shard(redis: &Redis, number: Shard, after: Position) -> Result<Changes, StoreError> {
    let (mut now, mut history, mut newest, mut found) = read_after(redis, number, after).await?;
    let is_restarted = end(&newest)? < after;
    if is_restarted {
        (now, history, newest, found) = read_after(redis, number, Position::default()).await?;
    }
    let more = found.len() >= PAGE;
    // The next page starts after the last entry of a full page, even if that is unreadable.
    let last = if more { found.last().map(|(id, _)| id.clone()).unwrap_or_default() } else { newest };
    let (mut entries, mut corrupt) = (Vec::new(), Vec::new());
    for (id, fields) in found {
        match revocation(&fields) {
            Some(revocation) => entries.push((position(&id)?, revocation)),
            None => corrupt.push(format!("{} {id}: {}", list_key(number), fields.join(" "))),
        }
    }
    let shards = vec![ShardChanges { is_restarted, entries, end: end(&last)? }];
    Ok(Changes { list: history, now, shards, more, corrupt })
}

/// A read need not survive a fail-over: a verifier remembers the entries that it got.
async fn read_after(redis: &Redis, shard: Shard, after: Position) -> Result<Reply, StoreError> {
    let arguments = vec![format!("{}-{}", after.at, after.number), PAGE.to_string()];
    redis.step(&step(list_key(shard), "read", arguments)).await
}

fn step(key: String, name: &'static str, arguments: Vec<String>) -> Step {
    Step { script: &REVOCATIONS, keys: vec![key], name, arguments, replicated: None }
}

/// 128 bits of SHA-256, in hexadecimal.
fn digest(text: &str) -> String {
    Uuid::from_slice(&Sha256::digest(text)[..16]).unwrap_or_default().simple().to_string()
}

/// The position of the newest entry; the default if there is none.
fn end(newest: &str) -> Result<Position, StoreError> {
    if newest.is_empty() { Ok(Position::default()) } else { position(newest) }
}

/// Parses the id of a stream entry, `milliseconds-number`.
fn position(id: &str) -> Result<Position, StoreError> {
    let parts = id.split_once('-').and_then(|(at, number)| Some((at.parse().ok()?, number.parse().ok()?)));
    parts
        .map(|(at, number)| Position { at, number })
        .ok_or_else(|| StoreError::corrupt(SESSION_STORE, format!("an entry of the revocation list is called {id:?}")))
}

/// The entry with these fields; `None` if no version of this program writes such an entry.
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
