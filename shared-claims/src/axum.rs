use std::sync::Arc;

use axum_core::extract::{FromRef, FromRequest, FromRequestParts, Request};
use axum_core::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use http::request::Parts;

use crate::{Admin, BearerAuth, Member, Problem, clock};

/// The extractor for axum. The router's state must be an `Arc<BearerAuth>`, or provide one through `FromRef`.
///
/// ```
/// use std::sync::Arc;
///
/// use axum::{Router, routing::get};
/// use shared_claims::{BearerAuth, Member};
///
/// async fn orders(member: Member) -> String {
///     format!("orders of {}", member.username)
/// }
///
/// fn routes(auth: BearerAuth) -> Router {
///     Router::new().route("/orders", get(orders)).with_state(Arc::new(auth))
/// }
/// ```
///
/// A handler with a body wraps the extractor of the body in [`Checked`]. Otherwise it accepts a token that was revoked
/// while the body arrived.
///
/// Without a `BearerAuth` in its state, a router does not compile:
///
/// ```compile_fail,E0277
/// # use std::sync::Arc;
/// # use axum::{Router, routing::get};
/// # use shared_claims::{BearerAuth, Member};
/// # async fn orders(member: Member) -> String {
/// #     format!("orders of {}", member.username)
/// # }
/// fn routes() -> Router {
///     Router::new().route("/orders", get(orders)).with_state(())
/// }
/// ```
impl<S> FromRequestParts<S> for Member
where
    Arc<BearerAuth>: FromRef<S>,
    S: Send + Sync,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        authenticate(&Arc::from_ref(state), parts)
    }
}

impl<S> FromRequestParts<S> for Admin
where
    Arc<BearerAuth>: FromRef<S>,
    S: Send + Sync,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        authenticate(&Arc::from_ref(state), parts).and_then(Self::try_from)
    }
}

fn authenticate(auth: &BearerAuth, parts: &mut Parts) -> Result<Member, Problem> {
    let values = |name: &str| parts.headers.get_all(name).into_iter().map(HeaderValue::as_bytes);
    let member = auth.authenticate(values, clock::now())?;
    parts.extensions.insert(member.clone());
    Ok(member)
}

/// Reads the body with the extractor `T`, then checks the token again: a token that was revoked while the body arrived
/// is refused with 401. axum gives a [`Member`] no access to the body, so wrap the body's extractor in this type.
///
/// ```
/// use shared_claims::{Checked, Member};
///
/// async fn add(member: Member, Checked(order): Checked<String>) -> String {
///     format!("{order} for {}", member.username)
/// }
/// ```
///
/// Without a [`Member`] or an [`Admin`] earlier in the parameters, the response is 500, and the log names the reason.
#[derive(Clone, Copy, Debug)]
pub struct Checked<T>(pub T);

impl<S, T> FromRequest<S> for Checked<T>
where
    Arc<BearerAuth>: FromRef<S>,
    S: Send + Sync,
    T: FromRequest<S>,
{
    type Rejection = Response;

    async fn from_request(request: Request, state: &S) -> Result<Self, Response> {
        let Some(member) = request.extensions().get::<Member>().cloned() else {
            log::error!("a route asks for a Checked body, but for no Member before it");
            return Err(Problem::internal().into_response());
        };
        let body = T::from_request(request, state).await.map_err(IntoResponse::into_response)?;
        let auth = Arc::<BearerAuth>::from_ref(state);
        auth.recheck(&member, clock::now()).map_err(IntoResponse::into_response)?;
        Ok(Self(body))
    }
}

/// The problem is also stored in the response's extensions, so that a middleware can add the request id.
impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = self.body(None).into_response();
        *response.status_mut() = StatusCode::from_u16(self.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(self.media_type()));
        for (name, value) in self.headers() {
            // Invalid header names and values are left out; ours are all valid.
            if let (Ok(name), Ok(value)) = (HeaderName::try_from(*name), HeaderValue::try_from(&**value)) {
                headers.insert(name, value);
            }
        }
        response.extensions_mut().insert(self);
        response
    }
}
