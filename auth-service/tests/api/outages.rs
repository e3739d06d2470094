//! A store that is unavailable, silent or slow: 503 in time, no user logged out, nothing lost, automatic recovery.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use rustix::process::Signal;
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use serde_json::json;
use sqlx::{Connection, Executor};
use tokio::time::{sleep, timeout};

use crate::answer::Answer;
use crate::database::{Database, server};
use crate::forge::{expired_refresh, tampered};
use crate::redis_server::{Cluster, Redis, Watched};
use crate::service::{GOOD, MEMBER, Service, TokenPair};

/// Less than two consecutive time limits of a store.
const SOON: Duration = Duration::from_millis(1900);

/// The time after a store's return from which on its first request succeeds.
const RECOVERY: Duration = Duration::from_secs(2);

/// `service` with callers that do not retry a 503.
fn impatient(mut service: Service) -> Service {
    service.patience = 0;
    service
}

async fn soon(call: impl Future<Output = Answer>) -> Answer {
    let started = Instant::now();
    let answer = call.await;
    assert!(started.elapsed() < SOON, "{:?}: {answer:?}", started.elapsed());
    answer
}

/// Asserts a prompt 503 with `Retry-After`.
async fn refused(call: impl Future<Output = Answer>) {
    let answer = soon(call).await.fails(503, "unavailable");
    assert_eq!(answer.header("retry-after"), "1");
}

/// Asserts that each call that needs the session store is a 503, and that the other calls succeed.
async fn assert_away(service: &Service, pair: &TokenPair) {
    let (nobody, member) = (service.nobody(), service.bearer(&pair.access));
    refused(service.try_log_in(MEMBER)).await;
    refused(service.refresh(&pair.refresh)).await;
    refused(service.log_out(&pair.refresh)).await;
    refused(service.log_out(&expired_refresh(&pair.refresh))).await;
    refused(member.get("/me/sessions")).await;
    refused(member.delete("/me/sessions")).await;
    refused(member.delete("/me/sessions/0b6f2c1e-8a53-4d0f-9f6e-2a7c5b1d4e90")).await;
    refused(member.put("/me/password", &json!({"currentPassword": MEMBER.1, "newPassword": GOOD}))).await;
    refused(member.delete_with("/me", &json!({"currentPassword": MEMBER.1}))).await;
    let answer = soon(nobody.get("/readyz")).await.fails(503, "not_ready");
    assert_eq!(answer.wrong_fields(), ["sessions"]);
    assert_eq!(answer.header("retry-after"), "1");
    soon(nobody.get("/livez")).await.is(200);
    soon(member.get("/me")).await.is(200);
    // A wrong password gets the same response as a right one: the attempts could not be counted.
    refused(service.try_log_in((MEMBER.0, "wrong"))).await;
}

/// Asserts that invalid tokens are refused as usual: they are refused before the store is called.
async fn assert_forgeries_are_refused(service: &Service, pair: &TokenPair) {
    for token in [tampered(&pair.refresh), expired_refresh(&pair.refresh), pair.access.clone(), "garbage".to_owned()] {
        soon(service.refresh(&token)).await.fails(403, "invalid_refresh_token");
    }
    for token in [tampered(&pair.refresh), tampered(&pair.access), "garbage".to_owned()] {
        soon(service.log_out(&token)).await.is(200);
    }
}

#[tokio::test]
#[cfg_attr(not(feature = "all-tests"), ignore = "needs Redis: ./test")]
async fn stopped_redis_is_503_and_ends_no_session() {
    let mut redis = Redis::start().await;
    let service = Service::start([("REDIS_URL", &redis.url())]).await;
    let pair = service.log_in(MEMBER).await;
    let service = impatient(service);
    redis.stop();
    assert_away(&service, &pair).await;
    assert_forgeries_are_refused(&service, &pair).await;

    redis.start_again().await;
    sleep(RECOVERY).await; // The recovery is promised within this time.
    service.nobody().get("/readyz").await.is(200);
    let next = service.refresh(&pair.refresh).await.is(200).pair();
    service.log_in(MEMBER).await;
    service.log_out(&next.refresh).await.is(200);
    service.refresh(&next.refresh).await.is(403);
}

#[tokio::test]
#[cfg_attr(not(feature = "all-tests"), ignore = "needs Redis: ./test")]
async fn start_without_redis_is_ready_once_the_revocation_list_is_read() {
    let mut redis = Redis::start().await;
    redis.stop();
    let service = impatient(Service::start([("REDIS_URL", &redis.url())]).await);
    let answer = soon(service.nobody().get("/readyz")).await.fails(503, "not_ready");
    assert_eq!(answer.wrong_fields(), ["sessions", "revocations"]);

    redis.start_again().await;
    let is_ready = async {
        while service.nobody().get("/readyz").await.status != 200 {
            sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(Duration::from_secs(10), is_ready).await.unwrap();
}

#[tokio::test]
#[cfg_attr(not(feature = "all-tests"), ignore = "needs Redis: ./test")]
async fn silent_redis_is_503_and_ends_no_session() {
    let redis = Redis::start().await;
    let service = Service::start([("REDIS_URL", &redis.url())]).await;
    let (pair, other) = (service.log_in(MEMBER).await, service.log_in(MEMBER).await);
    let service = impatient(service);
    redis.signal(Signal::STOP);
    refused(service.refresh(&pair.refresh)).await;
    assert_away(&service, &other).await;
    redis.signal(Signal::CONT);
    sleep(RECOVERY).await; // The recovery is promised within this time.
    // The retry succeeds, whether or not the silent Redis rotated the session.
    service.refresh(&pair.refresh).await.is(200);
    service.nobody().get("/readyz").await.is(200);
}

/// Refreshes until `over`; every failure must be 503.
async fn refreshing(service: &Service, mut pair: TokenPair, over: &AtomicBool) {
    while !over.load(Ordering::Relaxed) {
        let answer = service.refresh(&pair.refresh).await;
        if answer.status == 503 {
            assert_eq!(answer.fails(503, "unavailable").header("retry-after"), "1");
        } else {
            pair = answer.is(200).pair();
        }
        sleep(Duration::from_millis(20)).await;
    }
    service.refresh(&pair.refresh).await.is(200);
}

#[tokio::test]
#[cfg_attr(not(feature = "all-tests"), ignore = "needs Redis: ./test")]
async fn redis_failover_ends_no_session() {
    let (mut cluster, mut watched) = tokio::join!(Cluster::start(), Watched::start());
    for url in [cluster.url(), watched.url()] {
        let service = Service::start([("REDIS_URL", url.as_str()), ("REFRESH_GRACE", "1m")]).await;
        let mut pairs = vec![];
        for _ in 0..12 {
            pairs.push(service.newcomer().await.pair);
        }
        let service = impatient(service);
        let over = AtomicBool::new(false);
        let refreshing = join_all(pairs.into_iter().map(|pair| refreshing(&service, pair, &over)));
        let outage = async {
            if url.contains("cluster") {
                cluster.nodes[2].stop();
                cluster.promoted(5).await;
            } else {
                watched.servers[0].stop();
                watched.failed_over().await;
            }
            sleep(RECOVERY).await; // The recovery is promised within this time.
            service.nobody().get("/readyz").await.is(200);
            for _ in 0..12 {
                service.log_in(MEMBER).await;
            }
            over.store(true, Ordering::Relaxed);
        };
        tokio::join!(refreshing, outage);
    }
}

/// Restricts the threads that this thread starts to one processor, so that one thread hashes.
pub fn keep_to_one_processor() {
    // Each call takes another processor, because tests run concurrently.
    static TURN: AtomicUsize = AtomicUsize::new(0);
    let mut one = CpuSet::new();
    let allowed = sched_getaffinity(None).unwrap();
    let allowed: Vec<_> = (0..CpuSet::MAX_CPU).filter(|cpu| allowed.is_set(*cpu)).collect();
    one.set(allowed[TURN.fetch_add(1, Ordering::Relaxed) % allowed.len()]);
    sched_setaffinity(None, &one).unwrap();
}

#[tokio::test]
async fn full_password_queue_is_503_with_retry_after() {
    // At most 64 passwords wait for the one thread that hashes. Their hashes are cheap: otherwise, beside other tests, the
    // last ones would wait for more than 15 s, and be refused for that.
    keep_to_one_processor();
    let service = impatient(Service::start([("BCRYPT_COST", "6")]).await);
    let nobody = service.nobody();
    let logins = join_all((0..120).map(|_| service.try_log_in(MEMBER)));
    let (logins, live) = tokio::join!(logins, soon(nobody.get("/livez")));
    live.is(200);
    let (busy, good): (Vec<_>, Vec<_>) = logins.into_iter().partition(|answer| answer.status == 503);
    assert!(!busy.is_empty() && good.len() >= 64, "{} busy", busy.len());
    for answer in busy {
        let answer = answer.fails(503, "busy");
        assert!((1..=60).contains(&answer.header("retry-after").parse::<u32>().unwrap()));
    }
    for answer in good {
        answer.is(200);
    }
}

#[tokio::test]
#[cfg_attr(not(feature = "all-tests"), ignore = "needs Redis: ./test")]
async fn a_service_starts_before_its_redis() {
    let mut redis = Redis::start().await;
    redis.stop();
    let service = impatient(Service::start([("REDIS_URL", &redis.url())]).await);
    refused(service.try_log_in(MEMBER)).await;
    redis.start_again().await;
    sleep(RECOVERY).await; // The recovery is promised within this time.
    service.log_in(MEMBER).await;
}

#[tokio::test]
async fn locked_database_is_503_and_ends_no_session() {
    let service = Service::start([]).await;
    let pair = service.log_in(MEMBER).await;
    let service = impatient(service);
    let member = service.bearer(&pair.access);
    let mut busy = service.database.connect().await;
    busy.execute("BEGIN IMMEDIATE").await.unwrap();
    refused(service.refresh(&pair.refresh)).await;
    refused(service.log_out(&pair.refresh)).await;
    refused(service.try_log_in(MEMBER)).await;
    refused(service.nobody().post("/register", &json!({"username": "zoe", "password": GOOD}))).await;
    soon(member.get("/me")).await.is(200);
    soon(service.nobody().get("/livez")).await.is(200);
    busy.execute("ROLLBACK").await.unwrap();
    busy.close().await.unwrap();
    service.log_in(MEMBER).await;
}

/// The sessions are in another store and could be rotated, but the response needs the locked database. After the grace,
/// the retry of such a rotation would count as reuse.
#[tokio::test]
#[cfg_attr(not(feature = "all-tests"), ignore = "needs Postgres and Redis: ./test")]
async fn database_outage_beyond_the_grace_ends_no_session() {
    let redis = server("TEST_REDIS_URL");
    let settings = [("REDIS_URL", redis.as_str()), ("REFRESH_GRACE", "1s")];
    let service = Service::start_on(Database::postgres().await, settings).await;
    let pair = service.log_in(MEMBER).await;
    let service = impatient(service);
    let mut busy = service.database.connect().await;
    busy.execute("BEGIN").await.unwrap();
    busy.execute("LOCK TABLE users IN ACCESS EXCLUSIVE MODE").await.unwrap();
    refused(service.refresh(&pair.refresh)).await;
    sleep(SOON).await;
    busy.execute("ROLLBACK").await.unwrap();
    busy.close().await.unwrap();
    let next = service.refresh(&pair.refresh).await.is(200).pair();
    service.refresh(&next.refresh).await.is(200);
}

#[tokio::test]
#[cfg_attr(not(feature = "all-tests"), ignore = "needs Postgres: ./test")]
async fn closed_database_connections_are_replaced() {
    let service = Service::start_on(Database::postgres().await, []).await;
    let mut pair = service.log_in(MEMBER).await;
    for _ in 0..3 {
        let hang_up = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
            WHERE datname = current_database() AND pid <> pg_backend_pid()";
        service.database.execute(hang_up).await;
        // A call on a connection that was closed may be a 503; its retry is served.
        service.bearer(&pair.access).get("/me").await.is(200);
        pair = service.refresh(&pair.refresh).await.is(200).pair();
    }
}
