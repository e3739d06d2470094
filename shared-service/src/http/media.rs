use actix_web::HttpRequest;
use actix_web::http::Method;
use actix_web::http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use shared_claims::{ErrorCode, Problem};

/// The media types of a `PATCH`'s body, as `Accept-Patch` lists them (RFC 5789 section 3.1).
pub(crate) const PATCHES: &str = "application/json, application/merge-patch+json";

/// The media type of most bodies.
pub(crate) const JSON: &str = "application/json";

/// The media type of a form.
pub(crate) const FORM: &str = "application/x-www-form-urlencoded";

/// True if the body is a form.
pub(crate) fn is_form(request: &HttpRequest) -> bool {
    let line = request.headers().get(CONTENT_TYPE).and_then(|line| line.to_str().ok()).unwrap_or_default();
    line.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case(FORM)
}

/// Accepts bodies of the type `expected` in UTF-8. If that is JSON, `PATCH` also accepts a merge patch (RFC 7396),
/// which is parsed as the same object. Refuses other types, and a compressed body, with 415.
pub(crate) fn check_type(request: &HttpRequest, expected: &'static str) -> Result<(), Problem> {
    let encoding = request.headers().get(CONTENT_ENCODING);
    if encoding.is_some_and(|encoding| !encoding.as_bytes().eq_ignore_ascii_case(b"identity")) {
        let problem = unsupported(request, expected, "The body must not be compressed.".to_owned());
        return Err(problem.header("Accept-Encoding", "identity"));
    }
    let types: Vec<_> = request.headers().get_all(CONTENT_TYPE).collect();
    let [one] = types[..] else {
        return Err(unsupported(request, expected, format!("The body must be {expected}.")));
    };
    let mut parts = one.to_str().unwrap_or_default().split(';').map(str::trim);
    let essence = parts.next().unwrap_or_default();
    let utf8 = parts.all(|part| {
        let (name, value) = part.split_once('=').unwrap_or((part, ""));
        !name.eq_ignore_ascii_case("charset") || value.trim_matches('"').eq_ignore_ascii_case("utf-8")
    });
    let merges = expected == JSON && request.method() == Method::PATCH;
    let merges = merges && essence.eq_ignore_ascii_case("application/merge-patch+json");
    if (merges || essence.eq_ignore_ascii_case(expected)) && utf8 {
        Ok(())
    } else {
        Err(unsupported(request, expected, format!("The body must be {expected} in UTF-8.")))
    }
}

fn unsupported(request: &HttpRequest, expected: &'static str, detail: String) -> Problem {
    let problem = Problem::new(ErrorCode::UnsupportedMediaType).detail(detail).header("Accept", expected);
    if request.method() == Method::PATCH { problem.header("Accept-Patch", PATCHES) } else { problem }
}
