use std::sync::Arc;

use shared_claims::{AccessClaims, RefreshClaims, Revocations};
use shared_service::database::StoreError;
use shared_service::operations::doctor::{Finding, PATIENCE};

use super::verdict::Verdict;
use crate::sessions::{Rules, Session, SessionStore, all_revoked, list_all};
use crate::users::Users;

/// What is left of a session and its owner.
pub(super) struct Standing {
    pub(super) findings: Vec<Finding>,
    /// Why a token that is proven is refused all the same.
    pub(super) refused: Option<&'static str>,
}

type Stores = Result<(Users, Arc<dyn SessionStore>), StoreError>;

/// What the stores say of whoever a proven token names. A store that does not answer condemns nobody.
pub(super) async fn of(proven: &Verdict, stores: Stores, rules: &Rules, now_ms: i64) -> Standing {
    match tokio::time::timeout(PATIENCE, ask(proven, stores, rules, now_ms)).await {
        Ok(Ok(standing)) => standing,
        Ok(Err(error)) => not_asked(&error.to_string()),
        Err(_) => not_asked("no answer within 2 s"),
    }
}

fn not_asked(why: &str) -> Standing {
    let says = format!("not asked whether it has ended: {why}");
    Standing { findings: vec![Finding::doubtful("session", says)], refused: None }
}

async fn ask(proven: &Verdict, stores: Stores, rules: &Rules, now_ms: i64) -> Result<Standing, StoreError> {
    let (users, sessions) = stores?;
    let (sub, sid, generation) = match proven {
        Verdict::Access(AccessClaims { sub, sid, .. }) => (sub, sid, None),
        Verdict::Refresh(RefreshClaims { sub, sid, generation, .. }) => (sub, sid, Some(*generation)),
        Verdict::Refused(_) => return Ok(not_asked("the token is refused as it is")),
    };
    let session = list_all(&*sessions, sub).await?.into_iter().find(|session| session.id.to_string() == *sid);
    let (mut session, mut refused) = judge(session.as_ref(), generation, rules, now_ms);
    if let Verdict::Access(claims) = proven
        && refused.is_none()
        && is_revoked(&*sessions, claims).await?
    {
        session =
            Finding::bad("session", "is alive, but the token was cut off: sign-out, new password or role; refresh it");
        refused = Some("the token is revoked");
    }
    let user = match users.find(sub).await? {
        Some(user) if user.disabled => (Finding::bad("user", "is disabled"), Some("the user is disabled")),
        Some(user) => (Finding::good("user", format!("{} is {}, enabled", user.username, user.role)), None),
        None => (Finding::bad("user", "is deleted"), Some("the user is deleted")),
    };
    Ok(Standing { findings: vec![session, user.0], refused: refused.or(user.1) })
}

/// By the whole list.
async fn is_revoked(sessions: &dyn SessionStore, claims: &AccessClaims) -> Result<bool, StoreError> {
    let known = Revocations::new(None);
    known.add(&all_revoked(sessions).await?, 0);
    Ok(known.is_revoked(&claims.sid, &claims.sub, claims.iat))
}

/// As `SessionStore::advance` would, but nothing happens.
fn judge(
    session: Option<&Session>,
    presented: Option<u64>,
    rules: &Rules,
    now_ms: i64,
) -> (Finding, Option<&'static str>) {
    const WHAT: &str = "session";
    let Some(Session { generation, advanced_at, .. }) = session else {
        return (Finding::bad(WHAT, "has ended: signed out, expired or replayed"), Some("the session has ended"));
    };
    let Some(presented) = presented else { return (Finding::good(WHAT, "is alive"), None) };
    let behind = i128::from(*generation) - i128::from(presented);
    let in_grace = now_ms - advanced_at <= i64::try_from(rules.grace.as_millis()).unwrap_or(i64::MAX);
    match behind {
        0 => (Finding::good(WHAT, format!("is at generation {generation}, as the token")), None),
        1 if in_grace => {
            (Finding::good(WHAT, "is one generation further, within REFRESH_GRACE: gets the same successor"), None)
        }
        _ => {
            let says = format!("is at generation {generation}, the token at {presented}: a replay, which would end it");
            (Finding::bad(WHAT, says), Some("the token was used before"))
        }
    }
}
