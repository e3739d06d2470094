//! What every service of the stack does the same way, so that a service's own code is about its own matter.

/// Which access tokens a service takes.
mod access;
/// The lines of a URL table, and right answers to `HEAD`, `OPTIONS` and other methods.
mod at;
/// Request bodies: JSON objects, taken member by member, every violation told at once.
mod body;
/// Who sends a request: address, request id and trace, in every log line too.
mod caller;
/// The commands that every service has.
#[cfg(feature = "cli")]
pub mod cli;
/// The wall clock.
pub mod clock;
/// Which pages may call.
mod cors;
/// SQL databases.
#[cfg(feature = "database")]
pub mod database;
/// What the command `doctor` of every service looks at.
pub mod doctor;
/// Times as people write them.
mod duration;
/// What a client has already.
mod etag;
/// `/livez` and `/readyz`, and the command that asks for them.
mod health;
/// The hosts that a request may name.
mod host;
/// Log lines, as text or JSON, one line each.
mod logging;
/// The media types of bodies.
mod media;
/// The memory that the process may use.
mod memory;
/// What is counted and timed, and the address where it can be asked for.
mod metrics;
/// What happens around every request: its id, its log line, its error body.
mod observe;
/// A service's calls as an OpenAPI document, and a page that shows it.
#[cfg(feature = "openapi")]
pub mod openapi;
/// What every server is told.
mod options;
/// Lists in pages.
mod page;
/// Files of this user alone.
mod private;
/// How far long work is.
mod progress;
/// The proxies that are believed.
mod proxies;
/// Query strings, taken like bodies.
mod query;
/// The records of a file.
#[cfg(feature = "cli")]
pub mod records;
/// How the list of revocations is followed.
mod revocations;
/// Starting: the listeners, and what is around every request.
mod server;
/// Settings from the environment, all that is wrong told at once.
mod settings;
/// Work done once for all who wait for it.
mod sharing;
/// Stopping with nothing lost.
mod stop;
/// HTTPS in the process.
mod tls;
/// The trace that a request is a part of.
mod trace;
/// A chunked body that is not read to its end.
mod unread;
/// Violations, collected field by field.
mod violations;

pub use access::{AccessSettings, log_secret};
pub use at::at;
pub use body::{Body, Fields, MaybeBody};
pub use caller::{Caller, RequestId};
pub use etag::has_tag;
pub use health::{Readiness, health, healthcheck};
pub use logging::start_logging;
pub use metrics::{Metrics, Outcomes, Timing};
pub use options::ServerOptions;
pub use page::{Page, link_next};
pub use private::{keep_private, open_trusted};
pub use progress::Progress;
pub use proxies::TrustedProxies;
pub use query::{Params, Query};
pub use revocations::RevocationSettings;
pub use server::{Running, bind};
pub use settings::{Known, Settings, SettingsError};
pub use sharing::Shared;
pub use stop::{Stop, serve};
pub use tls::TlsFiles;
