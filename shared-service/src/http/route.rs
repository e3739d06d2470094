use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Once;
use std::time::Duration;

use actix_web::HttpRequest;
use actix_web::http::{Method, StatusCode};
use metrics::{Histogram, describe_histogram, histogram};

const NAME: &str = "http_server_request_duration_seconds";
/// The route of what is at no address of ours. A path that a client made up is nobody's label.
const UNMATCHED: &str = "-";

/// One line of a URL table as one worker knows it, with the timers of the answers that it gave so far: a dozen, whatever
/// clients send. No other worker waits for it, and a timer is found without writing anything.
pub(crate) struct Route {
    pattern: Cow<'static, str>,
    timers: RefCell<Vec<Timer>>,
}

struct Timer {
    method: &'static str,
    status: StatusCode,
    times: Histogram,
}

impl Route {
    /// The line for `pattern`, such as `/books/{id}`.
    pub(crate) fn new(pattern: impl Into<Cow<'static, str>>) -> Self {
        Self { pattern: pattern.into(), timers: RefCell::default() }
    }

    /// As the URL table writes it; "-" where no line fits.
    pub(crate) fn pattern(&self) -> &str {
        &self.pattern
    }

    /// `service` took `time` to answer `method` by `status`.
    pub(crate) fn took(&self, time: Duration, service: &'static str, method: &Method, status: StatusCode) {
        let method = known(method);
        let mut seen = self.timers.borrow_mut();
        if let Some(timer) = seen.iter().find(|timer| timer.status == status && timer.method == method) {
            timer.times.record(time);
            return;
        }
        let times = self.times(service, method, status);
        times.record(time);
        seen.push(Timer { method, status, times });
    }

    fn times(&self, service: &'static str, method: &'static str, status: StatusCode) -> Histogram {
        static DESCRIBED: Once = Once::new();
        DESCRIBED.call_once(|| describe_histogram!(NAME, "Time from a request's head to the head of its answer"));
        histogram!(
            NAME,
            "service" => service,
            "http_request_method" => method,
            "http_route" => self.pattern.clone(),
            "http_response_status_code" => status.as_str().to_owned()
        )
    }
}

/// The routes that say not themselves who they are: lines of a URL table that are no [`At`](super::at), and what was refused
/// before the table was asked. There are no more of them than lines, and one.
#[derive(Default)]
pub(crate) struct Routes(RefCell<HashMap<Option<String>, Route>>);

impl Routes {
    /// Shows `look` the route of `request`, once it was answered.
    pub(crate) fn with<T>(&self, request: &HttpRequest, look: impl FnOnce(&Route) -> T) -> T {
        if let Some(route) = request.app_data::<Route>() {
            return look(route);
        }
        let pattern = request.match_pattern();
        let name = || pattern.clone().map_or(Cow::Borrowed(UNMATCHED), Cow::Owned);
        look(self.0.borrow_mut().entry(pattern.clone()).or_insert_with(|| Route::new(name())))
    }
}

/// The methods of RFC 9110 and RFC 5789; all others are one, as OpenTelemetry says.
fn known(method: &Method) -> &'static str {
    const KNOWN: [&str; 9] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "CONNECT", "TRACE"];
    KNOWN.into_iter().find(|known| *known == method.as_str()).unwrap_or("_OTHER")
}
