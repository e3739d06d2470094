use std::collections::HashSet;
use std::sync::{LazyLock, Mutex, PoisonError};

use actix_cors::Cors;
use actix_web::http::header::{HOST, HeaderMap, HeaderName, HeaderValue, ORIGIN};

use super::options::{ServerOptions, origin as parse};

/// The seconds for which a browser may cache a preflight; browsers accept no more.
const PREFLIGHT_AGE: usize = 7200;
const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
/// The maximum number of origins that the log warns about.
const MOST_TOLD: usize = 100;
/// The maximum length of such an origin: a host name has at most 253 bytes.
const LONGEST_TOLD: usize = 300;

/// Allows pages of the allowed origins to call, and to read the response headers that they need.
pub(crate) fn cors(options: &ServerOptions) -> Cors {
    let cors = Cors::default()
        .allowed_methods(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"])
        // Headers that a page adds for its own use, such as `baggage` or `sentry-trace`, are harmless.
        .allow_any_header()
        .expose_headers([
            "Accept",
            "Accept-Encoding",
            "Accept-Patch",
            "Age",
            "Allow",
            "ETag",
            "Link",
            "Location",
            "Retry-After",
            "WWW-Authenticate",
            "X-Request-Id",
            "X-Total-Count",
            "X-Total-Count-At-Least",
        ])
        .max_age(PREFLIGHT_AGE);
    let cors = if options.cookies { cors.supports_credentials() } else { cors };
    options.allowed_origins.iter().fold(cors, |cors, origin| cors.allowed_origin(origin))
}

/// Warns once per origin that calls and is not in `allowed`. Browsers report the blocked response only to their user.
pub(crate) fn warn_of_origin(headers: &HeaderMap, allowed: &[String]) {
    static TOLD: LazyLock<Mutex<HashSet<String>>> = LazyLock::new(Mutex::default);
    let text = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    let Some(origin) = text(ORIGIN) else { return };
    // A page of this service sends its origin too.
    let is_own = text(SEC_FETCH_SITE) == Some("same-origin")
        || origin.split_once("://").map(|(_, authority)| authority) == text(HOST);
    if is_own || allowed.iter().any(|one| one == origin) {
        return;
    }
    // Other programs than browsers send any text.
    if origin.len() > LONGEST_TOLD || parse(origin).is_err() {
        return;
    }
    let mut told = TOLD.lock().unwrap_or_else(PoisonError::into_inner);
    if told.len() < MOST_TOLD && told.insert(origin.to_owned()) {
        log::warn!("pages of {origin} call this service, but ALLOWED_ORIGINS does not name that origin");
    }
}
