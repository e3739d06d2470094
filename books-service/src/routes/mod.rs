/// The handlers of `/books`.
mod books;
/// `If-Match`.
mod conditions;
/// A book in a request's body.
mod details;
/// What the calls are, for people and programs.
mod openapi;
/// A list in a request's query.
mod query;

use actix_web::web::ServiceConfig;
use shared_service::at;

use crate::books::{Books, Catalogue};

pub use openapi::document;

/// What handlers may touch.
pub struct Library {
    /// Single books, and all writes.
    pub books: Books,
    /// Lists.
    pub catalogue: Catalogue,
}

/// The URL table. It needs `web::Data` of a [`Library`] and of a [`shared_claims::Guard`].
pub fn routes(app: &mut ServiceConfig) {
    app.service(at("/books").get(books::list).post(books::add))
        .service(at("/books/{id}").get(books::show).put(books::replace).patch(books::change).delete(books::remove));
}
