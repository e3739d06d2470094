use std::cell::RefCell;
use std::time::Duration;

use actix_web::http::{Method, StatusCode};
use metrics::{Histogram, describe_histogram, histogram};

const DURATION: &str = "http_server_request_duration_seconds";

/// The pattern of requests that match no route. A path chosen by a client is never a label.
pub(crate) const UNMATCHED: &str = "-";

/// A route in one worker, with the timers of its responses. Their number is about a dozen, whatever clients send.
/// Workers share no lock, and finding a timer allocates nothing.
pub(crate) struct Route {
    /// The pattern in the URL table, or [`UNMATCHED`].
    pub(crate) pattern: &'static str,
    timers: RefCell<Vec<(&'static str, StatusCode, Histogram)>>,
}

impl Route {
    /// The route for `pattern`, such as `/books/{id}`.
    pub(crate) fn new(pattern: &'static str) -> Self {
        Self { pattern, timers: RefCell::default() }
    }

    /// Records the time that `service` took to answer `method` with `status`.
    pub(crate) fn record(&self, time: Duration, service: &'static str, method: &Method, status: StatusCode) {
        let method = label(method);
        let mut timers = self.timers.borrow_mut();
        let known = timers.iter().position(|(of, with, _)| *with == status && *of == method).unwrap_or_else(|| {
            let timer = histogram!(
                DURATION,
                "service" => service,
                "http_request_method" => method,
                "http_route" => self.pattern,
                "http_response_status_code" => status.as_str().to_owned()
            );
            timers.push((method, status, timer));
            timers.len() - 1
        });
        timers[known].2.record(time);
    }
}

/// Gives the timer of requests its help text.
pub(crate) fn describe() {
    describe_histogram!(DURATION, "Time from a request's head to the head of its answer");
}

/// The label of a method. Methods outside RFC 9110 and RFC 5789 share one, as in OpenTelemetry's conventions.
pub(super) fn label(method: &Method) -> &'static str {
    const KNOWN: [&str; 9] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "CONNECT", "TRACE"];
    KNOWN.into_iter().find(|known| *known == method.as_str()).unwrap_or("_OTHER")
}
