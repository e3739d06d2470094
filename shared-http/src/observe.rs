use std::rc::Rc;
use std::time::{Duration, Instant};

use actix_web::body::{BoxBody, EitherBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, STRICT_TRANSPORT_SECURITY};
use actix_web::middleware::Next;
use actix_web::{Error, ResponseError};
use shared_claims::Problem;

use crate::metrics::{self, Route, Routes};
use crate::trace::Trace;
use crate::{Caller, RequestId, TrustedProxies};

pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// On every answer that says nothing else. An answer is data of one caller and not a page: no cache keeps it, and a browser
/// that is made to show it runs nothing.
pub(crate) const PROTECTION: [(&str, &str); 3] = [
    ("cache-control", "no-store"),
    ("x-content-type-options", "nosniff"),
    ("content-security-policy", "default-src 'none'; frame-ancestors 'none'"),
];

/// Whoever came by HTTPS once comes by HTTPS alone for a year (RFC 6797).
pub(crate) const TRANSPORT_SECURITY: &str = "max-age=31536000";

/// Around every request, outermost: says who sends it, turns every error into problem+json, times it, writes one line of log.
/// One a worker.
pub(crate) struct Observer {
    /// The peers whose `X-Forwarded-For` and `X-Request-Id` count.
    pub(crate) proxies: TrustedProxies,
    /// Whether answers travel by HTTPS.
    pub(crate) encrypted: bool,
    /// The service whose requests are timed; `None` where they are not.
    pub(crate) timed: Option<&'static str>,
    /// Its URL table, where that does not tell by itself.
    pub(crate) routes: Routes,
}

impl Observer {
    pub(crate) async fn observe<B: MessageBody + 'static>(
        self: Rc<Self>,
        request: ServiceRequest,
        next: Next<B>,
    ) -> Result<ServiceResponse<EitherBody<B>>, Error> {
        let started = Instant::now();
        let peer = request.peer_addr().map(|peer| peer.ip());
        let is_proxy = peer.is_some_and(|peer| self.proxies.trusts(peer));
        let given = if is_proxy { RequestId::given(request.headers()) } else { None };
        let caller = Caller {
            address: peer.map(|peer| self.proxies.caller(peer, request.headers())),
            request_id: given.unwrap_or_else(RequestId::random),
            trace: Trace::of(request.headers()),
        };
        let id = caller.request_id.clone();
        let serve = async {
            let response = next.call(request).await?.map_into_left_body();
            let mut response = explain(response, &id);
            self.protect(response.headers_mut(), &id);
            self.account(&response, started);
            Ok(response)
        };
        caller.serve(serve).await
    }

    /// Times and logs what began at `started`. Where nobody wants either, the clock is not even read.
    fn account<B>(&self, response: &ServiceResponse<B>, started: Instant) {
        let timed = self.timed.filter(|_| metrics::is_on());
        let logged = log::log_enabled!(target: "http", log::Level::Info);
        if timed.is_none() && !logged {
            return;
        }
        let (request, time) = (response.request(), started.elapsed());
        self.routes.with(request, |route| {
            if let Some(service) = timed {
                route.took(time, service, request.method(), response.status());
            }
            if logged {
                log_request(response, route, time);
            }
        });
    }

    fn protect(&self, headers: &mut HeaderMap, id: &RequestId) {
        for (name, value) in PROTECTION {
            let name = HeaderName::from_static(name);
            if !headers.contains_key(&name) {
                headers.insert(name, HeaderValue::from_static(value));
            }
        }
        if self.encrypted {
            headers.insert(STRICT_TRANSPORT_SECURITY, HeaderValue::from_static(TRANSPORT_SECURITY));
        }
        if let Ok(value) = HeaderValue::from_str(id.as_str()) {
            headers.insert(REQUEST_ID, value);
        }
    }
}

/// Refuses whoever takes no JSON, if that `is_all` there is and it is no page; inside CORS, so that a page can read that too.
pub(crate) async fn acceptable<B: MessageBody + 'static>(
    is_all: bool,
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<EitherBody<B>>, Error> {
    if !is_all || accepts_json(request.headers()) || is_page(request.path()) {
        return Ok(next.call(request).await?.map_into_left_body());
    }
    Ok(request.into_response(not_acceptable().error_response()).map_into_right_body())
}

/// Whether `path` is of the page that shows a service's calls, which is no JSON.
fn is_page(path: &str) -> bool {
    path.strip_prefix("/docs").is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Gives every error of ours or of a library the one body, with the request's id in it.
fn explain<B>(response: ServiceResponse<EitherBody<B>>, id: &RequestId) -> ServiceResponse<EitherBody<B>> {
    let status = response.status();
    if !(status.is_client_error() || status.is_server_error()) {
        return response;
    }
    let known = response.response().extensions().get::<Problem>().cloned();
    let problem = known.unwrap_or_else(|| Problem::of_status(status.as_u16()));
    let body = problem.body(Some(id.as_str()));
    let mut response = response.map_body(|_, _| EitherBody::right(BoxBody::new(body)));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(Problem::MEDIA_TYPE));
    response
}

fn log_request<B>(response: &ServiceResponse<B>, route: &Route, time: Duration) {
    let duration_us = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
    log::info!(
        target: "http",
        method = response.request().method().as_str(),
        route = route.pattern(),
        status = response.status().as_u16(),
        duration_us = duration_us;
        "request"
    );
}

fn not_acceptable() -> Problem {
    Problem::new(406, "not_acceptable", "This answers in application/json, which Accept refuses.")
}

/// Whether `Accept` takes JSON (RFC 9110 section 12.5.1): the most specific range that fits decides. Absent is all.
fn accepts_json(headers: &HeaderMap) -> bool {
    let mut best: Option<(u8, bool)> = None;
    let mut any = false;
    for value in headers.get_all(ACCEPT) {
        for range in value.to_str().unwrap_or("*/*").split(',').filter(|range| !range.trim().is_empty()) {
            any = true;
            let mut parts = range.split(';').map(str::trim);
            let rank = match parts.next().unwrap_or_default().to_ascii_lowercase().as_str() {
                "application/json" => 3,
                "application/*" => 2,
                "*/*" => 1,
                _ => continue,
            };
            let refused = parts.any(|part| {
                let (name, weight) = part.split_once('=').unwrap_or((part, ""));
                name.eq_ignore_ascii_case("q") && weight.parse::<f32>().is_ok_and(|weight| weight <= 0.0)
            });
            if best.is_none_or(|(known, _)| rank > known) {
                best = Some((rank, !refused));
            }
        }
    }
    best.map_or(!any, |(_, taken)| taken)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accept_is_read_as_its_rfc_says() {
        let cases = [
            (None, true, "absent"),
            (Some(""), true, "empty"),
            (Some("*/*"), true, "anything"),
            (Some("application/json"), true, "json"),
            (Some("Application/JSON; q=0.1"), true, "json, not liked"),
            (Some("text/html, application/xhtml+xml, */*;q=0.8"), true, "a browser"),
            (Some("text/html"), false, "a page only"),
            (Some("application/json;q=0, */*"), false, "anything but json"),
            (Some("*/*;q=0"), false, "nothing"),
            (Some("application/*;q=0, application/json"), true, "json alone of its kind"),
        ];
        for (accept, taken, why) in cases {
            let mut headers = HeaderMap::new();
            if let Some(value) = accept.and_then(|accept| HeaderValue::from_str(accept).ok()) {
                headers.insert(ACCEPT, value);
            }
            assert_eq!(accepts_json(&headers), taken, "{why}");
        }
    }
}
