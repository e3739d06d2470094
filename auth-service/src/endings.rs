//! The ending of sessions after a change of an account. Accounts and sessions may be in two stores, and the process may
//! crash between the two writes. So the change also writes an `Ending`, a record of the outstanding work, and any
//! instance completes it. Each step is idempotent.
//!
//! A login first completes the endings of its user, so that a late completion ends no session opened after the change.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use shared_service::database::StoreError;
use tokio::time::{MissedTickBehavior, interval};

use crate::sessions::SessionStore;
use crate::users::{Ending, Ends, UserId, Users};

/// The maximum number of endings completed concurrently: an ending whose store does not respond takes a second.
const AT_ONCE: usize = 16;

/// Completes the endings of `user_id`; returns the number of ended sessions.
///
/// # Errors
/// A store is unavailable. The endings not yet completed stay.
pub async fn complete_of(users: &Users, sessions: &dyn SessionStore, user_id: &UserId) -> Result<u64, StoreError> {
    let mut ended = 0;
    for ending in users.endings_of(user_id).await? {
        ended += complete(users, sessions, &ending).await?.unwrap_or(0);
    }
    Ok(ended)
}

/// Completes endings that other processes have left: every `poll`, until `sessions` is dropped. The process that makes
/// a change completes its ending at once, so an ending is skipped when first seen; at the start all are completed.
pub fn complete_in_background(users: Users, sessions: &Arc<dyn SessionStore>, poll: Duration) {
    let sessions = Arc::downgrade(sessions);
    // Not an actix task: actix ends its tasks before requests in flight are finished.
    tokio::spawn(async move {
        let mut turns = interval(poll);
        turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut seen, mut away) = (None, false);
        loop {
            turns.tick().await;
            let Some(sessions) = sessions.upgrade() else { return };
            let outcome = complete_seen(&users, &*sessions, &mut seen).await;
            match &outcome {
                Ok(()) if away => log::info!("sessions of changed users can be ended again"),
                Err(error) if !away => log::warn!("sessions of changed users cannot be ended yet: {error}"),
                _ => {}
            }
            away = outcome.is_err();
        }
    });
}

async fn complete_seen(
    users: &Users,
    sessions: &dyn SessionStore,
    seen: &mut Option<HashSet<String>>,
) -> Result<(), StoreError> {
    let left = users.endings().await?;
    let now_seen = left.iter().map(|ending| ending.id.clone()).collect();
    let before = seen.replace(now_seen);
    let is_due = |ending: &&Ending| before.as_ref().is_none_or(|seen| seen.contains(&ending.id));
    let due: Vec<_> = left.iter().filter(is_due).collect();
    let mut outcome = Ok(());
    for some in due.chunks(AT_ONCE) {
        let results = join_all(some.iter().map(|ending| complete(users, sessions, ending))).await;
        for (ending, result) in some.iter().zip(results) {
            let user = ending.user_id.as_str();
            match result {
                Ok(Some(ended)) => {
                    log::info!(user = user, sessions = ended; "ended what a change of this user had left");
                }
                Ok(None) => {}
                // Go on: the sessions of other users may be on another node, or be readable even if these are not.
                Err(error) => outcome = Err(error),
            }
        }
    }
    outcome
}

/// Returns `None` if another task or instance has completed the ending since it was read: a session opened after that
/// must not end.
async fn complete(users: &Users, sessions: &dyn SessionStore, ending: &Ending) -> Result<Option<u64>, StoreError> {
    if !users.is_pending(&ending.id).await? {
        return Ok(None);
    }
    let ended = match &ending.ends {
        Ends::Tokens => sessions.revoke_access_tokens(&ending.user_id).await.map(|()| 0),
        Ends::Sessions { except } => {
            let except = except.as_ref().and_then(|id| id.parse().ok());
            sessions.end_all(&ending.user_id, except).await
        }
    }?;
    // A session may have made a link after the change and before it ended.
    users.withdraw_links(&ending.user_id).await?;
    users.forget_ending(&ending.id).await?;
    Ok(Some(ended))
}
