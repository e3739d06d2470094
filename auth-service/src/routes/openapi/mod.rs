//! The calls as an OpenAPI document, in the order of the URL table. What a token, a body or a query brings along is
//! described by [`Call`].

/// The caller's own account and devices.
mod me;
/// What is not worth anything any more.
mod revocations;
/// What comes in and what goes out.
pub(super) mod schemas;
/// Registering, logging in, going on, logging out.
mod sessions;
/// People, managed by admins.
mod users;

use shared_service::http::openapi::{Call, Code, Document};
use utoipa::openapi::OpenApi;
use utoipa::openapi::security::{ApiKey, ApiKeyValue, SecurityScheme};

use super::replies::{Device, Profile, Record, Tokens};

/// The security scheme of the refresh token in a cookie.
const COOKIE: &str = "refreshTokenCookie";

const ABOUT: &str = "Registers people, checks passwords, keeps their sessions, and signs two tokens: an access token that \
    lives for minutes, and a refresh token that works once.\n\n\
    `john` with `password123admin` (admin) and `anna` with `password123member` (member) are there where `DEMO_DATA` is on. \
    To try a call of members or admins: `POST /login`, then paste its `accessToken` under *Authorize*.";

const COOKIE_TEXT: &str = "The refresh token of a page that asked for `\"cookie\": true` at its login. It counts \
    only with an `Origin` that is allowed; everybody else sends the token in the body.";

const CALLED_TOO_OFTEN: Code =
    Code::new(429, "too_many_requests", "There were too many calls from this address. Try again later.");
const GUESSED_TOO_OFTEN: Code =
    Code::new(429, "too_many_failures", "The password was wrong too often. Try again later.");
const WRONG_PASSWORD: Code = Code::new(401, "invalid_credentials", "The user name or the password is wrong.");
const BUSY: Code = Code::new(503, "busy", "Too many passwords are being checked right now. Try again later.");
const USERNAME_TAKEN: Code = Code::new(409, "username_taken", "Somebody has this user name.");
const EMAIL_TAKEN: Code = Code::new(409, "email_taken", "Somebody has this email.");
const LAST_ADMIN: Code = Code::new(409, "last_admin", "This is the last admin; make another one first.");

/// The document.
#[must_use]
pub fn document() -> OpenApi {
    let cookie = ApiKeyValue::with_description("__Host-refresh_token", COOKIE_TEXT);
    Document::new("auth-service", env!("CARGO_PKG_VERSION"), ABOUT)
        .security(COOKIE, SecurityScheme::ApiKey(ApiKey::Cookie(cookie)))
        .tag("sessions", "Becoming somebody, logging in, going on, logging out.")
        .tag("me", "The caller's own account and devices.")
        .tag("users", "People, managed by admins.")
        .tag("revocations", "For the services that take access tokens.")
        .schema::<Tokens<'_>>()
        .schema::<Profile<'_>>()
        .schema::<Record<'_>>()
        .schema::<Device<'_>>()
        .calls(sessions::calls().map(|call| call.tag("sessions")))
        .calls(me::calls().map(|call| call.tag("me")))
        .calls(users::calls().map(|call| call.tag("users")))
        .calls(revocations::calls().map(|call| call.tag("revocations")))
        .finish()
}

/// Counted for its address: see `Admitted`.
fn counted(call: Call) -> Call {
    call.refuses(&[CALLED_TOO_OFTEN, shared_service::http::openapi::UNAVAILABLE])
}

/// Asks for a password: see `guess`.
fn guessed(call: Call) -> Call {
    counted(call).refuses(&[WRONG_PASSWORD, GUESSED_TOO_OFTEN, BUSY])
}
