//! The recorder behind the facade of the crate `metrics`, one for the process: none until a service has an address for its metrics.
//! A handle of the facade that was made before then counts nothing, so handles are kept only while [`is_on`].

use std::sync::OnceLock;

use metrics_exporter_prometheus::PrometheusHandle;

pub(crate) static RECORDER: OnceLock<PrometheusHandle> = OnceLock::new();

/// The timer of store calls, which has buckets of its own.
pub(crate) const STORE_DURATION: &str = "store_call_duration_seconds";

/// True if calls are counted.
pub(crate) fn is_on() -> bool {
    RECORDER.get().is_some()
}
