//! auth-service manages users: it registers them, verifies passwords, opens sessions and signs the two tokens.
//!
//! The arrow runs one way: `main -> app -> routes -> domain` (`grants`, `tokens`, `sessions`, `passwords`, `users`),
//! and the domain knows no HTTP.

/// The private key that signs access tokens.
pub mod access_keys;
/// The composition root: settings in, a running service out.
pub mod app;
/// The command line.
pub mod cli;
/// The settings.
pub mod config;
/// Counters of results, and the timer of hashing.
mod counts;
/// Outstanding ends of sessions after a change of an account.
pub mod endings;
/// Login, refresh, logout.
pub mod grants;
/// Rate limits for calls and wrong passwords.
pub mod limits;
/// The way back into an account, and the proof of an address, by mail.
pub mod mail;
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
