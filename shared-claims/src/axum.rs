use std::sync::Arc;

use axum_core::extract::{FromRef, FromRequestParts};
use axum_core::response::{IntoResponse, Response};
use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderName, HeaderValue};
use http::request::Parts;
use http::{HeaderMap, StatusCode};

use crate::{Admin, Guard, Member, Problem, clock};

/// For axum: needs a router whose state is, or gives by `FromRef`, an `Arc<Guard>`.
///
/// ```
/// use std::sync::Arc;
///
/// use axum::{Router, routing::get};
/// use shared_claims::{Guard, Member};
///
/// async fn orders(member: Member) -> String {
///     format!("orders of {}", member.username)
/// }
///
/// fn routes(guard: Guard) -> Router {
///     Router::new().route("/orders", get(orders)).with_state(Arc::new(guard))
/// }
/// ```
///
/// Whoever forgets the guard has nothing to start:
///
/// ```compile_fail,E0277
/// # use std::sync::Arc;
/// # use axum::{Router, routing::get};
/// # use shared_claims::{Guard, Member};
/// # async fn orders(member: Member) -> String {
/// #     format!("orders of {}", member.username)
/// # }
/// fn routes() -> Router {
///     Router::new().route("/orders", get(orders)).with_state(())
/// }
/// ```
impl<S> FromRequestParts<S> for Member
where
    Arc<Guard>: FromRef<S>,
    S: Send + Sync,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        admit(&Arc::from_ref(state), &parts.headers)
    }
}

impl<S> FromRequestParts<S> for Admin
where
    Arc<Guard>: FromRef<S>,
    S: Send + Sync,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        admit(&Arc::from_ref(state), &parts.headers).and_then(Self::try_from)
    }
}

fn admit(guard: &Guard, headers: &HeaderMap) -> Result<Member, Problem> {
    let authorizations = headers.get_all(AUTHORIZATION).into_iter();
    let extras = guard.extra_header().into_iter().flat_map(|name| headers.get_all(name));
    guard.admit(authorizations.map(HeaderValue::as_bytes), extras.map(HeaderValue::as_bytes), clock::now())
}

/// The problem travels with the response, so that a middleware that knows the request id can write it in.
impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = self.body(None).into_response();
        *response.status_mut() = StatusCode::from_u16(self.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(Self::MEDIA_TYPE));
        for (name, value) in self.headers() {
            // What cannot stand in a header is left out; all that is ours can.
            if let (Ok(name), Ok(value)) = (HeaderName::try_from(*name), HeaderValue::try_from(value)) {
                headers.insert(name, value);
            }
        }
        response.extensions_mut().insert(self);
        response
    }
}
