//! Everything that speaks HTTP: what handlers may touch, and the whole URL table.

/// A caller who was let in.
mod admitted;
/// The refresh token in a cookie.
mod cookie;
/// Callers whose account is there as they call.
mod current;
/// The caller's own account and devices.
mod me;
/// What the calls are, for people and programs.
mod openapi;
/// Becoming somebody.
mod registration;
/// What goes out.
mod replies;
/// What was revoked.
mod revocations;
/// Logging in, going on, logging out.
mod sessions;
/// People, managed by admins.
mod users;

use std::sync::Arc;
use std::time::Duration;

use actix_web::web::ServiceConfig;
use shared_claims::Problem;
use shared_service::at;

use crate::grants::{Grants, LoginRefused};
use crate::limits::Limits;
use crate::passwords::{NotHashed, Passwords, PoolError};
use crate::revocations::Feed;
use crate::sessions::SessionStore;
use crate::users::Users;

pub use openapi::document;

/// What handlers may touch.
pub struct State {
    /// People.
    pub users: Users,
    /// Their sessions.
    pub sessions: Arc<dyn SessionStore>,
    /// The threads that hash.
    pub passwords: Arc<Passwords>,
    /// Login, refresh, logout.
    pub grants: Grants,
    /// How often somebody may call, and guess.
    pub limits: Limits,
    /// What was revoked.
    pub revocations: Arc<Feed>,
    /// Origins whose pages may use the cookie.
    pub allowed_origins: Vec<String>,
}

/// The URL table.
pub fn table(config: &mut ServiceConfig) {
    config
        // Anyone.
        .service(at("/register").post(registration::register))
        .service(at("/login").post(sessions::log_in))
        .service(at("/revocations").get(revocations::read))
        // Whoever holds a refresh token.
        .service(at("/token").post(sessions::refresh))
        .service(at("/refresh").post(sessions::refresh))
        .service(at("/logout").post(sessions::log_out))
        // Members.
        .service(at("/me").get(me::read).delete(me::delete))
        .service(at("/me/password").put(me::change_password))
        .service(at("/me/sessions").get(me::devices).delete(me::sign_out_everywhere))
        .service(at("/me/sessions/{id}").delete(me::sign_out_device))
        // Admins.
        .service(at("/users").get(users::list).post(users::add))
        .service(at("/users/{id}").get(users::read).patch(users::change).delete(users::delete))
        .service(at("/users/{id}/sessions").delete(users::sign_out));
}

impl From<PoolError> for Problem {
    fn from(error: PoolError) -> Self {
        match error {
            PoolError::Busy { retry_after_secs } => {
                Self::new(503, "busy", "Too many passwords are being checked right now. Try again later.")
                    .header("Retry-After", retry_after_secs.to_string())
            }
            PoolError::Failed(_) => {
                log::error!("{error}");
                Self::internal()
            }
        }
    }
}

/// The answer to credentials that opened nothing; `event` is what the log says of a client that has to wait.
fn login_refused(why: LoginRefused, event: &'static str) -> Problem {
    match why {
        LoginRefused::Wrong => invalid_credentials(),
        LoginRefused::Pool(error) => error.into(),
        LoginRefused::Store(error) => error.into(),
        LoginRefused::Throttled(wait) => {
            log::warn!(target: "audit", event = event; "too many wrong passwords");
            too_many(wait, "too_many_failures", "The password was wrong too often. Try again later.")
        }
    }
}

/// 429: come back after `wait`.
fn too_many(wait: Duration, code: &'static str, detail: &'static str) -> Problem {
    // The whole second after it.
    Problem::new(429, code, detail).header("Retry-After", (wait.as_secs() + 1).to_string())
}

/// A new password that stands in the member `field`.
fn not_hashed(error: NotHashed, field: &'static str) -> Problem {
    match error {
        NotHashed::Pool(error) => error.into(),
        NotHashed::Weak(weak) => {
            Problem::new(422, "validation_failed", "The password is not good enough.").error(field, weak.to_string())
        }
    }
}

fn no_admin() -> Problem {
    Problem::insufficient_scope("This needs the role admin")
}

/// One text for an unknown name, a wrong password and a disabled account: a stranger learns nothing of who is there.
fn invalid_credentials() -> Problem {
    Problem::unauthorized("invalid_credentials", "The user name or the password is wrong.")
}

fn username_taken() -> Problem {
    Problem::new(409, "username_taken", "Somebody has this user name.").error("username", "is taken")
}

fn email_taken() -> Problem {
    Problem::new(409, "email_taken", "Somebody has this email.").error("email", "is taken")
}

fn last_admin() -> Problem {
    Problem::new(409, "last_admin", "This is the last admin; make another one first.")
}
