//! What the stores keep, what they leave behind, and what they make of a record that is not theirs.

use auth_service::sessions::{Advance, Session};
use redis::aio::MultiplexedConnection;
use redis::{AsyncCommands, Client, Cmd};
use shared_http::database::StoreError;
use sqlx::AssertSqlSafe;

use super::{KEEP_ENDED, Kind, MINUTE, RULES, Stage, advanced, redis_url};

impl Stage {
    async fn sql(&self, statement: &str) {
        let pool = &self.database.as_ref().unwrap().pool;
        sqlx::query(AssertSqlSafe(statement)).execute(pool).await.unwrap();
    }

    /// All rows, those of ended sessions too.
    async fn rows(&self) -> usize {
        let pool = &self.database.as_ref().unwrap().pool;
        sqlx::query("SELECT id FROM sessions").fetch_all(pool).await.unwrap().len()
    }

    fn index(&self) -> String {
        format!("sessions:{{{}}}", self.user)
    }

    fn record(&self, session: &Session) -> String {
        format!("{}:{}", self.index(), session.id)
    }

    async fn assert_corrupt(&self, session: &Session, why: &str) {
        let advance = self.store.advance(&self.user, session.id, 1).await;
        assert!(matches!(advance, Err(StoreError::Corrupt { .. })), "{why}: {advance:?}");
        let list = self.store.list(&self.user).await;
        assert!(matches!(list, Err(StoreError::Corrupt { .. })), "{why}: {list:?}");
    }
}

async fn raw_redis() -> MultiplexedConnection {
    Client::open(redis_url()).unwrap().get_multiplexed_async_connection().await.unwrap()
}

#[tokio::test]
async fn a_sweep_takes_what_is_over_and_nothing_else() {
    for kind in [Kind::Sqlite, Kind::Postgres] {
        let (stage, store) = kind.sql_stage(RULES).await;
        for _ in 0..5 {
            stage.open().await;
        }
        assert_eq!(store.sweep(2).await.unwrap(), 0);
        stage.pass(RULES.refresh_ttl + MINUTE);
        let (alive, ended, replayed) = (stage.open_at(2).await, stage.open().await, stage.open_at(3).await);
        assert!(stage.store.end(&stage.user, ended.id).await.unwrap());
        assert_eq!(stage.advance(replayed.id, 1).await, Advance::Replayed);
        assert_eq!(store.sweep(2).await.unwrap(), 5, "the expired, in more than one batch");
        assert_eq!(stage.rows().await, 3);

        stage.pass(KEEP_ENDED);
        assert_eq!(store.sweep(2).await.unwrap(), 0, "the ended are kept");
        stage.pass(MINUTE);
        assert_eq!(store.sweep(2).await.unwrap(), 2, "but not for longer than need be");
        stage.assert_listed(&[&alive]).await;
        advanced(stage.advance(alive.id, 2).await);
    }
}

#[tokio::test]
async fn a_row_that_is_no_session_is_an_error() {
    for kind in [Kind::Sqlite, Kind::Postgres] {
        for (change, why) in [
            ("generation = 0", "below the first generation"),
            ("generation = -5", "negative"),
            ("opened_at = ends_at + 1", "ends before it opens"),
        ] {
            let (stage, _) = kind.sql_stage(RULES).await;
            let session = stage.open().await;
            stage.sql(&format!("UPDATE sessions SET {change}")).await;
            let list = stage.store.list(&stage.user).await;
            assert!(matches!(list, Err(StoreError::Corrupt { .. })), "{why}: {list:?}");
            let advance = stage.store.advance(&stage.user, session.id, 1).await;
            assert!(matches!(advance, Err(StoreError::Corrupt { .. })), "{why}: {advance:?}");
        }
    }
}

#[tokio::test]
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
    for field in ["generation", "opened_at", "advanced_at", "idle_ends_at", "ends_at", "user_agent", "address"] {
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
async fn a_corrupt_hash_can_still_be_ended() {
    let mut redis = raw_redis().await;
    let stage = Kind::Redis.stage(RULES).await;
    let (corrupt, sound) = (stage.open().await, stage.open().await);
    let _: () = redis.hdel(stage.record(&corrupt), "generation").await.unwrap();
    assert_eq!(stage.store.end_all(&stage.user, None).await.unwrap(), 1, "the sound one is alive");
    stage.assert_gone(corrupt.id).await;
    stage.assert_gone(sound.id).await;
}

#[tokio::test]
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
    let left: Vec<String> = redis.keys(format!("*{}*", stage.user)).await.unwrap();
    assert_eq!(left, [""; 0]);
}

#[tokio::test]
async fn the_index_in_redis_heals() {
    let mut redis = raw_redis().await;
    let stage = Kind::Redis.stage(RULES).await;
    let (lost, kept) = (stage.open().await, stage.open().await);
    let _: () = redis.del(stage.record(&lost)).await.unwrap();
    stage.assert_listed(&[&kept]).await;
    let members: Vec<String> = redis.zrange(stage.index(), 0, -1).await.unwrap();
    assert_eq!(members, [kept.id.to_string()], "by a list");

    stage.pass(RULES.refresh_ttl + MINUTE);
    let new = stage.open().await;
    let members: Vec<String> = redis.zrange(stage.index(), 0, -1).await.unwrap();
    assert_eq!(members, [new.id.to_string()], "by a login");
}

#[tokio::test]
async fn what_cannot_be_found_cannot_be_advanced() {
    let mut redis = raw_redis().await;
    let stage = Kind::Redis.stage(RULES).await;
    let session = stage.open().await;
    let _: () = redis.del(stage.index()).await.unwrap();
    assert_eq!(stage.store.end_all(&stage.user, None).await.unwrap(), 0);
    assert_eq!(stage.advance(session.id, 1).await, Advance::Gone);
    let left: Vec<String> = redis.keys(format!("*{}*", stage.user)).await.unwrap();
    assert_eq!(left, [""; 0]);
}
