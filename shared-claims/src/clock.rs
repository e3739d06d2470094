use std::time::SystemTime;

/// Seconds since 1970; 0 if the system clock is set to an earlier time.
#[expect(clippy::disallowed_methods, reason = "the edge: where a request or a list meets the clock")]
pub(crate) fn now() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
