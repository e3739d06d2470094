use std::cell::Cell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use actix_web::Error;
use actix_web::body::{BoxBody, EitherBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue,
    STRICT_TRANSPORT_SECURITY, X_CONTENT_TYPE_OPTIONS,
};
use actix_web::http::{ConnectionType, Method, StatusCode};
use actix_web::middleware::Next;
use actix_web::rt::spawn;
use log::Level;
use shared_claims::Problem;

use super::at::{complete_allow, head_as_get};
use super::caller::{Caller, REQUEST_ID, RequestId};
use super::cors::warn_of_origin;
use super::host::Hosts;
use super::proxies::TrustedProxies;
use super::route::{Route, label};
use super::trace::Trace;
use super::unread::{Held, Unread};
use crate::operations::ACCESS;
use crate::recorder::is_on;

/// Headers of every response that does not set them itself. A response is data for one caller: no cache may store it,
/// and a browser that displays it runs no script.
static PROTECTION: [(HeaderName, HeaderValue); 3] = [
    (CACHE_CONTROL, HeaderValue::from_static("no-store")),
    (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (CONTENT_SECURITY_POLICY, HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'")),
];

/// HSTS: a browser that has used HTTPS once uses only HTTPS for a year (RFC 6797).
const TRANSPORT_SECURITY: &str = "max-age=31536000";

/// The outermost middleware: identifies the caller, turns every error into problem+json, times the request, writes its
/// log line. One per worker.
pub(crate) struct Observer {
    /// The proxies whose `X-Forwarded-For` and `X-Request-Id` are trusted.
    pub(crate) proxies: TrustedProxies,
    /// True if responses are sent over HTTPS.
    pub(crate) encrypted: bool,
    /// The name of the service in the metrics; `None` if requests are not timed.
    pub(crate) timed: Option<&'static str>,
    /// The hosts that a request may name.
    pub(crate) hosts: Hosts,
    /// Origins whose pages may call.
    pub(crate) origins: Vec<String>,
    /// The route for requests that match no route.
    pub(crate) unmatched: Route,
    /// Shared by the requests that are served at the moment.
    pub(crate) in_flight: Rc<()>,
    /// True if a task will write the access lines that the log holds back.
    pub(crate) is_flush_due: Cell<bool>,
}

impl Observer {
    pub(crate) async fn observe<B: MessageBody + 'static>(
        self: Rc<Self>,
        mut request: ServiceRequest,
        next: Next<B>,
    ) -> Result<ServiceResponse<EitherBody<EitherBody<B>, Held>>, Error> {
        let started = Instant::now();
        let _in_flight = Rc::clone(&self.in_flight);
        let peer = request.peer_addr().map(|peer| peer.ip());
        let is_proxy = peer.is_some_and(|peer| self.proxies.trusts(peer));
        let given = if is_proxy { RequestId::given(request.headers()) } else { None };
        let caller = Caller {
            address: peer.map(|peer| self.proxies.caller(peer, request.headers())),
            request_id: given.unwrap_or_else(RequestId::random),
            trace: Trace::of(request.headers()),
        };
        let (id, method) = (caller.request_id.clone(), request.method().clone());
        warn_of_origin(request.headers(), &self.origins);
        let unread = Unread::of(&mut request);
        head_as_get(&mut request);
        let serve = async {
            let mut response = match self.hosts.refuse(&request) {
                None => next.call(request).await?.map_into_left_body(),
                Some(problem) => request.error_response(problem).map_into_right_body(),
            };
            complete_allow(&mut response, &method);
            if response.request().head().connection_type() == ConnectionType::Upgrade {
                // actix-http closes the connection, and by default announces an upgrade instead.
                response.response_mut().head_mut().set_connection_type(ConnectionType::Close);
            }
            let mut response = explain(response, &id);
            self.protect(response.headers_mut(), &id);
            self.account(&response, &method, started);
            Ok(response.map_body(|_, body| Unread::hold(unread, body)))
        };
        caller.serve(serve).await
    }

    /// Times and logs the request that began at `started`. Reads the clock only if one of the two is enabled.
    fn account<B>(self: &Rc<Self>, response: &ServiceResponse<B>, method: &Method, started: Instant) {
        let timed = self.timed.filter(|_| is_on());
        let logged = log::log_enabled!(target: ACCESS, Level::Info);
        if timed.is_none() && !logged {
            return;
        }
        let (request, time) = (response.request(), started.elapsed());
        let route = request.app_data::<Route>().unwrap_or(&self.unmatched);
        if let Some(service) = timed {
            route.record(time, service, method, response.status());
        }
        if logged {
            let service = self.timed.unwrap_or("metrics");
            log_request(service, response.status(), method, route, time);
            self.write_log();
        }
    }

    /// Writes the access line of the only request in flight at once, before its response is sent. A busy worker writes
    /// the lines of all tasks that are ready in one system call.
    fn write_log(self: &Rc<Self>) {
        // The observer's own count, and that of this request.
        if Rc::strong_count(&self.in_flight) == 2 {
            log::logger().flush();
        } else if !self.is_flush_due.replace(true) {
            let flush = Flush(Rc::clone(self));
            spawn(async move { drop(flush) });
        }
    }

    fn protect(&self, headers: &mut HeaderMap, id: &RequestId) {
        for (name, value) in &PROTECTION {
            if !headers.contains_key(name) {
                headers.insert(name.clone(), value.clone());
            }
        }
        if self.encrypted {
            headers.insert(STRICT_TRANSPORT_SECURITY, HeaderValue::from_static(TRANSPORT_SECURITY));
        }
        headers.insert(REQUEST_ID, id.header());
    }
}

/// Writes the held access lines when it is dropped, even with a task that never runs.
struct Flush(Rc<Observer>);

impl Drop for Flush {
    fn drop(&mut self) {
        self.0.is_flush_due.set(false);
        log::logger().flush();
    }
}

/// Gives every error response, ours or a library's, the standard body with the request id.
fn explain<B>(mut response: ServiceResponse<EitherBody<B>>, id: &RequestId) -> ServiceResponse<EitherBody<B>> {
    let status = response.status();
    if !(status.is_client_error() || status.is_server_error()) {
        return response;
    }
    let known = response.response_mut().extensions_mut().remove::<Problem>();
    let problem = known.unwrap_or_else(|| Problem::of_status(status.as_u16()));
    let body = problem.body(Some(id.as_str()));
    let mut response = response.map_body(|_, _| EitherBody::right(BoxBody::new(body)));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(problem.media_type()));
    response
}

fn log_request(service: &str, status: StatusCode, method: &Method, route: &Route, time: Duration) {
    let duration_us = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
    // Probes, scrapes and polls would bury all other lines.
    let level = match (route.pattern, status.as_u16()) {
        ("/livez" | "/readyz" | "/metrics" | "/revocations" | "/.well-known/jwks.json", 200 | 304) => Level::Debug,
        _ => Level::Info,
    };
    log::log!(
        target: ACCESS,
        level,
        service = service,
        method = label(method),
        route = route.pattern,
        status = status.as_u16(),
        duration_us = duration_us;
        "request"
    );
}
