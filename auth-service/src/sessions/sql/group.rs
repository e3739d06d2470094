//! Rotations in a database with one writer at a time. One task runs them, and commits those that wait together.

use shared_service::database::{StoreError, Transaction};
use tokio::sync::{mpsc, oneshot};

use super::super::{Rotation, Rules, SessionId};
use super::lock::LockedUser;
use crate::SESSION_STORE;
use crate::sql::SqlStore;

/// The maximum number of rotations in one transaction, for which other writers wait.
const MOST: usize = 64;

/// The queue of the task; the task ends when its queue is dropped.
pub(super) struct Group(mpsc::UnboundedSender<Waiting>);

struct Waiting {
    user_id: String,
    id: SessionId,
    presented: i64,
    answer: oneshot::Sender<Result<Rotation, StoreError>>,
}

impl Group {
    /// Starts the task; `None` if the database has several writers.
    pub(super) fn start(store: &SqlStore, rules: Rules) -> Option<Self> {
        if store.pool.is_postgres() {
            return None;
        }
        let store = store.clone();
        let (queue, mut calls) = mpsc::unbounded_channel();
        // A task of its own, so that a cancelled caller does not roll back the rotations of others.
        tokio::spawn(async move {
            let mut waiting = Vec::new();
            while calls.recv_many(&mut waiting, MOST).await > 0 {
                rotate_all(&store, rules, waiting.drain(..)).await;
            }
        });
        Some(Self(queue))
    }

    /// Rotates the session, in one transaction with the other rotations that wait.
    pub(super) async fn rotate(&self, user_id: &str, id: SessionId, presented: i64) -> Result<Rotation, StoreError> {
        let (answer, outcome) = oneshot::channel();
        let gone = |_| StoreError::unavailable(SESSION_STORE, "the service stops");
        // If the task has ended, the queue drops the call and with it `answer`: `outcome` then fails.
        drop(self.0.send(Waiting { user_id: user_id.to_owned(), id, presented, answer }));
        outcome.await.map_err(gone)?
    }
}

/// Answers all callers that still wait. If one rotation fails, nothing is committed, and each is then run alone.
async fn rotate_all(store: &SqlStore, rules: Rules, waiting: impl Iterator<Item = Waiting>) {
    let waiting: Vec<_> = waiting.filter(|one| !one.answer.is_closed()).collect();
    if waiting.is_empty() {
        return;
    }
    match begin(store, rules, &waiting).await {
        Ok((transaction, outcomes)) => {
            let committed = transaction.commit().await.map_err(StoreError::from);
            for (one, outcome) in waiting.into_iter().zip(outcomes) {
                drop(one.answer.send(committed.clone().map(|()| outcome)));
            }
        }
        Err(error) => match <[Waiting; 1]>::try_from(waiting) {
            Ok([one]) => drop(one.answer.send(Err(error))),
            Err(waiting) => {
                for one in waiting {
                    Box::pin(rotate_all(store, rules, std::iter::once(one))).await;
                }
            }
        },
    }
}

/// Rotates in one transaction, which is not committed yet.
async fn begin(store: &SqlStore, rules: Rules, calls: &[Waiting]) -> Result<(Transaction, Vec<Rotation>), StoreError> {
    let mut transaction = store.pool.begin_write().await?;
    let mut outcomes = Vec::with_capacity(calls.len());
    for Waiting { user_id, id, presented, .. } in calls {
        let mut user = LockedUser::take(transaction, store, user_id, rules).await?;
        outcomes.push(user.rotate(*id, *presented).await?);
        transaction = user.transaction;
    }
    Ok((transaction, outcomes))
}
