/// Settings of access token verification.
mod access;
/// Commands that every service has.
pub mod cli;
/// Checks of the command `doctor`.
pub mod doctor;
/// The finished `OpenAPI` document.
mod document;
/// `/livez` and `/readyz`, and the command that calls them.
mod health;
/// Log lines, as text or JSON.
mod logging;
/// Counters, timers and gauges, and `/metrics`, which exports them.
pub(crate) mod metrics;
/// Progress of a long command.
mod progress;
/// Records of an imported file.
pub mod records;
/// Settings of the revocation list's poller.
mod revocations;
/// Start of a server: listeners and middleware.
mod server;
/// Graceful shutdown.
mod stop;

pub use access::{AccessSettings, log_secret};
pub use document::document;
pub use health::{Readiness, health, healthcheck};
pub(crate) use logging::ACCESS;
pub use logging::start_logging;
pub use metrics::{Metrics, Named, as_gauge, show_counter, show_timer};
pub use progress::Progress;
pub use revocations::RevocationSettings;
pub use server::{Running, bind};
pub use stop::{ShutdownSignal, serve};
