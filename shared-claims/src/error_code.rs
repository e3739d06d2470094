use serde::Serialize;
use strum::{EnumMessage, EnumString, IntoStaticStr, VariantArray};

/// The errors that the services of the stack return. Clients tell them apart by [`ErrorCode::name`], which never
/// changes. The message of each is its default detail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumMessage, EnumString, IntoStaticStr, Serialize, VariantArray)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
#[expect(missing_docs, reason = "each has its message")]
pub enum ErrorCode {
    #[strum(message = "The body does not have the shape that this needs.")]
    MalformedBody,
    #[strum(message = "The query string cannot be read.")]
    MalformedQuery,
    #[strum(message = "The request cannot be understood.")]
    BadRequest,
    #[strum(message = "This needs an access token: Authorization: Bearer <token>.")]
    MissingToken,
    #[strum(message = "The token is refused; error_description in WWW-Authenticate says why.")]
    InvalidToken,
    #[strum(message = "This needs a refresh token, in the body ({\"token\": \"…\"}) or in the cookie.")]
    MissingRefreshToken,
    #[strum(message = "The user name or the password is wrong.")]
    InvalidCredentials,
    #[strum(message = "The role in the token has no rights here.")]
    InsufficientScope,
    #[strum(message = "The refresh token is not valid any more. Log in again.")]
    InvalidRefreshToken,
    #[strum(message = "The link is not valid any more. Ask for another one.")]
    InvalidResetToken,
    #[strum(message = "The link is not valid any more, or it is for another account.")]
    InvalidVerificationToken,
    #[strum(
        message = "A refresh token in a cookie is taken from pages of ALLOWED_ORIGINS and of this host alone, as Origin and \
            Sec-Fetch-Site tell; others send it in the body."
    )]
    OriginNotAllowed,
    #[strum(message = "Only an admin adds users here.")]
    RegistrationClosed,
    #[strum(message = "There is nothing at this address.")]
    NotFound,
    #[strum(message = "This service sends no mail: SMTP_URL is not set.")]
    MailNotConfigured,
    #[strum(message = "This address does not take this method; Allow lists those it takes.")]
    MethodNotAllowed,
    #[strum(message = "The request did not arrive in time.")]
    RequestTimeout,
    #[strum(message = "Another account has this user name.")]
    UsernameTaken,
    #[strum(message = "Another account has this email.")]
    EmailTaken,
    #[strum(message = "There can be no link: PUBLIC_URL is not set.")]
    PublicUrlNotConfigured,
    #[strum(message = "This is the last admin; make another one first.")]
    LastAdmin,
    #[strum(
        message = "If-Match or If-None-Match excludes the book as it is now; read it again, or leave the condition out."
    )]
    PreconditionFailed,
    #[strum(message = "The body is larger than 64 KB.")]
    ContentTooLarge,
    #[strum(message = "The body must be application/json in UTF-8, not compressed.")]
    UnsupportedMediaType,
    #[strum(message = "This service is for this machine alone: call it by the name localhost.")]
    MisdirectedRequest,
    #[strum(message = "Some values are refused; errors names each.")]
    ValidationFailed,
    #[strum(message = "There were too many calls from this address. Try again later.")]
    TooManyRequests,
    #[strum(message = "The password was wrong too often. Try again later.")]
    TooManyFailures,
    #[strum(message = "The head of the request is too large.")]
    HeadersTooLarge,
    #[strum(message = "The service failed. The request id leads to the reason in its log.")]
    InternalError,
    #[strum(message = "The service cannot answer right now. Try again later.")]
    Unavailable,
    #[strum(message = "Too many passwords are being checked right now. Try again later.")]
    Busy,
    #[strum(message = "Something that this service needs does not answer.")]
    NotReady,
}

impl ErrorCode {
    /// All error codes.
    pub fn all() -> impl Iterator<Item = Self> {
        Self::VARIANTS.iter().copied()
    }

    /// The HTTP status.
    #[must_use]
    pub const fn status(self) -> u16 {
        match self {
            Self::MalformedBody | Self::MalformedQuery | Self::BadRequest => 400,
            Self::MissingToken | Self::InvalidToken | Self::MissingRefreshToken | Self::InvalidCredentials => 401,
            Self::InsufficientScope
            | Self::InvalidRefreshToken
            | Self::InvalidResetToken
            | Self::InvalidVerificationToken
            | Self::OriginNotAllowed
            | Self::RegistrationClosed => 403,
            Self::NotFound | Self::MailNotConfigured => 404,
            Self::MethodNotAllowed => 405,
            Self::RequestTimeout => 408,
            Self::UsernameTaken | Self::EmailTaken | Self::PublicUrlNotConfigured | Self::LastAdmin => 409,
            Self::PreconditionFailed => 412,
            Self::ContentTooLarge => 413,
            Self::UnsupportedMediaType => 415,
            Self::MisdirectedRequest => 421,
            Self::ValidationFailed => 422,
            Self::TooManyRequests | Self::TooManyFailures => 429,
            Self::HeadersTooLarge => 431,
            Self::InternalError => 500,
            Self::Unavailable | Self::Busy | Self::NotReady => 503,
        }
    }

    /// The stable name, for programs.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.into()
    }

    /// The default detail, a sentence for people.
    #[must_use]
    pub fn detail(self) -> &'static str {
        self.get_message().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
