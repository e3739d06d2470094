//! Accounts with many sessions: the bound, the pages, and the end of all.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use auth_service::revocations::RevocationReader;
use auth_service::sessions::{MOST_SESSIONS, Rotation, Session, SqlSessions};
use auth_service::sql::SqlStore;
use futures_util::future::join_all;
use redis::Script;
use shared_claims::Revocations;
use shared_service::clock::now_ms;
use tokio::task::JoinSet;

use super::records::index_of;
use super::{HOUR, KINDS, Kind, MINUTE, RULES, SECOND, SQL, Stage, redis_stage, rotated};
use crate::busy::served;
use crate::redis_server::{Redis, connect};

/// A verifier's list after reading all entries.
async fn known(stage: &Stage) -> Revocations {
    let known = Revocations::new(None);
    RevocationReader::new(Arc::clone(&stage.store), known.clone()).read_on().await.unwrap();
    known
}

fn is_revoked(known: &Revocations, session: &Session) -> bool {
    let date = u64::try_from(session.issued_at / 1000).unwrap();
    known.is_revoked(&session.id.to_string(), &session.user_id, date)
}

impl Stage {
    /// Lets the store open its connections.
    async fn warm_up(&self) {
        join_all((0..8).map(|_| self.store.list(&self.user, None, 1))).await;
    }

    /// A new session, with the date of its access token.
    async fn sign_in(&self) -> Session {
        self.store.open(&self.user, super::label()).await.unwrap()
    }
}

pub async fn a_login_at_the_bound_ends_the_session_unused_longest(kind: Kind) {
    let stage = kind.stage(RULES).await;
    let (first, second, third) = (stage.sign_in().await, stage.sign_in().await, stage.sign_in().await);
    for _ in 3..MOST_SESSIONS {
        stage.open().await;
    }
    stage.pass(SECOND);
    rotated(stage.rotate(first.id, 1).await);
    assert_eq!(stage.list().await.len(), MOST_SESSIONS);
    stage.pass(SECOND);
    let new = stage.sign_in().await;
    let living: Vec<_> = stage.list().await.into_iter().map(|session| session.id).collect();
    assert_eq!(living.len(), MOST_SESSIONS);
    assert!(living.contains(&first.id), "the first session was used since");
    assert!(living.contains(&new.id));
    let unused = [&second, &third].into_iter().filter(|session| !living.contains(&session.id)).count();
    assert!(unused <= 1, "at most one of them has ended");
    let known = known(&stage).await;
    for session in [&first, &second, &third, &new] {
        assert_eq!(is_revoked(&known, session), !living.contains(&session.id), "tokens are revoked with their session");
    }
    assert!(!known.is_revoked("", &stage.user, 0), "no other tokens are revoked");
}

pub async fn logins_at_once_stay_within_the_bound(kind: Kind) {
    let stage = kind.stage(RULES).await;
    for _ in 0..MOST_SESSIONS - 3 {
        stage.open().await;
    }
    stage.warm_up().await;
    let mut race = JoinSet::new();
    for _ in 0..6 {
        let (store, user) = (Arc::clone(&stage.store), stage.user.clone());
        race.spawn(async move { store.open(&user, super::label()).await.unwrap() });
    }
    race.join_all().await;
    assert_eq!(stage.list().await.len(), MOST_SESSIONS);
}

pub async fn a_list_is_walked_page_by_page(kind: Kind) {
    let stage = kind.stage(RULES).await;
    for _ in 0..7 {
        stage.open().await;
    }
    let all = stage.list().await;
    let (mut found, mut after) = (vec![], None);
    for length in [3, 3, 1, 0] {
        let page = stage.store.list(&stage.user, after, 3).await.unwrap();
        assert_eq!(page.len(), length);
        after = page.last().map(Session::position).or(after);
        found.extend(page.into_iter().map(super::undated));
    }
    assert_eq!(found, all);
    assert!(all.is_sorted_by(|one, next| one.position() > next.position()), "not the newest first");
}

pub async fn a_dead_session_that_is_excepted_stays_dead(kind: Kind) {
    let stage = kind.stage(RULES).await;
    let (kept, other) = (stage.open().await, stage.open().await);
    assert_eq!(stage.store.end_all(&stage.user, Some(kept.id)).await.unwrap(), 1);
    assert_eq!(stage.store.end_all(&stage.user, Some(other.id)).await.unwrap(), 1);
    stage.assert_gone(kept.id).await;
    stage.assert_gone(other.id).await;
    let stranger = stage.open().await;
    let nobody = super::new_user();
    assert_eq!(stage.store.end_all(&nobody, Some(stranger.id)).await.unwrap(), 0, "a session of another user");
    stage.assert_listed(&[&stranger]).await;
}

/// The clock of the store is right. Verifiers would lose the lowered value for good.
pub async fn a_reader_whose_clock_is_behind_lowers_no_not_before(kind: Kind) {
    let stage = kind.stage(RULES).await;
    stage.pass(HOUR);
    let session = stage.sign_in().await;
    stage.store.revoke_access_tokens(&stage.user).await.unwrap();
    assert!(is_revoked(&known(&stage).await, &session));
}

pub async fn a_clock_that_was_ahead_locks_no_user_out(kind: Kind) {
    for everywhere in [true, false] {
        let stage = kind.stage(RULES).await;
        let before = stage.sign_in().await;
        stage.pass(HOUR);
        if everywhere {
            stage.store.end_all(&stage.user, None).await.unwrap();
        } else {
            stage.store.revoke_access_tokens(&stage.user).await.unwrap();
        }
        stage.set_back(HOUR);
        let session = stage.sign_in().await;
        assert!(session.issued_at <= now_ms() + 5000, "dated within the leeway");
        let next = match stage.store.rotate(&stage.user, session.id, 1).await.unwrap() {
            Rotation::Rotated(next) => next,
            other => panic!("{other:?}"),
        };
        assert!(next.issued_at <= now_ms() + 5000, "a refresh is dated so, too");
        let verifiers = known(&stage).await;
        assert!(is_revoked(&verifiers, &before), "issued before the cut-off");
        assert!(!is_revoked(&verifiers, &session) && !is_revoked(&verifiers, &next), "issued after the cut-off");

        stage.pass(6 * SECOND);
        stage.store.end_all(&stage.user, None).await.unwrap();
        let verifiers = known(&stage).await;
        assert!(is_revoked(&verifiers, &session) && is_revoked(&verifiers, &next), "the next cut-off revokes them");
    }
}

/// The real order of two steps decides which came first, not the clocks of the two instances.
pub async fn an_end_of_all_is_right_for_every_clock(kind: Kind) {
    let stage = kind.stage(RULES).await;
    let Some(database) = &stage.database else { return };
    let skew_ms = Arc::new(AtomicI64::new(4000));
    let skewed = SqlStore::open(database.pool.clone()).await.unwrap().with_skew(Arc::clone(&skew_ms));
    let other = SqlSessions::on(skewed, RULES).await.unwrap();
    let before = auth_service::sessions::SessionStore::open(&other, &stage.user, super::label()).await.unwrap();
    assert_eq!(stage.store.end_all(&stage.user, None).await.unwrap(), 1);
    stage.assert_gone(before.id).await;
    skew_ms.store(-4000, Ordering::Relaxed);
    let after = auth_service::sessions::SessionStore::open(&other, &stage.user, super::label()).await.unwrap();
    assert!(!is_revoked(&known(&stage).await, &after));
    rotated(stage.rotate(after.id, 1).await);
}

/// Rows as an older version inserted them, without a bound on their number.
const OLD_ROWS: &str = "
WITH RECURSIVE numbers (number) AS (SELECT 1 UNION ALL SELECT number + 1 FROM numbers WHERE number < $2)
INSERT INTO sessions (id, user_id, generation, repeats, opened_at, advanced_at, idle_ends_at, ends_at, ended_at,
    user_agent, address, issued_at, tokens_end_at)
SELECT '0b6f2c1e-8a53-4d0f-9f6e-' || CAST(100000000000 + number AS TEXT), $1, 1, 0, $3 - number, $3 - number,
    $3 + 3600000, $3 + 3600000, 0, 'Firefox', '192.0.2.7', $3 - number, $3 - number + 910000
FROM numbers";

/// The same in Redis, from the number `ARGV[1]` to `ARGV[2]`, at the time `ARGV[3]`.
const OLD_KEYS: &str = "
for number = ARGV[1], ARGV[2] do
  local id, at = '0b6f2c1e-8a53-4d0f-9f6e-' .. string.format('%.0f', 100000000000 + number), ARGV[3] - number
  local function text(ms) return string.format('%.0f', ms) end
  redis.call('HSET', KEYS[1] .. ':' .. id, 'user_agent', 'Firefox', 'address', '192.0.2.7', 'generation', 1, 'opened_at', text(at),
    'advanced_at', text(at), 'issued_at', text(at), 'tokens_end_at', text(at + 910000),
    'idle_ends_at', text(at + 3600000), 'ends_at', text(at + 3600000))
  redis.call('PEXPIREAT', KEYS[1] .. ':' .. id, text(at + 3600000))
  redis.call('ZADD', KEYS[1], text(at + 3600000), id)
end";

/// A stage whose user has `count` sessions that an older version opened, a millisecond apart, and its Redis.
async fn crowded(kind: Kind, count: i64) -> (Stage, Option<Redis>) {
    let now = now_ms();
    if matches!(kind, Kind::Sqlite | Kind::Postgres) {
        let stage = kind.stage(RULES).await;
        let insert = sqlx::query(OLD_ROWS).bind(stage.user.clone()).bind(count).bind(now);
        let mut filling = stage.database.as_ref().unwrap().pool.begin_unlimited().await.unwrap();
        insert.execute(&mut *filling).await.unwrap();
        filling.commit().await.unwrap();
        return (stage, None);
    }
    let server = Redis::with(&[]).await;
    let stage = redis_stage(&server.url(), RULES);
    let mut redis = connect(&server.url()).await;
    for first in (1..=count).step_by(1_000) {
        let last = (first + 999).min(count);
        let script = Script::new(OLD_KEYS);
        let () =
            script.key(index_of(&stage.user)).arg(first).arg(last).arg(now).invoke_async(&mut redis).await.unwrap();
    }
    (stage, Some(server))
}

fn old_session(stage: &Stage, number: i64, now: i64) -> Session {
    Session {
        id: format!("0b6f2c1e-8a53-4d0f-9f6e-{}", 100_000_000_000 + number).parse().unwrap(),
        user_id: stage.user.clone(),
        generation: 1,
        opened_at: now,
        rotated_at: now,
        issued_at: now - number - 1000,
        issued_ahead: 0,
        is_user_revoked: false,
        idle_ends_at: now,
        ends_at: now,
        label: auth_service::sessions::Label::default(),
    }
}

/// The duration of a step.
async fn timed<T>(what: &str, step: impl Future<Output = T>) -> (T, Duration) {
    let began = Instant::now();
    let done = step.await;
    println!("{what}: {:.1} ms", began.elapsed().as_secs_f64() * 1000.0);
    (done, began.elapsed())
}

/// The times of the slowest commands in microseconds, by the clock of Redis.
async fn longest(server: &Redis) -> Vec<i64> {
    let slow: Vec<Vec<redis::Value>> = server.ask("SLOWLOG GET 20").await;
    let took = |entry: &Vec<redis::Value>| redis::from_redis_value::<i64>(entry[2].clone()).unwrap();
    slow.iter().map(took).collect()
}

async fn all_end(kind: Kind, count: i64, soon: Duration) {
    let (stage, server) = crowded(kind, count).await;
    if let Some(server) = &server {
        server.ask::<()>("CONFIG SET slowlog-log-slower-than 1000").await;
        server.ask::<()>("SLOWLOG RESET").await;
    }
    let now = now_ms();
    let kept = old_session(&stage, count, now);
    let (page, took) = timed("list", stage.store.list(&stage.user, None, MOST_SESSIONS)).await;
    assert_eq!(page.unwrap().len(), MOST_SESSIONS);
    assert!(took < soon, "too slow: list: {took:?}");
    let (ended, took) = timed("end_all but one", stage.store.end_all(&stage.user, Some(kept.id))).await;
    assert!(ended.unwrap() >= MOST_SESSIONS as u64, "the sessions were alive");
    assert!(took < soon, "too slow: end_all but one: {took:?}");
    assert_eq!(stage.store.list(&stage.user, None, usize::MAX).await.unwrap().len(), 1);
    rotated(stage.rotate(kept.id, 1).await);
    let verifiers = known(&stage).await;
    for number in [1, count / 2, count - 1] {
        let old = old_session(&stage, number, now);
        stage.assert_gone(old.id).await;
        assert!(is_revoked(&verifiers, &old), "number {number}");
    }
    let (session, took) = timed("login", stage.store.open(&stage.user, super::label())).await;
    let session = session.unwrap();
    assert!(took < soon, "too slow: login: {took:?}");
    assert!(!is_revoked(&verifiers, &session));
    let (_, took) = timed("end_all", stage.store.end_all(&stage.user, None)).await;
    assert!(took < soon, "too slow: end_all: {took:?}");
    stage.assert_gone(session.id).await;
    if let Some(server) = server {
        let longest = longest(&server).await;
        println!("longest steps of Redis in us: {longest:?}");
        assert!(longest.iter().all(|took| *took < 50_000), "too slow: {longest:?}");
    }
}

pub async fn many_sessions_of_an_older_version_end_in_one_step(kind: Kind) {
    if !matches!(kind, Kind::Cluster(_)) {
        all_end(kind, 10_000, Duration::from_millis(500)).await;
    }
}

#[tokio::test]
#[ignore = "long: ./test --long runs it"]
async fn a_hundred_thousand_sessions_end_in_one_step() {
    for (kind, count) in [(Kind::Sqlite, 300_000), (Kind::Postgres, 100_000), (Kind::Redis, 300_000)] {
        served(async || all_end(kind, count, SECOND).await).await;
    }
}

pub async fn a_login_brings_an_older_version_within_the_bound(kind: Kind) {
    if matches!(kind, Kind::Cluster(_)) {
        return;
    }
    for count in [250, 10_000] {
        let (stage, _server) = crowded(kind, count).await;
        let new = stage.sign_in().await;
        let living = stage.store.list(&stage.user, None, usize::MAX).await.unwrap();
        assert_eq!(living.len(), MOST_SESSIONS, "of {count}");
        let newest = 100_000_000_000_i64 + i64::try_from(MOST_SESSIONS).unwrap();
        assert!(living.iter().any(|session| session.id == new.id));
        let kept = living.iter().filter(|session| session.id != new.id);
        assert!(kept.map(|session| session.id.to_string()).all(|id| id[24..].parse::<i64>().unwrap() < newest));
        let verifiers = known(&stage).await;
        for number in [i64::try_from(MOST_SESSIONS).unwrap(), count] {
            let old = old_session(&stage, number, now_ms());
            stage.assert_gone(old.id).await;
            assert!(is_revoked(&verifiers, &old), "number {number} of {count}");
        }
        assert!(!is_revoked(&verifiers, &new));
    }
}

/// Ended sessions are deleted in batches, and count as ended at once.
#[tokio::test]
async fn a_sweep_removes_what_ended_with_all_others() {
    for &kind in SQL {
        let (stage, store) = kind.sql_stage(RULES).await;
        for _ in 0..5 {
            stage.open().await;
        }
        let kept = stage.open().await;
        stage.store.end_all(&stage.user, Some(kept.id)).await.unwrap();
        assert_eq!(store.count_open().await.unwrap(), 1, "before the sweep");
        assert_eq!(store.sweep(2).await.unwrap(), 5);
        // The user's row is deleted when nothing needs it any more, and the next row revives no session.
        stage.pass(RULES.access_ttl + 2 * MINUTE);
        store.sweep(2).await.unwrap();
        stage.assert_listed(&[&kept]).await;
        let kept = rotated(stage.rotate(kept.id, 1).await);
        let new = stage.open().await;
        stage.assert_listed(&[&new, &kept]).await;
        assert_eq!(stage.store.end_all(&stage.user, None).await.unwrap(), 2);
        stage.assert_gone(kept.id).await;
        stage.assert_gone(new.id).await;
    }
}

/// Logins of other users go on while a user with many sessions runs every kind of step.
#[tokio::test]
async fn an_account_with_many_sessions_delays_no_other() {
    for &kind in KINDS {
        let (stage, _server) = crowded(kind, 10_000).await;
        stage.warm_up().await;
        let stage = Arc::new(stage);
        let mut busy = JoinSet::new();
        for _ in 0..4 {
            let stage = Arc::clone(&stage);
            busy.spawn(async move {
                loop {
                    drop(stage.store.list(&stage.user, None, MOST_SESSIONS).await);
                    drop(stage.store.end_all(&stage.user, None).await);
                }
            });
        }
        let mut let_in = 0;
        for _ in 0..10 {
            let user = super::new_user();
            let (opened, _) = timed("another's login", stage.store.open(&user, super::label())).await;
            let_in += usize::from(opened.is_ok());
        }
        assert!(let_in >= 8, "{let_in} of 10 logins");
    }
}
