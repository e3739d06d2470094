//! The HTTP routes: the URL table, and the state of the handlers.

/// Refresh and logout with their audit events, for JSON and for forms.
mod audited;
/// Callers whose account exists and is enabled, and callers within the rate limit.
mod callers;
/// The refresh token in a cookie.
mod cookie;
/// Introspection of tokens.
mod introspection;
/// The caller's own account and devices.
mod me;
/// OAuth 2.0 endpoints for third-party clients and services.
mod oauth;
/// The pages that links in mails lead to.
mod pages;
/// Password reset and email verification.
mod recovery;
/// Registration.
mod registration;
/// Response bodies.
mod replies;
/// Request bodies and queries.
mod requests;
/// The revocation list.
mod revocations;
/// Login, refresh, logout.
mod sessions;
/// User management, for admins.
mod users;
/// The public keys of access tokens, and the metadata of the authorization server.
mod well_known;

use std::sync::Arc;
use std::time::Duration;

use actix_web::web::ServiceConfig;
use shared_claims::{ErrorCode, Member, Problem, PublicKeys};
use shared_service::at;
use utoipa::openapi::security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{self, HttpMethod, PathItem, RefOr, Required};
use utoipa::{Modify, OpenApi};

use crate::grants::{Grants, LoginRefused};
use crate::limits::{Limits, Throttled};
use crate::mail::Recovery;
use crate::passwords::{NotHashed, Passwords, PoolError};
use crate::revocations::RevocationReader;
use crate::sessions::{MOST_SESSIONS, SessionStore};
use crate::users::Users;

pub use self::introspection::Introspector;
pub use self::well_known::Metadata;

/// The state of the handlers.
pub struct State {
    /// The accounts.
    pub users: Users,
    /// Their sessions.
    pub sessions: Arc<dyn SessionStore>,
    /// The hashing threads.
    pub passwords: Arc<Passwords>,
    /// Password reset and email verification.
    pub recovery: Arc<Recovery>,
    /// Login, refresh, logout.
    pub grants: Grants,
    /// Rate limits.
    pub limits: Limits,
    /// The revocation list.
    pub revocations: Arc<RevocationReader>,
    /// The origins of pages that may use the cookie.
    pub allowed_origins: Vec<String>,
    /// The public keys of access tokens; `None` without `ACCESS_TOKEN_KEY` and `ACCESS_TOKEN_KEY_PREVIOUS`.
    pub keys: Option<PublicKeys>,
    /// Introspection, where it is set up.
    pub introspector: Option<Introspector>,
    /// The authorization server metadata (RFC 8414); `None` if the issuer is not a URL.
    pub metadata: Option<Metadata>,
    /// True if anyone may register.
    pub registration: bool,
}

impl State {
    /// Refuses a caller whose session has ended since the request was authenticated: for writes after the hashing of a
    /// password, which takes a while. Reads the session store and not the revocation list, because a concurrent change
    /// of the password revokes the access tokens of sessions that go on.
    async fn check_session(&self, member: &Member) -> Result<(), Problem> {
        let sessions = self.sessions.list(&member.user_id, None, MOST_SESSIONS).await?;
        let is_alive = sessions.iter().any(|session| session.id.to_string() == member.session_id);
        is_alive.then_some(()).ok_or_else(|| Problem::invalid_token("The session has ended"))
    }
}

/// The URL table.
pub fn table(config: &mut ServiceConfig) {
    config
        // No token.
        .service(at("/register").post(registration::register))
        .service(at("/login").post(sessions::log_in))
        .service(at("/revocations").get(revocations::read))
        .service(at("/.well-known/jwks.json").get(well_known::read_keys))
        .service(at("/.well-known/oauth-authorization-server").get(well_known::read_metadata))
        .service(at("/.well-known/openid-configuration").get(well_known::read_metadata))
        .service(at("/password/forgot").post(recovery::forgot))
        .service(at("/reset").get(pages::reset))
        .service(at("/verify").get(pages::verify))
        // The holder of a ticket.
        .service(at("/password/reset").post(recovery::reset))
        .service(at("/email/verify").post(recovery::verify))
        // A refresh token.
        .service(at("/token").post(sessions::refresh))
        .service(at("/refresh").post(sessions::refresh))
        .service(at("/logout").post(sessions::log_out))
        .service(at("/revoke").post(oauth::revoke))
        // Services with the introspection secret.
        .service(at("/introspect").post(introspection::introspect))
        // Members.
        .service(at("/me").get(me::read).delete(me::delete))
        .service(at("/me/password").put(me::change_password))
        .service(at("/me/email").put(recovery::change_email))
        .service(at("/me/sessions").get(me::devices).delete(me::sign_out_everywhere))
        .service(at("/me/sessions/{id}").delete(me::sign_out_device))
        // Admins.
        .service(at("/users").get(users::list).post(users::add))
        .service(at("/users/{id}").get(users::read).patch(users::change).delete(users::delete))
        .service(at("/users/{id}/sessions").delete(users::sign_out))
        .service(at("/users/{id}/reset-link").post(recovery::link));
}

impl From<PoolError> for Problem {
    fn from(error: PoolError) -> Self {
        match error {
            PoolError::Busy { retry_after_secs } => {
                Self::new(ErrorCode::Busy).header("Retry-After", retry_after_secs.to_string())
            }
            PoolError::Failed(_) => {
                log::error!("{error}");
                Self::internal()
            }
        }
    }
}

/// The response to refused credentials; `event` is the audit event for a client that has to wait.
fn login_refused(why: LoginRefused, event: &'static str) -> Problem {
    match why {
        LoginRefused::Wrong => invalid_credentials(),
        LoginRefused::Pool(error) => error.into(),
        LoginRefused::Store(error) | LoginRefused::Throttled(Throttled::Store(error)) => error.into(),
        LoginRefused::Throttled(Throttled::Wait(wait)) => {
            log::warn!(target: "audit", event = event; "too many wrong passwords");
            too_many(wait, ErrorCode::TooManyFailures)
        }
    }
}

/// 429, with `wait` in `Retry-After`.
fn too_many(wait: Duration, code: ErrorCode) -> Problem {
    // Rounded up to a whole second.
    Problem::new(code).header("Retry-After", (wait.as_secs() + 1).to_string())
}

/// The response to a refused new password in the member `field`.
fn not_hashed(error: NotHashed, field: &'static str) -> Problem {
    match error {
        NotHashed::Pool(error) => error.into(),
        NotHashed::Weak(weak) => Problem::new(ErrorCode::ValidationFailed)
            .detail("The password is not good enough.")
            .error(field, weak.to_string()),
    }
}

fn no_admin() -> Problem {
    Problem::insufficient_scope("This needs the role admin")
}

/// One response for an unknown name, a wrong password and a disabled account, so that the response reveals no account.
fn invalid_credentials() -> Problem {
    Problem::new(ErrorCode::InvalidCredentials)
}

fn email_taken() -> Problem {
    Problem::new(ErrorCode::EmailTaken).error("email", "is taken")
}

/// The `OpenAPI` document.
#[derive(OpenApi)]
#[openapi(
    info(title = "auth-service", description = "Registers users, checks passwords, keeps their sessions, and signs two \
        tokens: an access token that lives for minutes, and a refresh token that works once.\n\n\
        `john` with `password123admin` (admin) and `anna` with `password123member` (member) are there where `DEMO_DATA` \
        is on. To try a call of members or admins: `POST /login`, then paste its `accessToken` under *Authorize*."),
    tags((name = "sessions", description = "Register, log in, refresh, log out."),
        (name = "me", description = "The caller's own account and devices."),
        (name = "mail", description = "A forgotten password, and the proof of an address."),
        (name = "users", description = "Users, managed by admins."),
        (name = "revocations", description = "For the services that take access tokens."),
        (name = "oauth", description = "For clients and services of other makes (RFC 7009, 7517, 7662, 8414).")),
    paths(registration::register, sessions::log_in, sessions::refresh, sessions::log_out, me::read, me::change_password,
        me::delete, me::devices, me::sign_out_device, me::sign_out_everywhere, users::list, users::add, users::read,
        users::change, users::delete, users::sign_out, revocations::read,
        well_known::read_keys, well_known::read_metadata, oauth::revoke, introspection::introspect, recovery::forgot,
        recovery::reset, recovery::change_email, recovery::verify, recovery::link, pages::reset, pages::verify),
    modifiers(&Extra)
)]
pub struct Calls;

/// The path of the metadata in RFC 8414; most verifiers read that of `OpenID` Connect instead.
const RFC_8414: &str = "/.well-known/oauth-authorization-server";

/// Adds two security schemes, optional bodies, and the second paths of the refresh and of the metadata.
struct Extra;

impl Modify for Extra {
    fn modify(&self, document: &mut openapi::OpenApi) {
        let text = "The refresh token of a page that asked for `\"cookie\": true` at its login. It counts only with an \
            `Origin` that is allowed; other clients send the token in the body.";
        let cookie = ApiKeyValue::with_description("__Host-refresh_token", text);
        let components = document.components.get_or_insert_default();
        components.add_security_scheme("refreshTokenCookie", SecurityScheme::ApiKey(ApiKey::Cookie(cookie)));
        let text = "The name of a service in `ACCESS_TOKEN_AUDIENCE`, and `INTROSPECTION_SECRET`.";
        let service = HttpBuilder::new().scheme(HttpAuthScheme::Basic).description(Some(text)).build();
        components.add_security_scheme("introspectionSecret", SecurityScheme::Http(service));
        let paths = &mut document.paths.paths;
        for path in ["/token", "/logout"] {
            if let Some(RefOr::T(body)) = paths.get_mut(path).and_then(|item| item.post.as_mut()?.request_body.as_mut())
            {
                body.required = Some(Required::False);
            }
        }
        for (method, from, to, id) in [
            (HttpMethod::Post, "/token", "/refresh", "refreshTokensToo"),
            (HttpMethod::Get, RFC_8414, "/.well-known/openid-configuration", "readMetadataToo"),
        ] {
            let item = paths.get(from).and_then(|item| item.post.clone().or_else(|| item.get.clone()));
            if let Some(mut call) = item {
                call.operation_id = Some(id.to_owned());
                call.description = Some(format!("The same as `{from}`."));
                paths.insert(to.to_owned(), PathItem::new(method, call));
            }
        }
    }
}
