//! What a service tells a Prometheus that asks: counters and timers, off until somebody gives them an address.
//!
//! A counter is a `static` [`Outcomes`], a timer a `static` [`Timing`], and a number that is looked up when it is asked for is a
//! [`Metrics::gauge`]; one line defines it, another uses it. While nobody asks they do nothing at all.

/// What is looked up when somebody asks, as text.
mod lines;
/// A counter by what came of it.
mod outcomes;
/// What is answered to `GET /metrics`.
mod page;
/// What the system says of this process.
mod process;
/// A timer.
mod timing;

use std::io;
use std::sync::OnceLock;
use std::time::Duration;

use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};

pub use outcomes::Outcomes;
pub use page::Metrics;
pub(crate) use page::{Shown, show};
pub use timing::Timing;

/// The boundaries of OpenTelemetry's conventions for `http.server.request.duration`, in seconds.
const BOUNDARIES: [f64; 14] = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];
/// A store answers sooner than that, and within a second or not at all.
const STORE_BOUNDARIES: [f64; 10] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0];
/// The name of the timer of stores.
pub(crate) const STORE_DURATION: &str = "store_call_duration_seconds";
/// How often what was timed is put into its buckets, so that it takes no room while nobody asks.
const UPKEEP_EVERY: Duration = Duration::from_secs(5);

/// One for the process, whatever the number of its services: that is how a library's own metrics find it.
pub(crate) static RECORDER: OnceLock<PrometheusHandle> = OnceLock::new();

/// Whether anybody may ask.
pub(crate) fn is_on() -> bool {
    RECORDER.get().is_some()
}

/// From now on it is counted and timed. A second call changes nothing.
pub(crate) fn start() -> io::Result<()> {
    let builder = builder().map_err(io::Error::other)?;
    RECORDER.get_or_init(|| {
        let recorder = builder.build_recorder();
        let handle = recorder.handle();
        if metrics::set_global_recorder(recorder).is_err() {
            log::warn!("something else in this process collects metrics already; none of ours are shown");
        }
        handle
    });
    Ok(())
}

fn builder() -> Result<PrometheusBuilder, BuildError> {
    PrometheusBuilder::new()
        .set_buckets(&BOUNDARIES)?
        .set_buckets_for_metric(Matcher::Full(STORE_DURATION.to_owned()), &STORE_BOUNDARIES)
}

/// Ends with the runtime that it is spawned on.
async fn upkeep() {
    loop {
        tokio::time::sleep(UPKEEP_EVERY).await;
        if let Some(recorder) = RECORDER.get() {
            recorder.run_upkeep();
        }
    }
}
