use actix_web::dev::Payload;
use actix_web::web::Data;
use actix_web::{FromRequest, HttpRequest};
use futures_util::future::LocalBoxFuture;
use shared_claims::{ErrorCode, Problem};
use shared_service::Caller;

use super::{State, too_many};

/// A caller within the rate limit of their network. As the first parameter of a handler it is checked before the body
/// is read.
pub(super) struct RateLimited(pub(super) Caller);

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
