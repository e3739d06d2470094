/// The errors that the services of the stack return. Clients tell them apart by [`ErrorCode::name`], which never
/// changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the table below has a sentence for each")]
pub enum ErrorCode {
    MalformedBody,
    MalformedQuery,
    BadRequest,
    MissingToken,
    InvalidToken,
    MissingRefreshToken,
    InvalidCredentials,
    InsufficientScope,
    InvalidRefreshToken,
    InvalidResetToken,
    InvalidVerificationToken,
    OriginNotAllowed,
    NotFound,
    MailNotConfigured,
    MethodNotAllowed,
    RequestTimeout,
    UsernameTaken,
    EmailTaken,
    PublicUrlNotConfigured,
    LastAdmin,
    PreconditionFailed,
    ContentTooLarge,
    UnsupportedMediaType,
    MisdirectedRequest,
    ValidationFailed,
    TooManyRequests,
    TooManyFailures,
    HeadersTooLarge,
    InternalError,
    Unavailable,
    Busy,
    NotReady,
}

/// HTTP status, name and default detail of each code, in the order of the enum.
type Row = (ErrorCode, u16, &'static str, &'static str);

const TABLE: [Row; 32] = {
    use ErrorCode as Code;
    [
        (Code::MalformedBody, 400, "malformed_body", "The body does not have the shape that this needs."),
        (Code::MalformedQuery, 400, "malformed_query", "The query string cannot be read."),
        (Code::BadRequest, 400, "bad_request", "The request cannot be understood."),
        (Code::MissingToken, 401, "missing_token", "This needs an access token: Authorization: Bearer <token>."),
        (
            Code::InvalidToken,
            401,
            "invalid_token",
            "The token is refused; error_description in WWW-Authenticate says why.",
        ),
        (
            Code::MissingRefreshToken,
            401,
            "missing_refresh_token",
            "This needs a refresh token, in the body ({\"token\": \"…\"}) or in the cookie.",
        ),
        (Code::InvalidCredentials, 401, "invalid_credentials", "The user name or the password is wrong."),
        (Code::InsufficientScope, 403, "insufficient_scope", "The role in the token has no rights here."),
        (
            Code::InvalidRefreshToken,
            403,
            "invalid_refresh_token",
            "The refresh token is not valid any more. Log in again.",
        ),
        (Code::InvalidResetToken, 403, "invalid_reset_token", "The link is not valid any more. Ask for another one."),
        (
            Code::InvalidVerificationToken,
            403,
            "invalid_verification_token",
            "The link is not valid any more, or it is for another account.",
        ),
        (
            Code::OriginNotAllowed,
            403,
            "origin_not_allowed",
            "A refresh token in a cookie is taken from pages of ALLOWED_ORIGINS and of this host alone, as Origin and \
            Sec-Fetch-Site tell; others send it in the body.",
        ),
        (Code::NotFound, 404, "not_found", "There is nothing at this address."),
        (Code::MailNotConfigured, 404, "mail_not_configured", "This service sends no mail: SMTP_URL is not set."),
        (
            Code::MethodNotAllowed,
            405,
            "method_not_allowed",
            "This address does not take this method; Allow lists those it takes.",
        ),
        (Code::RequestTimeout, 408, "request_timeout", "The request did not arrive in time."),
        (Code::UsernameTaken, 409, "username_taken", "Another account has this user name."),
        (Code::EmailTaken, 409, "email_taken", "Another account has this email."),
        (
            Code::PublicUrlNotConfigured,
            409,
            "public_url_not_configured",
            "There can be no link: PUBLIC_URL is not set.",
        ),
        (Code::LastAdmin, 409, "last_admin", "This is the last admin; make another one first."),
        (
            Code::PreconditionFailed,
            412,
            "precondition_failed",
            "If-Match or If-None-Match excludes the book as it is now; read it again, or leave the condition out.",
        ),
        (Code::ContentTooLarge, 413, "content_too_large", "The body is larger than 64 KB."),
        (
            Code::UnsupportedMediaType,
            415,
            "unsupported_media_type",
            "The body must be application/json in UTF-8, not compressed.",
        ),
        (
            Code::MisdirectedRequest,
            421,
            "misdirected_request",
            "This service is for this machine alone: call it by the name localhost.",
        ),
        (Code::ValidationFailed, 422, "validation_failed", "Some values are refused; errors names each."),
        (
            Code::TooManyRequests,
            429,
            "too_many_requests",
            "There were too many calls from this address. Try again later.",
        ),
        (Code::TooManyFailures, 429, "too_many_failures", "The password was wrong too often. Try again later."),
        (Code::HeadersTooLarge, 431, "headers_too_large", "The head of the request is too large."),
        (
            Code::InternalError,
            500,
            "internal_error",
            "The service failed. The request id leads to the reason in its log.",
        ),
        (Code::Unavailable, 503, "unavailable", "The service cannot answer right now. Try again later."),
        (Code::Busy, 503, "busy", "Too many passwords are being checked right now. Try again later."),
        (Code::NotReady, 503, "not_ready", "Something that this service needs does not answer."),
    ]
};

impl ErrorCode {
    /// All of them.
    pub fn all() -> impl Iterator<Item = Self> {
        TABLE.into_iter().map(|(code, ..)| code)
    }

    /// The code named `name`.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::all().find(|code| code.name() == name)
    }

    /// The HTTP status.
    #[must_use]
    pub const fn status(self) -> u16 {
        TABLE[self as usize].1
    }

    /// The stable name, for programs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        TABLE[self as usize].2
    }

    /// The default detail, a sentence for people.
    #[must_use]
    pub const fn detail(self) -> &'static str {
        TABLE[self as usize].3
    }
}

impl serde::Serialize for ErrorCode {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table_is_in_the_order_of_the_enum() {
        for (place, (code, ..)) in TABLE.into_iter().enumerate() {
            assert_eq!(code as usize, place, "{code:?}");
        }
    }

    #[test]
    fn documentation_lists_every_code_with_its_status() {
        let rows =
            include_str!("../../docs/errors.md").lines().filter(|line| line.starts_with("| ") && line.contains('`'));
        let listed = rows.skip(1).flat_map(|row| {
            let mut cells = row.split(" | ");
            let (status, names) = (cells.next().unwrap().trim_start_matches("| "), cells.next().unwrap());
            names.split('`').skip(1).step_by(2).map(move |name| format!("{status} {name}"))
        });
        let known: Vec<String> = ErrorCode::all().map(|code| format!("{} {}", code.status(), code.name())).collect();
        assert_eq!(listed.collect::<Vec<_>>(), known);
    }
}
