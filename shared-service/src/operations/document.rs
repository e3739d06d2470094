use utoipa::OpenApi;

use super::health;
use crate::http::openapi::{complete, serving};

/// The calls that every service has.
#[derive(OpenApi)]
#[openapi(paths(health::livez, health::readyz, serving::read), tags((name = "service", description = "The service itself.")))]
struct Everywhere;

/// The document of the service whose own calls `T` lists.
#[must_use]
pub fn document<T: OpenApi>() -> utoipa::openapi::OpenApi {
    let mut document = T::openapi();
    document.merge(Everywhere::openapi());
    complete(&mut document);
    document
}
