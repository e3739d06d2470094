//! The process-wide recorder of the crate `metrics`, installed once a service has an address for its metrics. A handle
//! created before the installation never records, so code keeps handles only while [`is_on`] is true.

use std::sync::OnceLock;

use metrics_exporter_prometheus::PrometheusHandle;

pub(crate) static RECORDER: OnceLock<PrometheusHandle> = OnceLock::new();

/// The timer of store calls, with its own buckets.
pub(crate) const STORE_DURATION: &str = "store_call_duration_seconds";

/// The counter of access tokens by [`BearerAuth::OUTCOMES`](shared_claims::BearerAuth::OUTCOMES).
pub(crate) const VERIFIED: &str = "jwt_verify_total";

/// True if metrics are recorded.
pub(crate) fn is_on() -> bool {
    RECORDER.get().is_some()
}
