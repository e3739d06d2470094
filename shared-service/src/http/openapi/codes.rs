/// One `code` that an error may have, and when.
#[derive(Clone, Copy, Debug)]
pub struct Code {
    pub(super) status: u16,
    pub(super) name: &'static str,
    pub(super) why: &'static str,
}

impl Code {
    /// The code `name`, which comes with the HTTP status `status`; `why` is a sentence.
    #[must_use]
    pub const fn new(status: u16, name: &'static str, why: &'static str) -> Self {
        Self { status, name, why }
    }
}

/// Every call may fail so, whatever it is.
pub(super) const EVERYWHERE: &[Code] = &[
    Code::new(400, "bad_request", "The request cannot be understood."),
    Code::new(405, "method_not_allowed", "This address does not take this method; Allow lists those it takes."),
    Code::new(408, "request_timeout", "The request did not arrive in time."),
    Code::new(431, "headers_too_large", "The head of the request is too large."),
    Code::new(500, "internal_error", "The service failed. The request id leads to the reason in its log."),
];

/// Whoever needs an access token.
pub(super) const MEMBER: &[Code] = &[
    Code::new(401, "missing_token", "This needs an access token: Authorization: Bearer <token>."),
    Code::new(401, "invalid_token", "The token is refused; error_description in WWW-Authenticate says why."),
    Code::new(403, "insufficient_scope", "The role in the token has no rights here."),
    UNAVAILABLE,
];

/// Whoever has to be an admin.
pub(super) const ADMIN: &[Code] = &[Code::new(403, "insufficient_scope", "This needs the role admin.")];

/// Whatever takes a body.
pub(super) const BODY: &[Code] = &[
    Code::new(400, "malformed_body", "The body is not a JSON object, or not of the shape that this needs."),
    Code::new(413, "content_too_large", "The body is larger than 64 KB."),
    Code::new(415, "unsupported_media_type", "The body must be application/json in UTF-8, not compressed."),
    Code::new(422, "validation_failed", "Some values are refused; errors names each."),
];

/// Whatever takes a query.
pub(super) const QUERY: &[Code] = &[
    Code::new(400, "malformed_query", "The query string cannot be read."),
    Code::new(422, "validation_failed", "Some values are refused; errors names each."),
];

/// 404: what the path names is not there.
pub const NOT_FOUND: Code = Code::new(404, "not_found", "There is no such thing.");

/// 503: a store does not answer.
pub const UNAVAILABLE: Code = Code::new(503, "unavailable", "The service cannot answer right now. Try again later.");
