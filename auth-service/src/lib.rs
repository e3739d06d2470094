//! auth-service manages users: it registers them, verifies passwords, opens sessions and signs the two tokens.
//!
//! Dependencies point one way: `main -> app -> routes -> domain` (`grants`, `tokens`, `sessions`, `passwords`,
//! `users`, `limits`, `mail`). The domain does not depend on HTTP.

/// The private key that signs access tokens.
pub mod access_keys;
/// The composition root: builds the running service from the settings.
pub mod app;
/// The command line.
pub mod cli;
/// The settings.
pub mod config;
/// Counters of results, and the timer of hashing.
mod counts;
/// The ending of sessions after a change of an account.
pub mod endings;
/// Login, refresh, logout.
pub mod grants;
/// Rate limits for calls and wrong passwords.
pub mod limits;
/// Password reset and email verification.
mod mail;
/// Rules, storage and verification of passwords.
pub mod passwords;
/// The connection to Redis, shared by sessions, limits and revocations.
pub mod redis;
/// The revocation list.
pub mod revocations;
/// The HTTP calls: URL table, handlers, requests and responses.
mod routes;
/// Sessions, with refresh token rotation.
pub mod sessions;
/// The SQL database that sessions, limits and revocations share.
pub mod sql;
/// The two signed tokens of a session.
pub mod tokens;
/// The users.
pub mod users;

pub use routes::Calls;

/// The name of the store of sessions, limits and revocations in errors and metrics.
const SESSION_STORE: &str = "the session store";
