use std::future::{Ready, ready};
use std::net::IpAddr;

use actix_web::dev::Payload;
use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use actix_web::web::Bytes;
use actix_web::{FromRequest, HttpRequest};
use shared_claims::Problem;
use uuid::Uuid;

use super::trace::Trace;

pub(super) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// In bytes.
const LONGEST_ID: usize = 64;

/// The sender of a request. Every log line written while the request is served contains these fields.
#[derive(Clone, Debug)]
pub struct Caller {
    /// The client's address; `None` if the system does not provide one. An IPv4-mapped IPv6 address becomes IPv4.
    pub address: Option<IpAddr>,
    /// The request id: in log lines, in the response's `X-Request-Id`, and in error bodies.
    pub request_id: RequestId,
    /// The trace that the client names.
    pub(crate) trace: Option<Trace>,
}

tokio::task_local! {
    static CALLER: Caller;
}

impl Caller {
    /// Runs `serve` with this caller as the current one.
    pub(crate) async fn serve<T>(self, serve: impl Future<Output = T>) -> T {
        CALLER.scope(self, serve).await
    }

    /// Calls `look` with the current caller, if there is one.
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
pub struct RequestId(HeaderValue);

impl RequestId {
    /// The id in `headers`, if its form is valid. Call it only for a request from a trusted proxy: a client could reuse
    /// the id of another client's request and mix up the log.
    pub(crate) fn given(headers: &HeaderMap) -> Option<Self> {
        let harmless = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.".contains(byte);
        let given = headers.get(REQUEST_ID)?;
        let is_id = (1..=LONGEST_ID).contains(&given.len()) && given.as_bytes().iter().all(harmless);
        is_id.then(|| Self(given.clone()))
    }

    /// A random id, for a request without one.
    pub(crate) fn random() -> Self {
        let mut text = [0; 32];
        Uuid::new_v4().simple().encode_lower(&mut text);
        let text = HeaderValue::from_maybe_shared(Bytes::from_owner(text));
        Self(text.unwrap_or(HeaderValue::from_static("-")))
    }

    /// The value of `X-Request-Id`.
    pub(crate) fn header(&self) -> HeaderValue {
        self.0.clone()
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.to_str().unwrap_or_default()
    }
}
