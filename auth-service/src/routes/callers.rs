use actix_web::dev::Payload;
use actix_web::web::Data;
use actix_web::{FromRequest, HttpRequest};
use futures_util::future::LocalBoxFuture;
use shared_claims::{Admin, ErrorCode, Member, Problem, Role};
use shared_service::Caller;

use super::{State, no_admin, too_many};
use crate::users::Account;

/// A caller whose account exists and is enabled, which a valid access token does not guarantee. The account is read
/// while the body arrives, so a write reads it again in its own transaction: see [`By`](crate::users::By).
pub(super) struct CurrentUser {
    /// The claims of the access token.
    pub(super) member: Member,
    /// The account in the store.
    pub(super) account: Account,
}

/// A [`CurrentUser`], if the request has an access token. An invalid one is refused all the same.
pub(super) struct PerhapsCurrentUser(pub(super) Option<CurrentUser>);

/// A [`CurrentUser`] who is an admin by the access token and by the store.
pub(super) struct CurrentAdmin(pub(super) Admin);

/// A caller within the rate limit of their network. As the first parameter of a handler it is checked before the body
/// is read.
pub(super) struct RateLimited(pub(super) Caller);

impl FromRequest for CurrentUser {
    type Error = Problem;
    type Future = LocalBoxFuture<'static, Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let member = Member::from_request(request, payload);
        let state = request.app_data::<Data<State>>().cloned();
        Box::pin(async move {
            let (member, state) = (member.await?, state.ok_or_else(Problem::internal)?);
            let account = current(&state, &member).await?;
            Ok(Self { member, account })
        })
    }
}

impl FromRequest for PerhapsCurrentUser {
    type Error = Problem;
    type Future = LocalBoxFuture<'static, Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let user = CurrentUser::from_request(request, payload);
        Box::pin(async move {
            match user.await {
                Ok(user) => Ok(Self(Some(user))),
                Err(problem) if problem.code() == "missing_token" => Ok(Self(None)),
                Err(problem) => Err(problem),
            }
        })
    }
}

impl FromRequest for CurrentAdmin {
    type Error = Problem;
    type Future = LocalBoxFuture<'static, Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let admin = Admin::from_request(request, payload);
        let state = request.app_data::<Data<State>>().cloned();
        Box::pin(async move {
            let (admin, state) = (admin.await?, state.ok_or_else(Problem::internal)?);
            match current(&state, &admin).await?.user.role {
                Role::Admin => Ok(Self(admin)),
                Role::Member => Err(no_admin()),
            }
        })
    }
}

impl FromRequest for RateLimited {
    type Error = Problem;
    type Future = LocalBoxFuture<'static, Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let caller = Caller::from_request(request, payload);
        let state = request.app_data::<Data<State>>().cloned();
        Box::pin(async move {
            let (caller, state) = (caller.await?, state.ok_or_else(Problem::internal)?);
            state.limits.call(caller.address.into()).await.map_err(|wait| {
                log::info!(target: "audit", event = "call.throttled"; "too many calls");
                too_many(wait, ErrorCode::TooManyRequests)
            })?;
            Ok(Self(caller))
        })
    }
}

async fn current(state: &State, member: &Member) -> Result<Account, Problem> {
    let account = state.users.account(&member.user_id).await?.filter(|account| !account.user.disabled);
    account.ok_or_else(|| Problem::invalid_token("The account of this token is gone or disabled"))
}
