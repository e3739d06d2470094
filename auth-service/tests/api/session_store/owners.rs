//! Owners who use their sessions while the store fails, and check that it keeps what it acknowledged.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use auth_service::sessions::{Rotation, SessionId};
use shared_service::database::StoreError;
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::{Stage, new_user};
use crate::redis_server::until;

/// A user with one session. The grace is longer than any outage here.
pub struct Owner {
    stage: Arc<Stage>,
    pub user: String,
    pub id: SessionId,
    /// The generation of the newest token that the owner received.
    pub generation: i64,
}

impl Owner {
    pub async fn new(stage: &Arc<Stage>) -> Self {
        let user = new_user();
        let session = stage.store.open(&user, super::label()).await.unwrap();
        Self { stage: Arc::clone(stage), user, id: session.id, generation: session.generation }
    }

    /// Presents the newest token; false if the store was unavailable.
    pub async fn go_on(&mut self) -> bool {
        match self.stage.store.rotate(&self.user, self.id, self.generation).await {
            Ok(Rotation::Rotated(session) | Rotation::Retried(session)) => {
                assert_eq!(session.generation, self.generation + 1, "the successor of the presented generation");
                self.generation += 1;
                true
            }
            Err(StoreError::Unavailable { .. }) => false,
            other => panic!("generation {} of {} was refused: {other:?}", self.generation, self.id),
        }
    }

    /// Presents the newest token, with retries while the store is unavailable.
    pub async fn insist(&mut self) {
        while !self.go_on().await {
            sleep(Duration::from_millis(20)).await;
        }
    }

    /// Logs out, with retries while the store is unavailable.
    pub async fn log_out(&self) {
        while self.stage.store.end(&self.user, self.id).await.is_err() {
            sleep(Duration::from_millis(20)).await;
        }
    }

    /// Asserts that the newest token works, or is retried with its successor, and that an older one is reuse.
    pub async fn settle(mut self) {
        self.insist().await;
        self.insist().await;
        let used = self.generation - 2;
        assert_eq!(self.stage.store.rotate(&self.user, self.id, used).await.unwrap(), Rotation::Reused);
        self.assert_gone().await;
    }

    /// Asserts that none of the owner's tokens works.
    pub async fn assert_gone(&self) {
        for generation in 1..=self.generation + 1 {
            let outcome = self.stage.store.rotate(&self.user, self.id, generation).await.unwrap();
            assert_eq!(outcome, Rotation::Unknown, "generation {generation} of {}", self.id);
        }
    }
}

/// Owners who use their sessions in the background.
pub struct Load {
    over: Arc<AtomicBool>,
    uses: Arc<AtomicUsize>,
    owners: JoinSet<Owner>,
}

impl Load {
    pub async fn start(stage: &Arc<Stage>, owners: usize) -> Self {
        let mut load = Self { over: Arc::default(), uses: Arc::default(), owners: JoinSet::new() };
        for _ in 0..owners {
            let mut owner = Owner::new(stage).await;
            let (over, uses) = (Arc::clone(&load.over), Arc::clone(&load.uses));
            load.owners.spawn(async move {
                while !over.load(Ordering::Relaxed) {
                    owner.insist().await;
                    uses.fetch_add(1, Ordering::Relaxed);
                    sleep(Duration::from_millis(5)).await;
                }
                owner
            });
        }
        load
    }

    /// Waits for `more` further uses of tokens.
    pub async fn uses(&self, more: usize) {
        let enough = self.uses.load(Ordering::Relaxed) + more;
        until("they go on", async || self.uses.load(Ordering::Relaxed) >= enough).await;
    }

    /// Ends the load, and checks every session: none was lost, and no used token works again.
    pub async fn settle(self) {
        self.over.store(true, Ordering::Relaxed);
        let owners = self.owners.join_all().await;
        for owner in owners {
            owner.settle().await;
        }
    }
}
