use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{ALLOW, HeaderName, HeaderValue};
use actix_web::http::{Method, StatusCode};
use actix_web::middleware::Next;
use actix_web::{Error, Resource, web};

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

/// Answers `HEAD` like `GET`, and `OPTIONS` with the methods of the path. actix-web does neither, and its `Allow` names
/// only registered methods.
pub(crate) async fn methods<B: MessageBody + 'static>(
    mut request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<B>, Error> {
    let method = request.method().clone();
    if method == Method::HEAD {
        // The connection still knows that the request was HEAD, and sends no body.
        request.head_mut().method = Method::GET;
    }
    let mut response = next.call(request).await?;
    let listed = response.headers().get(ALLOW).and_then(|listed| listed.to_str().ok());
    if let Some(allow) = listed.map(|listed| format!("OPTIONS, {}", listed.replace("GET", "GET, HEAD"))) {
        if method == Method::OPTIONS {
            *response.response_mut().status_mut() = StatusCode::NO_CONTENT;
            if allow.contains("PATCH") {
                response.headers_mut().insert(ACCEPT_PATCH, HeaderValue::from_static(PATCHES));
            }
        }
        response.headers_mut().insert(ALLOW, HeaderValue::try_from(allow)?);
    }
    Ok(response)
}
