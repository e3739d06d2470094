//! The rules of sessions, with concurrent calls.

use std::sync::Arc;
use std::time::{Duration, Instant};

use auth_service::sessions::{Rotation, Session, SessionId, SessionStore};
use shared_service::database::StoreError;
use tokio::task::{JoinSet, yield_now};

use crate::busy::served;

use super::{Database, Kind, RULES, SECOND, SQL, Stage, new_user, rotated, undated};

const ROUNDS: usize = 20;
/// Fewer than an SQL store has connections, so that the call that ends a session competes with them for the row.
const CALLERS: usize = 6;

/// A stage whose connections are all open, so that concurrent calls compete for the row and not for a connection.
async fn prepared(kind: Kind) -> Stage {
    let stage = kind.stage(RULES).await;
    if let Some(Database { pool, .. }) = &stage.database {
        let mut connections = vec![];
        for _ in 0..pool.connections() {
            connections.push(pool.begin().await.unwrap());
        }
    }
    stage
}

impl Stage {
    /// Starts `CALLERS` uses of one generation.
    fn use_by_many(&self, race: &mut JoinSet<Rotation>, id: SessionId, presented: i64) {
        for _ in 0..CALLERS {
            let (store, user) = (Arc::clone(&self.store), self.user.clone());
            race.spawn(async move { store.rotate(&user, id, presented).await.unwrap() });
        }
    }
}

/// One session for each of `count` new users.
async fn sessions_of_users(stage: &Stage, count: usize) -> Vec<Session> {
    let mut sessions = vec![];
    for _ in 0..count {
        sessions.push(stage.store.open(&new_user(), super::label()).await.unwrap());
    }
    sessions
}

/// Rotates for `time`; returns the time that the slowest call took.
async fn rotate_on(store: Arc<dyn SessionStore>, mut session: Session, time: Duration) -> Duration {
    let (began, mut slowest) = (Instant::now(), Duration::ZERO);
    while began.elapsed() < time {
        let asked = Instant::now();
        session = rotated(store.rotate(&session.user_id, session.id, session.generation).await.unwrap());
        slowest = slowest.max(asked.elapsed());
    }
    slowest
}

#[tokio::test]
async fn rotations_of_many_users_are_all_served_in_time() {
    served(async || {
        let stage = prepared(Kind::Sqlite).await;
        let mut clients = JoinSet::new();
        for session in sessions_of_users(&stage, 16).await {
            clients.spawn(rotate_on(Arc::clone(&stage.store), session, 3 * SECOND));
        }
        let slowest = clients.join_all().await.into_iter().max().unwrap();
        assert!(slowest < SECOND / 4, "too slow: {slowest:?}");
    })
    .await;
}

#[tokio::test]
async fn rotation_that_fails_or_is_given_up_undoes_no_other() {
    for &kind in SQL {
        let stage = prepared(kind).await;
        let (corrupt, left) =
            (sessions_of_users(&stage, 1).await.remove(0), sessions_of_users(&stage, 1).await.remove(0));
        let mut others = sessions_of_users(&stage, 6).await;
        let change = format!("UPDATE sessions SET generation = 0 WHERE id = '{}'", corrupt.id);
        sqlx::query(sqlx::AssertSqlSafe(change)).execute(&stage.database.as_ref().unwrap().pool).await.unwrap();
        let rotate = |session: &Session| {
            let (store, session) = (Arc::clone(&stage.store), session.clone());
            tokio::spawn(async move { store.rotate(&session.user_id, session.id, session.generation).await })
        };
        for round in 0..ROUNDS {
            let (given_up, fails) = (rotate(&left), rotate(&corrupt));
            let rotations: Vec<_> = others.iter().map(rotate).collect();
            head_start(round).await;
            given_up.abort();
            for (session, rotation) in others.iter_mut().zip(rotations) {
                *session = rotated(rotation.await.unwrap().unwrap());
            }
            let outcome = fails.await.unwrap();
            assert!(matches!(outcome, Err(StoreError::Corrupt { .. })), "{outcome:?}");
        }
        let outcome = rotate(&left).await.unwrap().unwrap();
        assert!(matches!(outcome, Rotation::Rotated(_) | Rotation::Retried(_)), "{outcome:?}");
    }
}

/// Lets the started calls come further in some rounds than in others.
async fn head_start(round: usize) {
    for _ in 0..round % 4 {
        yield_now().await;
    }
}

pub async fn fifty_uses_of_one_generation_have_one_successor(kind: Kind) {
    let stage = prepared(kind).await;
    let session = stage.open_at(2).await;
    let mut race = JoinSet::new();
    for _ in 0..50 {
        let (store, user) = (Arc::clone(&stage.store), stage.user.clone());
        race.spawn(async move { store.rotate(&user, session.id, 2).await.unwrap() });
    }
    let (mut advances, mut repeats) = (vec![], vec![]);
    for outcome in race.join_all().await {
        match outcome {
            Rotation::Rotated(session) => advances.push(undated(session)),
            Rotation::Retried(session) => repeats.push(undated(session)),
            other => panic!("{other:?}"),
        }
    }
    let [successor] = advances.try_into().expect("one call rotates the session");
    assert_eq!(successor.generation, 3);
    assert_eq!(repeats, vec![successor.clone(); 49], "all other calls get the same successor");
    stage.assert_listed(&[&successor]).await;
    rotated(stage.rotate(session.id, 3).await);
}

pub async fn end_wins_over_concurrent_rotations(kind: Kind) {
    let stage = prepared(kind).await;
    for round in 0..ROUNDS {
        let session = stage.open().await;
        let mut race = JoinSet::new();
        stage.use_by_many(&mut race, session.id, 1);
        head_start(round).await;
        assert!(stage.store.end(&stage.user, session.id).await.unwrap(), "the session was alive");
        stage.use_by_many(&mut race, session.id, 2);
        stage.assert_gone(session.id).await;
        assert_undisturbed(race).await;
        stage.assert_gone(session.id).await;
    }
}

pub async fn end_of_all_wins_over_concurrent_rotations(kind: Kind) {
    let stage = prepared(kind).await;
    for round in 0..ROUNDS {
        let (kept, one, two) = (stage.open().await, stage.open().await, stage.open().await);
        let mut race = JoinSet::new();
        for id in [kept.id, one.id, two.id] {
            stage.use_by_many(&mut race, id, 1);
        }
        head_start(round).await;
        assert_eq!(stage.store.end_all(&stage.user, Some(kept.id)).await.unwrap(), 2);
        stage.assert_gone(one.id).await;
        stage.assert_gone(two.id).await;
        assert_undisturbed(race).await;
        stage.assert_gone(one.id).await;
        stage.assert_gone(two.id).await;
        assert!(stage.store.end(&stage.user, kept.id).await.unwrap());
    }
}

pub async fn reuse_wins_over_concurrent_rotations(kind: Kind) {
    let stage = prepared(kind).await;
    for round in 0..ROUNDS {
        let session = stage.open_at(3).await;
        let mut race = JoinSet::new();
        stage.use_by_many(&mut race, session.id, 3);
        head_start(round).await;
        assert_eq!(stage.rotate(session.id, 1).await, Rotation::Reused, "however far the rotations came");
        stage.assert_gone(session.id).await;
        assert_undisturbed(race).await;
        stage.assert_gone(session.id).await;
    }
}

/// Asserts that the calls that raced with an end rotated the session or found it ended; none was reported as reuse.
async fn assert_undisturbed(race: JoinSet<Rotation>) {
    for outcome in race.join_all().await {
        assert_ne!(outcome, Rotation::Reused);
    }
}

pub async fn one_of_concurrent_reuses_is_reported(kind: Kind) {
    let stage = prepared(kind).await;
    for _ in 0..ROUNDS {
        let session = stage.open_at(3).await;
        let mut race = JoinSet::new();
        stage.use_by_many(&mut race, session.id, 1);
        let outcomes = race.join_all().await;
        let told = outcomes.iter().filter(|outcome| **outcome == Rotation::Reused).count();
        let gone = outcomes.iter().filter(|outcome| **outcome == Rotation::Unknown).count();
        assert_eq!((told, gone), (1, CALLERS - 1));
    }
}

pub async fn one_of_concurrent_ends_is_reported(kind: Kind) {
    let stage = prepared(kind).await;
    for _ in 0..ROUNDS {
        let session = stage.open().await;
        let mut race = JoinSet::new();
        for _ in 0..CALLERS {
            let (store, user) = (Arc::clone(&stage.store), stage.user.clone());
            race.spawn(async move { store.end(&user, session.id).await.unwrap() });
        }
        let told = race.join_all().await.into_iter().filter(|ended| *ended).count();
        assert_eq!(told, 1);
    }
}
