use shared_claims::ErrorCode::InvalidRefreshToken;
use shared_claims::Problem;
use shared_service::clock::now_ms;

use super::State;
use crate::grants::{Refused, TokenResponse};

/// Ends the session that the first valid one of `tokens` names.
pub(super) async fn end(state: &State, tokens: impl IntoIterator<Item = &str>) -> Result<(), Problem> {
    if let Some((user, session)) = state.grants.end(tokens, now_ms()).await? {
        let user = user.as_str();
        log::info!(target: "audit", event = "logout", user = user, session:% = session; "logged out");
    }
    Ok(())
}

pub(super) fn log_refresh(granted: &TokenResponse) {
    let (user, session) = (granted.user.id.as_str(), granted.session.id);
    log::info!(target: "audit", event = "refresh.ok", user = user, session:% = session; "refreshed");
}

/// One response for every invalid token; only the audit log has the reason.
pub(super) fn refused(why: Refused) -> Problem {
    let (event, presented) = match why {
        Refused::Store(error) => return error.into(),
        Refused::InvalidToken(error) => {
            log::info!(target: "audit", event = "refresh.unproven", reason:% = error; "refresh refused");
            return Problem::new(InvalidRefreshToken);
        }
        Refused::UnknownSession(presented) => ("refresh.gone", presented),
        Refused::Reused(presented) => ("refresh.replayed", presented),
        Refused::NoUser(presented) => ("refresh.disabled", presented),
    };
    let (user, session) = (presented.user_id.as_str(), presented.session);
    log::warn!(target: "audit", event = event, user = user, session:% = session; "refresh refused");
    Problem::new(InvalidRefreshToken)
}
