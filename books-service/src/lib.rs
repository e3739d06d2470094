//! The library catalogue: any member reads it, an admin changes it.
//!
//! The arrow runs one way, `main -> app -> routes -> books`.

/// Puts the service together and starts it.
pub mod app;
/// The catalogue itself: books, lists of books, and their SQL. No HTTP here.
pub mod books;
/// What the environment says.
pub mod config;
/// What is wrong, before it hurts.
mod doctor;
/// The page for users in a browser.
mod page;
/// The HTTP contract: who may call, what comes in, what goes out.
pub mod routes;

pub use app::{StartError, start};
pub use config::Config;
pub use doctor::doctor;
