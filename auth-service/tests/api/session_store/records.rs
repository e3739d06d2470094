//! The records of the stores: content, expiry, and corrupt ones.

use auth_service::revocations::RevocationReader;
use auth_service::sessions::{Cursor, Rotation, Session, SessionStore};
use redis::aio::MultiplexedConnection;
use redis::{AsyncCommands, Cmd};
use shared_claims::{Revocation, Revocations};
use shared_service::clock::now_ms;
use shared_service::database::StoreError;
use sqlx::AssertSqlSafe;

use super::{Kind, MINUTE, RULES, SQL, Stage, ms, redis_stage, redis_url, rotated};
use crate::redis_server::{Redis, connect};

impl Stage {
    async fn sql(&self, statement: &str) {
        let pool = &self.database.as_ref().unwrap().pool;
        sqlx::query(AssertSqlSafe(statement)).execute(pool).await.unwrap();
    }

    /// The number of rows, including those of ended sessions.
    async fn rows(&self) -> usize {
        let pool = &self.database.as_ref().unwrap().pool;
        sqlx::query("SELECT id FROM sessions").fetch_all(pool).await.unwrap().len()
    }

    fn index(&self) -> String {
        index_of(&self.user)
    }

    /// Asserts that Redis keeps only the user's cut-off, and that for a few seconds.
    async fn assert_only_the_cut_off_is_left(&self, redis: &mut MultiplexedConnection) {
        let left: Vec<String> = redis.keys(format!("*{}*", self.user)).await.unwrap();
        assert!(left.is_empty() || left == [self.index()], "{left:?}");
        let members: Vec<String> = redis.zrange(self.index(), 0, -1).await.unwrap();
        assert!(members.is_empty() || members == ["not_before"], "{members:?}");
        let expires_at: i64 = Cmd::pexpire_time(self.index()).query_async(redis).await.unwrap();
        assert!(expires_at <= now_ms() + 12_000);
    }

    /// The key of the revocation list's shard in the slot of the index.
    fn list_key(&self) -> String {
        let index = self.index();
        let (place, _) = index.rsplit_once(':').unwrap();
        place.replace("sessions", "revocations")
    }

    fn record(&self, session: &Session) -> String {
        format!("{}:{}", self.index(), session.id)
    }

    async fn assert_corrupt(&self, session: &Session, why: &str) {
        let advance = self.store.rotate(&self.user, session.id, 1).await;
        assert!(matches!(advance, Err(StoreError::Corrupt { .. })), "{why}: {advance:?}");
        let list = self.store.list(&self.user, None, 9).await;
        assert!(matches!(list, Err(StoreError::Corrupt { .. })), "{why}: {list:?}");
    }
}

/// The hash tags of the sixteen slots with sessions.
pub const TAGS: [&str; 16] =
    ["07", "1oy", "2cx", "3r", "4ex", "5y", "64", "7xz", "8u", "9vz", "aoo", "bed", "cy", "dcd", "es", "fg"];

/// The key of a user's sessions in Redis: in one of sixteen slots, determined by the first four bits of the slot of the
/// user's id.
pub fn index_of(user: &str) -> String {
    let crc = user.bytes().fold(0_u16, |crc, byte| {
        (0..8).fold(crc ^ (u16::from(byte) << 8), |crc, _| crc << 1 ^ if crc & 0x8000 == 0 { 0 } else { 0x1021 })
    });
    format!("sessions:{{{}}}:{user}", TAGS[usize::from(crc % 16384 / 1024)])
}

async fn raw_redis() -> MultiplexedConnection {
    connect(&redis_url()).await
}

#[tokio::test]
async fn live_sessions_are_counted() {
    for &kind in SQL {
        let (stage, store) = kind.sql_stage(RULES).await;
        assert_eq!(store.count_open().await.unwrap(), 0);
        stage.open().await;
        stage.pass(RULES.refresh_ttl / 2);
        let (_open, ended) = (stage.open().await, stage.open().await);
        assert!(stage.store.end(&stage.user, ended.id).await.unwrap());
        assert_eq!(store.count_open().await.unwrap(), 2, "the ended session is not counted");
        stage.pass(RULES.refresh_ttl / 2 + MINUTE);
        assert_eq!(store.count_open().await.unwrap(), 1, "the expired session is not counted");
    }
}

#[tokio::test]
async fn sweep_deletes_only_expired_records() {
    for &kind in SQL {
        let (stage, store) = kind.sql_stage(RULES).await;
        for _ in 0..5 {
            stage.open().await;
        }
        assert_eq!(store.sweep(2).await.unwrap(), 0);
        stage.pass(RULES.refresh_ttl + MINUTE);
        let (alive, ended, replayed) = (stage.open_at(2).await, stage.open().await, stage.open_at(3).await);
        assert!(stage.store.end(&stage.user, ended.id).await.unwrap());
        assert_eq!(stage.rotate(replayed.id, 1).await, Rotation::Reused);
        assert_eq!(store.sweep(2).await.unwrap(), 5, "the expired sessions, in more than one batch");
        assert_eq!(stage.rows().await, 3);

        stage.pass(RULES.access_ttl);
        assert_eq!(store.sweep(2).await.unwrap(), 0, "the ended sessions are kept");
        stage.pass(MINUTE);
        assert_eq!(store.sweep(2).await.unwrap(), 2, "the ended sessions are deleted after their tokens");
        stage.assert_listed(&[&alive]).await;
        rotated(stage.rotate(alive.id, 2).await);
    }
}

/// The record does not contain the lifetime of its tokens.
#[tokio::test]
async fn a_session_that_an_older_version_opened_is_listed_when_it_ends() {
    for &kind in SQL {
        let (stage, store) = kind.sql_stage(RULES).await;
        let (ended, replayed) = (stage.open().await, stage.open_at(3).await);
        stage.sql("UPDATE sessions SET issued_at = 0, tokens_end_at = 0").await;
        assert!(store.end(&stage.user, ended.id).await.unwrap());
        assert_eq!(stage.rotate(replayed.id, 1).await, Rotation::Reused);
        let changes = store.revoked(&Cursor::default()).await.unwrap();
        let over = (now_ms() + ms(RULES.access_ttl)) / 1000;
        for session in [&ended, &replayed] {
            let listed = changes.shards[0].entries.iter().any(|(_, entry)| {
                matches!(entry, Revocation::Session { sid, until }
                    if *sid == session.id.to_string() && until.cast_signed() >= over)
            });
            assert!(listed, "{changes:?}");
        }
    }
}

#[tokio::test]
async fn a_row_that_is_no_session_is_an_error() {
    for &kind in SQL {
        for (change, why) in [
            ("generation = 0", "below the first generation"),
            ("generation = -5", "negative"),
            ("opened_at = ends_at + 1", "ends before it opens"),
        ] {
            let (stage, _) = kind.sql_stage(RULES).await;
            let session = stage.open().await;
            stage.sql(&format!("UPDATE sessions SET {change}")).await;
            let list = stage.store.list(&stage.user, None, 9).await;
            assert!(matches!(list, Err(StoreError::Corrupt { .. })), "{why}: {list:?}");
            let advance = stage.store.rotate(&stage.user, session.id, 1).await;
            assert!(matches!(advance, Err(StoreError::Corrupt { .. })), "{why}: {advance:?}");
        }
    }
}

#[tokio::test]
#[cfg_attr(not(feature = "all-tests"), ignore = "needs Redis: ./test")]
async fn a_hash_that_is_no_session_is_an_error() {
    let mut redis = raw_redis().await;
    for (field, value, why) in [
        ("generation", &b"one"[..], "not a number"),
        ("generation", b"1.5", "not a whole number"),
        ("advanced_at", b"", "empty"),
        ("opened_at", b"99999999999999", "opened after the end"),
        ("ends_at", b"nan", "no number at all"),
        ("user_agent", b"\xff", "not UTF-8"),
    ] {
        let stage = Kind::Redis.stage(RULES).await;
        let session = stage.open().await;
        let _: () = redis.hset(stage.record(&session), field, value).await.unwrap();
        stage.assert_corrupt(&session, why).await;
    }
    for field in [
        "generation",
        "opened_at",
        "advanced_at",
        "issued_at",
        "tokens_end_at",
        "idle_ends_at",
        "ends_at",
        "user_agent",
        "address",
    ] {
        let stage = Kind::Redis.stage(RULES).await;
        let session = stage.open().await;
        let _: () = redis.hdel(stage.record(&session), field).await.unwrap();
        stage.assert_corrupt(&session, field).await;
    }
    let stage = Kind::Redis.stage(RULES).await;
    let session = stage.open().await;
    let _: () = redis.set(stage.record(&session), "text").await.unwrap();
    stage.assert_corrupt(&session, "not a hash").await;
}

#[tokio::test]
#[cfg_attr(not(feature = "all-tests"), ignore = "needs Redis: ./test")]
async fn a_corrupt_hash_can_still_be_ended() {
    let mut redis = raw_redis().await;
    for is_a_hash in [true, false] {
        let stage = Kind::Redis.stage(RULES).await;
        let (corrupt, sound) = (stage.open().await, stage.open().await);
        let record = stage.record(&corrupt);
        let _: () = if is_a_hash { redis.hdel(record, "generation") } else { redis.set(record, "text") }.await.unwrap();
        assert_eq!(stage.store.end_all(&stage.user, None).await.unwrap(), 1, "the sound session was alive");
        stage.assert_gone(corrupt.id).await;
        stage.assert_gone(sound.id).await;
    }
}

#[tokio::test]
#[cfg_attr(not(feature = "all-tests"), ignore = "needs Redis: ./test")]
async fn redis_keeps_nothing_for_longer_than_the_session() {
    let mut redis = raw_redis().await;
    let stage = Kind::Redis.stage(RULES).await;
    let older = stage.open().await;
    let newer = stage.open_at(2).await;
    for (key, ends_at) in [
        (stage.record(&older), older.idle_ends_at),
        (stage.record(&newer), newer.idle_ends_at),
        (stage.index(), newer.idle_ends_at),
    ] {
        let expires_at: i64 = Cmd::pexpire_time(&key).query_async(&mut redis).await.unwrap();
        assert_eq!(expires_at, ends_at, "{key}");
    }
    stage.store.end_all(&stage.user, None).await.unwrap();
    stage.assert_only_the_cut_off_is_left(&mut redis).await;
    let expires_at: i64 = Cmd::pexpire_time(stage.list_key()).query_async(&mut redis).await.unwrap();
    assert_eq!(expires_at, -1, "the list never expires, so that its positions grow even if the clock is set back");
}

#[tokio::test]
#[cfg_attr(not(feature = "all-tests"), ignore = "needs Redis: ./test")]
async fn the_index_in_redis_heals() {
    let mut redis = raw_redis().await;
    let stage = Kind::Redis.stage(RULES).await;
    let (lost, kept) = (stage.open().await, stage.open().await);
    let _: () = redis.del(stage.record(&lost)).await.unwrap();
    stage.assert_listed(&[&kept]).await;
    stage.assert_gone(lost.id).await;
    let members: Vec<String> = redis.zrange(stage.index(), 0, -1).await.unwrap();
    assert_eq!(members, [kept.id.to_string()], "a use of the lost session removes it");

    stage.pass(RULES.refresh_ttl + MINUTE);
    let new = stage.open().await;
    let members: Vec<String> = redis.zrange(stage.index(), 0, -1).await.unwrap();
    assert_eq!(members, [new.id.to_string()], "a login removes expired sessions");
}

#[tokio::test]
#[cfg_attr(not(feature = "all-tests"), ignore = "needs Redis: ./test")]
async fn session_missing_from_the_index_cannot_be_rotated() {
    let mut redis = raw_redis().await;
    let stage = Kind::Redis.stage(RULES).await;
    let session = stage.open().await;
    let _: () = redis.del(stage.index()).await.unwrap();
    assert_eq!(stage.store.end_all(&stage.user, None).await.unwrap(), 0);
    assert_eq!(stage.rotate(session.id, 1).await, Rotation::Unknown);
    stage.assert_only_the_cut_off_is_left(&mut redis).await;
}

/// An entry that no version of this program writes. Postgres refuses such a row.
#[tokio::test]
async fn a_row_that_is_no_revocation_is_left_out_of_the_list() {
    let (stage, store) = Kind::Sqlite.sql_stage(RULES).await;
    let (corrupt, sound, repaired) = (stage.open().await, stage.open().await, stage.open().await);
    for session in [&corrupt, &sound, &repaired] {
        assert!(store.end(&stage.user, session.id).await.unwrap());
    }
    stage.sql(&format!("UPDATE sessions SET tokens_end_at = 'soon' WHERE id = '{}'", corrupt.id)).await;
    stage.sql(&format!("UPDATE sessions SET tokens_end_at = 'late' WHERE id = '{}'", repaired.id)).await;
    let known = Revocations::new(None);
    let reader = RevocationReader::new(store.clone(), known.clone());
    for reading in 0..3 {
        reader.read_on().await.unwrap();
        assert!(known.is_revoked(&sound.id.to_string(), "", 0), "the other entries are served");
        assert_eq!(known.age(), None, "reading {reading} is not complete");
    }
    let later = stage.open().await;
    assert!(store.end(&stage.user, later.id).await.unwrap());
    reader.read_on().await.unwrap();
    assert!(known.is_revoked(&later.id.to_string(), "", 0));
    // As the runbook says; a reader that has passed the entry gets it too.
    let mut cursor = Cursor::default();
    cursor.move_past(&store.revoked(&cursor).await.unwrap());
    let until = now_ms() + ms(MINUTE);
    let repair = format!("UPDATE sessions SET tokens_end_at = {until}, position = 0 WHERE tokens_end_at = 'late'");
    stage.sql(&repair).await;
    let changes = store.revoked(&cursor).await.unwrap();
    assert_eq!(changes.shards[0].entries.len(), 1, "{changes:?}");
    stage.sql("DELETE FROM sessions WHERE tokens_end_at = 'soon'").await;
    reader.read_on().await.unwrap();
    assert!(known.age().is_some(), "the list is complete again");
}

/// The corrupt entry is the oldest, so each end of a session meets it when it removes expired entries.
#[tokio::test]
#[cfg_attr(not(feature = "all-tests"), ignore = "needs Redis: ./test")]
async fn sessions_end_beside_an_entry_that_cannot_be_read() {
    // A Redis whose list is empty.
    let server = Redis::with(&[]).await;
    let mut redis = server.raw("").await;
    let stage = redis_stage(&server.url(), RULES);
    let key = stage.list_key();
    let add = async |sid: &str, until: &str| {
        let mut command = redis::cmd("XADD");
        command.arg(&key).arg("*").arg("sid").arg(sid).arg("until").arg(until);
        command.query_async::<String>(&mut redis.clone()).await.unwrap()
    };
    let (bad, _over) = (add("x", "soon").await, add("y", "1").await);
    let session = stage.open().await;
    assert!(stage.store.end(&stage.user, session.id).await.unwrap());
    let changes = stage.store.revoked(&Cursor::default()).await.unwrap();
    assert!(changes.corrupt.iter().any(|entry| entry.contains(&bad)), "{:?}", changes.corrupt);
    assert!(
        changes.shards.iter().all(|shard| shard.entries.iter().all(|(_, entry)| !matches!(entry,
        Revocation::Session { sid, .. } if sid == "y"))),
        "expired entries are removed despite the corrupt one"
    );
    redis::cmd("XDEL").arg(&key).arg(&bad).exec_async(&mut redis).await.unwrap();
}

#[tokio::test]
#[cfg_attr(not(feature = "all-tests"), ignore = "needs Redis: ./test")]
async fn unreadable_entry_before_a_failed_page_is_remembered() {
    let server = Redis::with(&[]).await;
    let mut redis = server.raw("").await;
    let stage = redis_stage(&server.url(), RULES);
    let key = stage.list_key();
    let mut entries = redis::pipe();
    for place in 1..=1001 {
        let until: &[u8] = match place {
            1 => b"soon",
            1001 => b"\xff", // Not UTF-8, so its page cannot be read at all.
            _ => b"9999999999",
        };
        entries.cmd("XADD").arg(&key).arg(format!("{place}-0")).arg("sid").arg("x").arg("until").arg(until).ignore();
    }
    let _: () = entries.query_async(&mut redis).await.unwrap();
    let known = Revocations::new(None);
    let reader = RevocationReader::new(stage.store.clone(), known.clone());
    reader.read_on().await.unwrap_err();
    redis::cmd("XDEL").arg(&key).arg("1001-0").exec_async(&mut redis).await.unwrap();
    reader.read_on().await.unwrap();
    assert_eq!(known.age(), None, "the list is not complete");
}

/// Revocations of that shard cannot be served, those of the other shards can.
#[tokio::test]
#[cfg_attr(not(feature = "all-tests"), ignore = "needs Redis: ./test")]
async fn a_shard_of_another_type_is_left_out_of_the_list() {
    let server = Redis::with(&[]).await;
    let mut redis = server.raw("").await;
    let stage = redis_stage(&server.url(), RULES);
    let other = TAGS.map(|tag| format!("revocations:{{{tag}}}")).into_iter().find(|key| *key != stage.list_key());
    let other = other.unwrap();
    let _: () = redis.set(&other, "text").await.unwrap();
    let known = Revocations::new(None);
    let reader = RevocationReader::new(stage.store.clone(), known.clone());
    for reading in 0..3 {
        let session = stage.open().await;
        assert!(stage.store.end(&stage.user, session.id).await.unwrap());
        reader.read_on().await.unwrap();
        assert!(known.is_revoked(&session.id.to_string(), "", 0), "reading {reading} serves the other shards");
        assert_eq!(known.age(), None, "reading {reading} is not complete");
    }
    let changes = stage.store.revoked(&Cursor::default()).await.unwrap();
    assert!(changes.corrupt.iter().any(|entry| entry.contains(&other)), "{:?}", changes.corrupt);
    let _: () = redis.del(&other).await.unwrap();
    reader.read_on().await.unwrap();
    assert!(known.age().is_some(), "the list is complete again");
}

/// Readers start from the beginning of a list with another name.
#[tokio::test]
#[cfg_attr(not(feature = "all-tests"), ignore = "needs Redis: ./test")]
async fn a_list_name_of_another_type_is_replaced() {
    let server = Redis::with(&[]).await;
    let mut redis = server.raw("").await;
    let stage = redis_stage(&server.url(), RULES);
    let session = stage.open().await;
    assert!(stage.store.end(&stage.user, session.id).await.unwrap());
    let before = stage.store.revoked(&Cursor::default()).await.unwrap();
    let name = format!("revocations:{{{}}}:name", TAGS[0]);
    let _: () = redis.del(&name).await.unwrap();
    let _: () = redis.lpush(&name, "x").await.unwrap();
    let after = stage.store.revoked(&Cursor::default()).await.unwrap();
    assert_ne!(after.list, before.list, "the list has a new name");
    let again = stage.store.revoked(&Cursor::default()).await.unwrap();
    assert_eq!(again.list, after.list, "the new name stays");
    assert!(again.shards.iter().any(|shard| !shard.entries.is_empty()), "the entries are still served");
}
