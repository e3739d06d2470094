use std::cell::RefCell;
use std::time::Duration;

use actix_web::http::{Method, StatusCode};
use metrics::{Histogram, describe_histogram, histogram};

const DURATION: &str = "http_server_request_duration_seconds";

/// One line of a URL table as one worker knows it, with the timers of the responses that it gave so far: a dozen, whatever
/// clients send. No other worker waits for it, and a timer is found without an allocation.
pub(crate) struct Route {
    pattern: &'static str,
    timers: RefCell<Vec<(&'static str, StatusCode, Histogram)>>,
}

impl Route {
    /// The line for `pattern`, such as `/books/{id}`.
    pub(crate) fn new(pattern: &'static str) -> Self {
        Self { pattern, timers: RefCell::default() }
    }

    /// The line for requests that no other line fits. A path that a client made up is never a label.
    pub(crate) fn unmatched() -> Self {
        Self::new("-")
    }

    /// The pattern as the URL table writes it; "-" where no line fits.
    pub(crate) fn pattern(&self) -> &'static str {
        self.pattern
    }

    /// Records the time in which `service` responded to `method` with `status`.
    pub(crate) fn record(&self, time: Duration, service: &'static str, method: &Method, status: StatusCode) {
        let method = label(method);
        let mut timers = self.timers.borrow_mut();
        let known = timers.iter().position(|(of, with, _)| *with == status && *of == method).unwrap_or_else(|| {
            timers.push((method, status, self.timer(service, method, status)));
            timers.len() - 1
        });
        timers[known].2.record(time);
    }

    fn timer(&self, service: &'static str, method: &'static str, status: StatusCode) -> Histogram {
        histogram!(
            DURATION,
            "service" => service,
            "http_request_method" => method,
            "http_route" => self.pattern,
            "http_response_status_code" => status.as_str().to_owned()
        )
    }
}

/// Gives the timer of requests its help text.
pub(crate) fn describe() {
    describe_histogram!(DURATION, "Time from a request's head to the head of its answer");
}

/// The methods of RFC 9110 and RFC 5789; all others are one, as OpenTelemetry says.
fn label(method: &Method) -> &'static str {
    const KNOWN: [&str; 9] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "CONNECT", "TRACE"];
    KNOWN.into_iter().find(|known| *known == method.as_str()).unwrap_or("_OTHER")
}
