//! A store that is unavailable, slow or full: a prompt error, nothing lost, and automatic recovery.

use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use auth_service::sessions::{FIRST_GENERATION, Rotation, SessionId};
use redis::aio::MultiplexedConnection;
use rustix::process::Signal;
use shared_service::database::StoreError;
use tokio::time::{sleep, timeout};

use crate::redis_server::{Redis, connect};

use super::{Kind, RULES, SECOND, SQL, Stage, redis_stage, redis_url, rotated};

/// Less than two consecutive time limits of a store.
const SOON: Duration = Duration::from_millis(1900);

/// The time after a store's return from which on its first request succeeds.
pub const RECOVERY: Duration = Duration::from_secs(2);

impl Stage {
    /// Asserts that each method soon returns that the store is unavailable.
    async fn assert_unavailable(&self, id: SessionId) {
        let (store, user) = (&self.store, self.user.as_str());
        assert_refused("open", async { store.open(&self.user, super::label()).await.map(drop) }).await;
        self.assert_advance_refused(id, 1).await;
        assert_refused("end", async { store.end(user, id).await.map(drop) }).await;
        assert_refused("end_all", async { store.end_all(user, None).await.map(drop) }).await;
        assert_refused("list", async { store.list(user, None, 9).await.map(drop) }).await;
        assert_refused("ping", store.ping()).await;
    }

    async fn assert_advance_refused(&self, id: SessionId, presented: i64) {
        assert_refused("rotate", async { self.store.rotate(&self.user, id, presented).await.map(drop) }).await;
    }
}

async fn assert_refused(what: &str, call: impl Future<Output = Result<(), StoreError>>) {
    let answer = timeout(SOON, call).await.unwrap_or_else(|_| panic!("{what} takes too long"));
    assert!(matches!(answer, Err(StoreError::Unavailable { .. })), "{what}: {answer:?}");
}

fn some_id() -> SessionId {
    "0b6f2c1e-8a53-4d0f-9f6e-2a7c5b1d4e90".parse().unwrap()
}

async fn config(redis: &mut MultiplexedConnection, name: &str, value: &str) {
    redis::cmd("CONFIG").arg("SET").arg(name).arg(value).exec_async(redis).await.unwrap();
}

/// Without `INFO` it would be unknown if a write has to wait for a replica.
#[tokio::test]
#[cfg_attr(not(feature = "all-tests"), ignore = "needs Redis: ./test")]
async fn redis_user_who_may_not_run_info_is_refused() {
    let rights = "--user app on >right ~* &* +@all -@dangerous";
    let redis = Redis::with(&rights.split(' ').collect::<Vec<_>>()).await;
    let stage = redis_stage(&format!("redis://app:right@{}", redis.place()), RULES);
    let error = stage.store.open(&stage.user, super::label()).await.unwrap_err();
    assert!(error.to_string().contains("allow the user +info"), "{error}");
    stage.assert_unavailable(some_id()).await;
    redis.ask::<()>("ACL SETUSER app +info").await;
    sleep(RECOVERY).await;
    stage.store.open(&stage.user, super::label()).await.unwrap();
}

#[tokio::test]
async fn missing_redis_is_unavailable() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("redis://{}", listener.local_addr().unwrap());
    drop(listener);
    redis_stage(&url, RULES).assert_unavailable(some_id()).await;
}

#[tokio::test]
async fn silent_redis_is_unavailable() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("redis://{}", listener.local_addr().unwrap());
    redis_stage(&url, RULES).assert_unavailable(some_id()).await;
}

#[tokio::test]
#[cfg_attr(not(feature = "all-tests"), ignore = "needs Redis: ./test")]
async fn a_redis_that_restarts_is_served_again() {
    let mut server = Redis::with(&[]).await;
    let stage = redis_stage(&server.url(), RULES);
    let session = stage.open().await;
    server.stop();
    stage.assert_unavailable(session.id).await;

    server.start_again().await;
    sleep(RECOVERY).await; // The recovery is promised within this time.
    assert_eq!(
        stage.rotate(session.id, 1).await,
        Rotation::Unknown,
        "the first request is served; a store in memory has lost all"
    );
}

#[tokio::test]
#[cfg_attr(not(feature = "all-tests"), ignore = "needs Redis: ./test")]
async fn a_redis_that_pauses_loses_nothing() {
    let server = Redis::with(&[]).await;
    let stage = redis_stage(&server.url(), RULES);
    let session = stage.open().await;
    server.signal(Signal::STOP);
    stage.assert_advance_refused(session.id, 1).await;
    server.signal(Signal::CONT);
    sleep(RECOVERY).await; // The recovery is promised within this time.
    assert_eq!(successor(stage.rotate(session.id, 1).await), FIRST_GENERATION + 1);
    server.signal(Signal::STOP);
    stage.assert_unavailable(some_id()).await;
    server.signal(Signal::CONT);
}

/// The generation after a retried rotation: the same, whether or not the first try took effect.
fn successor(outcome: Rotation) -> i64 {
    match outcome {
        Rotation::Rotated(session) | Rotation::Retried(session) => session.generation,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
#[cfg_attr(not(feature = "all-tests"), ignore = "needs Redis: ./test")]
async fn corrected_redis_password_is_used_without_a_restart() {
    let server = Redis::with(&["--requirepass", "right"]).await;
    let url = format!("redis://:wrong@127.0.0.1:{}", server.port());
    let stage = redis_stage(&url, RULES);
    stage.assert_unavailable(some_id()).await;
    let error = stage.store.ping().await.unwrap_err().to_string();
    assert!(!error.contains("wrong@") && !error.contains(":wrong"), "{error}");

    config(&mut server.raw(":right@").await, "requirepass", "wrong").await;
    sleep(RECOVERY).await; // The recovery is promised within this time.
    stage.open().await;
}

#[tokio::test]
#[cfg_attr(not(feature = "all-tests"), ignore = "needs Redis: ./test")]
async fn a_full_redis_ends_sessions_and_changes_none() {
    let server = Redis::with(&["--maxmemory-policy", "noeviction"]).await;
    let mut redis = server.raw("").await;
    let stage = redis_stage(&server.url(), RULES);
    let session = stage.open_at(2).await;
    stage.pass(SECOND);
    let other = stage.open_at(3).await;
    config(&mut redis, "maxmemory", "1").await;
    stage.assert_advance_refused(session.id, 2).await;
    assert_refused("open", async { stage.store.open(&stage.user, super::label()).await.map(drop) }).await;
    assert_eq!(stage.rotate(session.id, 1).await, Rotation::Retried(session.clone()));
    stage.assert_listed(&[&other, &session]).await;
    assert_eq!(stage.rotate(other.id, 1).await, Rotation::Reused);
    stage.assert_gone(other.id).await;

    config(&mut redis, "maxmemory", "0").await;
    rotated(stage.rotate(session.id, 2).await);
    config(&mut redis, "maxmemory", "1").await;
    assert!(stage.store.end(&stage.user, session.id).await.unwrap());
    stage.assert_gone(session.id).await;
}

#[tokio::test]
#[cfg_attr(not(feature = "all-tests"), ignore = "needs Redis: ./test")]
async fn a_redis_that_forgets_its_scripts_is_no_outage() {
    let stage = Kind::Redis.stage(RULES).await;
    let mut redis = connect(&redis_url()).await;
    let over = Arc::new(AtomicBool::new(false));
    let flushing = tokio::spawn({
        let over = Arc::clone(&over);
        async move {
            let mut flushes = 0;
            while !over.load(Ordering::Relaxed) {
                redis::cmd("SCRIPT").arg("FLUSH").exec_async(&mut redis).await.unwrap();
                flushes += 1;
            }
            flushes
        }
    });
    let mut session = stage.open().await;
    let started = Instant::now();
    while started.elapsed() < Duration::from_secs(1) {
        let next = rotated(stage.rotate(session.id, session.generation).await);
        assert_eq!(next.generation, session.generation + 1);
        session = next;
    }
    over.store(true, Ordering::Relaxed);
    assert!(flushing.await.unwrap() > 10, "scripts were flushed throughout");
}

#[tokio::test]
async fn a_closed_database_is_unavailable() {
    for &kind in SQL {
        let (stage, store) = kind.sql_stage(RULES).await;
        stage.database.as_ref().unwrap().pool.close().await;
        stage.assert_unavailable(some_id()).await;
        assert_refused("sweep", async { store.sweep(1).await.map(drop) }).await;
    }
}

#[tokio::test]
async fn a_locked_database_is_unavailable_and_loses_nothing() {
    for &kind in SQL {
        let stage = kind.stage(RULES).await;
        let session = stage.open().await;
        let mut lock = stage.database.as_ref().unwrap().pool.begin_unlimited().await.unwrap();
        sqlx::query("UPDATE sessions SET repeats = repeats").execute(&mut *lock).await.unwrap();
        stage.assert_advance_refused(session.id, 1).await;
        lock.rollback().await.unwrap();
        assert_eq!(successor(stage.rotate(session.id, 1).await), FIRST_GENERATION + 1);
        rotated(stage.rotate(session.id, 2).await);
    }
}
