use actix_cors::Cors;

use super::options::ServerOptions;

/// For so many seconds a browser asks no preflight again; browsers take no more.
const PREFLIGHT_AGE: usize = 7200;

/// Pages of the allowed origins may call, and read what they need of an answer.
pub(crate) fn cors(options: &ServerOptions) -> Cors {
    let cors = Cors::default()
        .allowed_methods(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"])
        // What a page adds for its own sake, such as `baggage` or `sentry-trace`, is no risk of ours.
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
