//! The parts that all services share. Imports run one way: `operations` → `http` → `database` → `settings`.

/// The wall clock.
pub mod clock;
/// SQL databases: pools, transactions, migrations, limits.
pub mod database;
/// Requests and responses: bodies, queries, middleware, the `OpenAPI` document.
pub mod http;
/// Running a service: server, commands, log, metrics, health, doctor.
pub mod operations;
/// The recorder of metrics.
mod recorder;
/// Settings from the environment, with all errors in one message.
pub mod settings;
/// Work that runs once for all callers that wait for it.
mod single_flight;

pub use http::{
    Caller, File, Page, RequestId, ServerOptions, TlsFiles, Total, TrustedProxies, at, begin_read, has_tag, link_next,
    may_change, origin, quoted,
};
pub use operations::{
    AccessSettings, Metrics, Named, Progress, Readiness, RevocationSettings, Running, ShutdownSignal, as_gauge, bind,
    health, healthcheck, log_secret, serve, show_counter, show_timer, start_logging,
};
pub use settings::{SettingSpec, Settings, SettingsError, StoreUrl, keep_private, open_trusted};
pub use single_flight::SingleFlight;
