use std::borrow::Cow;
use std::sync::Arc;

use http::StatusCode;
use serde::Serialize;

use crate::ErrorCode;

/// The error body of the stack: RFC 9457 `application/problem+json`.
///
/// `code` is stable and meant for programs, `detail` for people. Neither contains a library's message, a path or a
/// stack trace.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{} {}", self.status(), self.code())]
pub struct Problem(Arc<Parts>);

#[derive(Clone, Debug)]
struct Parts {
    status: u16,
    code: &'static str,
    detail: Cow<'static, str>,
    errors: Vec<FieldError>,
    headers: Vec<(&'static str, Cow<'static, str>)>,
    is_oauth: bool,
}

/// One error of one field of a body or a query.
#[derive(Clone, Debug, Serialize)]
struct FieldError {
    field: String,
    message: String,
}

/// The members of RFC 9457 section 3.1, and our extensions.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Wire<'a> {
    r#type: &'static str,
    title: &'static str,
    status: u16,
    detail: &'a str,
    code: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<&'a str>,
    #[serde(skip_serializing_if = "<[FieldError]>::is_empty")]
    errors: &'a [FieldError],
}

impl Problem {
    /// The media type of the body, except for [`Problem::oauth`].
    pub const MEDIA_TYPE: &'static str = "application/problem+json";

    /// A problem with the headers that `code` requires.
    ///
    /// The challenge contains a realm if there is no token, because the scheme must be followed by at least one
    /// parameter (RFC 6750 section 3).
    #[must_use]
    pub fn new(code: ErrorCode) -> Self {
        let problem = Self::other(code.status(), code.name(), code.detail());
        match code {
            ErrorCode::Unavailable | ErrorCode::NotReady => problem.header("Retry-After", "1"),
            _ if code.status() == 401 => problem.header("WWW-Authenticate", r#"Bearer realm="api""#),
            _ => problem,
        }
    }

    /// A problem without an [`ErrorCode`], for services outside the stack.
    pub fn other(status: u16, code: &'static str, detail: impl Into<Cow<'static, str>>) -> Self {
        let (detail, errors, headers) = (detail.into(), Vec::new(), Vec::new());
        Self(Arc::new(Parts { status, code, detail, errors, headers, is_oauth: false }))
    }

    /// An OAuth 2.0 error, for the endpoints that an RFC defines. Its body has the form of RFC 6749 section 5.2.
    pub fn oauth(status: u16, error: &'static str, description: impl Into<Cow<'static, str>>) -> Self {
        Self::other(status, error, description).with(|parts| parts.is_oauth = true)
    }

    /// Replaces the default detail.
    #[must_use]
    pub fn detail(self, detail: impl Into<Cow<'static, str>>) -> Self {
        self.with(|parts| parts.detail = detail.into())
    }

    /// 401: the access token is refused; `why` is a sentence without the full stop. In the challenge, characters that RFC
    /// 6750 section 3 forbids become `'`.
    #[must_use]
    pub fn invalid_token(why: &str) -> Self {
        Self::challenging(ErrorCode::InvalidToken, why)
    }

    /// 403: the token is valid, but its bearer may not do this; `why` as in [`Problem::invalid_token`].
    #[must_use]
    pub fn insufficient_scope(why: &str) -> Self {
        Self::challenging(ErrorCode::InsufficientScope, why)
    }

    /// The problem for a bare error status, for responses that no handler of ours wrote.
    #[must_use]
    pub fn of_status(status: u16) -> Self {
        Self::new(match status {
            404 => ErrorCode::NotFound,
            405 => ErrorCode::MethodNotAllowed,
            408 => ErrorCode::RequestTimeout,
            413 => ErrorCode::ContentTooLarge,
            431 => ErrorCode::HeadersTooLarge,
            400..=499 => return Self::new(ErrorCode::BadRequest).with(|parts| parts.status = status),
            503 => ErrorCode::Unavailable,
            _ => ErrorCode::InternalError,
        })
    }

    /// 404: no such `what` exists.
    #[must_use]
    pub fn not_found(what: &'static str) -> Self {
        Self::new(ErrorCode::NotFound).detail(format!("There is no such {what}."))
    }

    /// 503: a dependency of this service does not answer. The same request may succeed later.
    #[must_use]
    pub fn unavailable() -> Self {
        Self::new(ErrorCode::Unavailable)
    }

    /// 500: an internal error. The log has the reason under the same request id.
    #[must_use]
    pub fn internal() -> Self {
        Self::new(ErrorCode::InternalError)
    }

    /// A problem with the challenge of RFC 6750 section 3.1.
    fn challenging(code: ErrorCode, why: &str) -> Self {
        let text = why.replace(|c| !matches!(c, ' '..='~') || matches!(c, '"' | '\\'), "'");
        let challenge = ["Bearer error=\"", code.name(), "\", error_description=\"", &text, "\""].concat();
        let problem = Self::other(code.status(), code.name(), [why, "."].concat());
        problem.header("WWW-Authenticate", challenge)
    }

    /// Adds an error of `field` to `errors`.
    #[must_use]
    pub fn error(self, field: impl Into<String>, message: impl Into<String>) -> Self {
        self.with(|parts| parts.errors.push(FieldError { field: field.into(), message: message.into() }))
    }

    /// Adds a header to the response.
    #[must_use]
    pub fn header(self, name: &'static str, value: impl Into<Cow<'static, str>>) -> Self {
        self.with(|parts| parts.headers.push((name, value.into())))
    }

    fn with(mut self, change: impl FnOnce(&mut Parts)) -> Self {
        change(Arc::make_mut(&mut self.0));
        self
    }

    /// The HTTP status.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.0.status
    }

    /// The reason phrase of the status (RFC 9110 section 15), which RFC 9457 section 4.2.1 requires for `about:blank`.
    #[must_use]
    pub fn title(&self) -> &'static str {
        match self.0.status {
            // The crate http has the phrases of older RFCs for these two.
            413 => "Content Too Large",
            422 => "Unprocessable Content",
            status => StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason()).unwrap_or("Error"),
        }
    }

    /// The error code's name.
    #[must_use]
    pub fn code(&self) -> &'static str {
        self.0.code
    }

    /// The headers of the response, except for `Content-Type`.
    #[must_use]
    pub fn headers(&self) -> &[(&'static str, Cow<'static, str>)] {
        &self.0.headers
    }

    /// The media type of the body.
    #[must_use]
    pub fn media_type(&self) -> &'static str {
        if self.0.is_oauth { "application/json" } else { Self::MEDIA_TYPE }
    }

    /// The body as JSON text, for the request `request_id`.
    #[must_use]
    pub fn body(&self, request_id: Option<&str>) -> String {
        let Parts { status, code, detail, errors, is_oauth, .. } = &*self.0;
        if *is_oauth {
            return serde_json::json!({"error": code, "error_description": detail}).to_string();
        }
        let wire =
            Wire { r#type: "about:blank", title: self.title(), status: *status, detail, code, request_id, errors };
        // Serializing strings and integers cannot fail.
        serde_json::to_string(&wire).unwrap_or_default()
    }
}
