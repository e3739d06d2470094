use actix_cors::Cors;

use super::options::ServerOptions;

/// The seconds for which a browser may cache a preflight; browsers accept no more.
const PREFLIGHT_AGE: usize = 7200;

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
        ])
        .max_age(PREFLIGHT_AGE);
    let cors = if options.cookies { cors.supports_credentials() } else { cors };
    options.allowed_origins.iter().fold(cors, |cors, origin| cors.allowed_origin(origin))
}
