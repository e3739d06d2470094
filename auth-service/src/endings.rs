//! The end of sessions that a change of an account brings with it. Accounts and sessions may be in two stores, and the
//! process may die between the two steps. So the change also writes what is left to be done, an `Ending`, and any instance
//! does it. Each step may be done twice.
//!
//! A login does what is left of its user before it opens a session: so what is done late ends no session that was opened
//! after the change.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use shared_service::database::StoreError;
use tokio::time::{MissedTickBehavior, interval};

use crate::sessions::SessionStore;
use crate::users::{Ending, Ends, UserId, Users};

/// Does what changes of `user_id` have left to be done; how many sessions ended.
///
/// # Errors
/// A store is unavailable. What is left stays left.
pub async fn complete_of(users: &Users, sessions: &dyn SessionStore, user_id: &UserId) -> Result<u64, StoreError> {
    let mut ended = 0;
    for ending in users.endings_of(user_id).await? {
        ended += complete(users, sessions, &ending).await?;
    }
    Ok(ended)
}

/// Does what other processes have left, every `poll`, as long as there are `sessions`. Whoever made a change does the rest
/// at once, so what was not there at the last look is left to them; but at the first look all is done.
pub fn follow(users: Users, sessions: &Arc<dyn SessionStore>, poll: Duration) {
    let sessions = Arc::downgrade(sessions);
    // Not one of actix's own tasks, which end when there is no runtime any more: a connection in hand would not survive that.
    tokio::spawn(async move {
        let mut turns = interval(poll);
        turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut seen, mut away) = (None, false);
        loop {
            turns.tick().await;
            let Some(sessions) = sessions.upgrade() else { return };
            let outcome = complete_seen(&users, &*sessions, &mut seen).await;
            match &outcome {
                Ok(()) if away => log::info!("sessions whose user was changed can be ended again"),
                Err(error) if !away => log::warn!("sessions whose user was changed have not ended yet: {error}"),
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
    for ending in left.iter().filter(|ending| before.as_ref().is_none_or(|seen| seen.contains(&ending.id))) {
        let ended = complete(users, sessions, ending).await?;
        let user = ending.user_id.as_str();
        log::info!(user = user, sessions = ended; "ended what a change of this user had left");
    }
    Ok(())
}

async fn complete(users: &Users, sessions: &dyn SessionStore, ending: &Ending) -> Result<u64, StoreError> {
    let ended = match &ending.ends {
        Ends::Tokens => sessions.revoke_access_tokens(&ending.user_id).await.map(|()| 0),
        Ends::Sessions { except } => {
            let except = except.as_ref().and_then(|id| id.parse().ok());
            sessions.end_all(&ending.user_id, except).await
        }
    }?;
    users.forget_ending(&ending.id).await?;
    Ok(ended)
}
