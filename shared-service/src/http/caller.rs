use std::future::{Ready, ready};
use std::net::IpAddr;
use std::rc::Rc;

use actix_web::dev::Payload;
use actix_web::http::header::HeaderMap;
use actix_web::{FromRequest, HttpRequest};
use shared_claims::Problem;
use uuid::Uuid;

use super::observe::REQUEST_ID;
use super::trace::Trace;

const LONGEST_ID: usize = 64;

/// Who sends a request, as far as the connection tells. Every log line that is written while the request is served
/// carries all of it, without being told.
#[derive(Clone, Debug)]
pub struct Caller {
    /// The address that the request comes from; `None` where the system does not say. An IPv4 address is never written
    /// as an IPv6 one.
    pub address: Option<IpAddr>,
    /// The request's id: in its log lines, in its answer's `X-Request-Id`, and in the body of an error.
    pub request_id: RequestId,
    /// What the request is a part of, if its sender says so.
    pub(crate) trace: Option<Trace>,
}

tokio::task_local! {
    static CALLER: Caller;
}

impl Caller {
    /// Runs `serve`, which serves this caller's request.
    pub(crate) async fn serve<T>(self, serve: impl Future<Output = T>) -> T {
        CALLER.scope(self, serve).await
    }

    /// Shows `look` whose request is being served here, if any is.
    pub(crate) fn with<T>(look: impl FnOnce(&Self) -> T) -> Option<T> {
        CALLER.try_with(look).ok()
    }
}

impl FromRequest for Caller {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(_: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Self::with(Self::clone).ok_or_else(Problem::internal))
    }
}

/// The id of a request: at most 64 of `A-Z a-z 0-9 - _ .`.
#[derive(Clone, Debug)]
pub struct RequestId(Rc<str>);

impl RequestId {
    /// The id in `headers`, if it is harmless. Only a trusted proxy's counts: a client could give its requests the id of
    /// another client's, and the log would mix them.
    pub(crate) fn given(headers: &HeaderMap) -> Option<Self> {
        let given = headers.get(REQUEST_ID).and_then(|value| value.to_str().ok());
        let harmless = |id: &&str| {
            !id.is_empty()
                && id.len() <= LONGEST_ID
                && id.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
        };
        given.filter(harmless).map(|id| Self(id.into()))
    }

    /// A new id, for a request that has none.
    pub(crate) fn random() -> Self {
        let mut text = [0; 32];
        Self((&*Uuid::new_v4().simple().encode_lower(&mut text)).into())
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}
