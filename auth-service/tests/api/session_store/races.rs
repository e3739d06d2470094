//! The rules, many callers at once.

use std::sync::Arc;

use auth_service::sessions::{Rotation, SessionId};
use tokio::task::{JoinSet, yield_now};

use super::{Database, Kind, RULES, Stage, rotated, undated};

const ROUNDS: usize = 20;
/// Fewer than an SQL store has connections, so that the one who ends a session is at the row with them.
const CALLERS: usize = 6;

/// A stage whose connections are all open, so that its callers meet at the row and not at the door.
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

/// Lets those that were started come further in some rounds than in others.
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
    let [successor] = advances.try_into().expect("one call advances the session");
    assert_eq!(successor.generation, 3);
    assert_eq!(repeats, vec![successor.clone(); 49], "all others are given the same");
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
        assert!(stage.store.end(&stage.user, session.id).await.unwrap(), "it was alive");
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
        assert_eq!(stage.rotate(session.id, 1).await, Rotation::Reused, "however far the others came");
        stage.assert_gone(session.id).await;
        assert_undisturbed(race).await;
        stage.assert_gone(session.id).await;
    }
}

/// The calls that raced with an ending advanced the session once, or were told of the end; none of them was accused.
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
