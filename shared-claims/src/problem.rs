use std::borrow::Cow;

use serde::Serialize;

/// The one error body of the stack: RFC 9457 `application/problem+json`.
///
/// `code` is stable and meant for programs, `detail` for people. Neither carries a library's text, a path or a stack.
#[derive(Clone, Debug)]
pub struct Problem {
    status: u16,
    code: &'static str,
    detail: Cow<'static, str>,
    errors: Vec<FieldError>,
    headers: Vec<(&'static str, String)>,
}

/// One thing that is wrong with one field of a body or a query.
#[derive(Clone, Debug, Serialize)]
struct FieldError {
    field: String,
    message: String,
}

/// The members of RFC 9457 section 3.1, and ours.
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
    /// The media type of the body.
    pub const MEDIA_TYPE: &'static str = "application/problem+json";

    /// 401: there are no credentials, or wrong ones that are no token. The challenge says nothing of an error, and names a
    /// realm because one parameter at least must follow the scheme (RFC 6750 section 3).
    pub fn unauthorized(code: &'static str, detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(401, code, detail).header("WWW-Authenticate", r#"Bearer realm="api""#)
    }

    /// 401: there is an access token, and it is refused; `why` is plain ASCII without quotes, less the full stop.
    #[must_use]
    pub fn invalid_token(why: &str) -> Self {
        Self::new(401, "invalid_token", format!("{why}."))
            .header("WWW-Authenticate", format!(r#"Bearer error="invalid_token", error_description="{why}""#))
    }

    /// A problem of HTTP status `status`, named `code`, explained by `detail`.
    pub fn new(status: u16, code: &'static str, detail: impl Into<Cow<'static, str>>) -> Self {
        Self { status, code, detail: detail.into(), errors: Vec::new(), headers: Vec::new() }
    }

    /// The problem behind a bare error status, for answers that no code of ours wrote.
    #[must_use]
    pub fn of_status(status: u16) -> Self {
        match status {
            404 => Self::new(404, "not_found", "There is nothing at this address."),
            405 => Self::new(
                405,
                "method_not_allowed",
                "This address does not take this method; Allow lists those it takes.",
            ),
            408 => Self::new(408, "request_timeout", "The request did not arrive in time."),
            413 => Self::new(413, "content_too_large", "The body is larger than 64 KB."),
            431 => Self::new(431, "headers_too_large", "The head of the request is too large."),
            400..=499 => Self::new(status, "bad_request", "The request cannot be understood."),
            503 => Self::unavailable(),
            _ => Self::internal(),
        }
    }

    /// 404: there is no such `what`.
    #[must_use]
    pub fn not_found(what: &'static str) -> Self {
        Self::new(404, "not_found", format!("There is no such {what}."))
    }

    /// 503: something that this service needs does not answer. Nothing is lost, and the same request may work later.
    #[must_use]
    pub fn unavailable() -> Self {
        Self::new(503, "unavailable", "The service cannot answer right now. Try again later.")
            .header("Retry-After", "1")
    }

    /// 500: a fault of ours. The log line of the same request id says which.
    #[must_use]
    pub fn internal() -> Self {
        Self::new(500, "internal_error", "The service failed. The request id leads to the reason in its log.")
    }

    /// 403: the token is good, and its bearer may not do this; `why` as in [`Problem::invalid_token`].
    #[must_use]
    pub fn insufficient_scope(why: &str) -> Self {
        Self::new(403, "insufficient_scope", format!("{why}."))
            .header("WWW-Authenticate", format!(r#"Bearer error="insufficient_scope", error_description="{why}""#))
    }

    /// Adds to `errors` what is wrong with `field`.
    #[must_use]
    pub fn error(mut self, field: impl Into<String>, message: impl Into<String>) -> Self {
        self.errors.push(FieldError { field: field.into(), message: message.into() });
        self
    }

    /// Adds a header to the answer.
    #[must_use]
    pub fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// The HTTP status.
    #[must_use]
    pub const fn status(&self) -> u16 {
        self.status
    }

    /// The phrase of the status.
    #[must_use]
    pub const fn title(&self) -> &'static str {
        title(self.status)
    }

    /// The stable name.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        self.code
    }

    /// The headers that go with the body, beside its media type.
    #[must_use]
    pub fn headers(&self) -> &[(&'static str, String)] {
        &self.headers
    }

    /// The body, a JSON text, for the request `request_id`.
    #[must_use]
    pub fn body(&self, request_id: Option<&str>) -> String {
        let wire = Wire {
            r#type: "about:blank",
            title: self.title(),
            status: self.status,
            detail: &self.detail,
            code: self.code,
            request_id,
            errors: &self.errors,
        };
        serde_json::to_string(&wire).unwrap_or_default()
    }
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.status, self.code)
    }
}

impl std::error::Error for Problem {}

/// The phrase that RFC 9110 section 15 gives the status, as RFC 9457 section 4.2.1 wants it for `about:blank`.
const fn title(status: u16) -> &'static str {
    match status {
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        409 => "Conflict",
        412 => "Precondition Failed",
        413 => "Content Too Large",
        415 => "Unsupported Media Type",
        421 => "Misdirected Request",
        422 => "Unprocessable Content",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        503 => "Service Unavailable",
        _ => "Error",
    }
}
