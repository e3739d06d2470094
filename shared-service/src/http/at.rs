use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{ALLOW, HeaderName, HeaderValue};
use actix_web::http::{Method, StatusCode};
use actix_web::{Resource, web};

use super::media::PATCHES;
use super::route::Route;

/// A resource of the URL table at `path`, which may contain `{parameters}`. Other methods are answered 405 with `Allow`
/// (RFC 9110 section 15.5.6).
#[must_use]
pub fn at(path: &'static str) -> Resource {
    web::resource(path).app_data(Route::new(path))
}

/// The media types that `PATCH` accepts (RFC 5789 section 3.1).
const ACCEPT_PATCH: HeaderName = HeaderName::from_static("accept-patch");

/// Routes `HEAD` as `GET`, because actix-web handles neither `HEAD` nor `OPTIONS`. Call it before routing, and
/// `complete_allow` with the client's original method after it.
pub(crate) fn head_as_get(request: &mut ServiceRequest) {
    if request.method() == Method::HEAD {
        // The connection still knows that the client sent HEAD, and sends no body.
        request.head_mut().method = Method::GET;
    }
}

/// Completes `Allow`, in which actix-web lists only registered methods, and answers `OPTIONS` with it.
pub(crate) fn complete_allow<B>(response: &mut ServiceResponse<B>, method: &Method) {
    let listed = response.headers().get(ALLOW).and_then(|listed| listed.to_str().ok());
    let Some(allow) = listed.map(|listed| format!("OPTIONS, {}", listed.replace("GET", "GET, HEAD"))) else { return };
    if method == Method::OPTIONS {
        *response.response_mut().status_mut() = StatusCode::NO_CONTENT;
        if allow.contains("PATCH") {
            response.headers_mut().insert(ACCEPT_PATCH, HeaderValue::from_static(PATCHES));
        }
    }
    if let Ok(allow) = HeaderValue::try_from(allow) {
        response.headers_mut().insert(ALLOW, allow);
    }
}
