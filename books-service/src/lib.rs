//! The library catalogue: any member reads it, an admin changes it.
//!
//! Imports run one way: `main -> app -> routes -> books`.

/// The composition root.
pub mod app;
/// The catalogue: books, lists of books, and their SQL. No HTTP here.
pub mod books;
/// Settings.
pub mod config;
/// The command `doctor`.
mod doctor;
/// The page for a browser.
mod page;
/// The HTTP contract: routes, requests, responses.
pub mod routes;

pub use app::start;
pub use config::Config;
pub use doctor::doctor;
