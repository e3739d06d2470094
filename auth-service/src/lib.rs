//! auth-service knows the people: it registers them, checks passwords, opens sessions and signs the two tokens.
//!
//! The arrow runs one way: `main -> app -> routes -> domain` (`grants`, `tokens`, `sessions`, `passwords`, `users`), and
//! the domain knows no HTTP.

/// The composition root: settings in, a running service out.
pub mod app;
/// The command line.
pub mod cli;
/// The settings.
pub mod config;
/// Counters of decisions, and the timer of hashing.
mod counts;
/// What a change of an account has left to be done to sessions.
pub mod endings;
/// What a proof is worth.
pub mod grants;
/// How often somebody may call, and guess.
pub mod limits;
/// Where a caller comes from.
pub mod neighbourhood;
/// What a password must be, how it is stored, and where it is hashed.
pub mod passwords;
/// What was revoked, for all who verify.
pub mod revocations;
/// Everything that speaks HTTP.
mod routes;
/// What a refresh token names.
pub mod sessions;
/// The two signed tokens of a session.
pub mod tokens;
/// The people.
pub mod users;

pub use routes::document;
