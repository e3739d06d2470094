/// The handlers of `/books`.
mod books;
/// The query of a list.
mod query;

use actix_web::web::ServiceConfig;
use shared_service::at;
use utoipa::OpenApi;

/// The URL table. It needs `web::Data` of a [`Catalogue`](crate::books::Catalogue) and of a
/// [`shared_claims::BearerAuth`].
pub fn routes(app: &mut ServiceConfig) {
    app.service(at("/books").get(books::list).post(books::add))
        .service(at("/books/{id}").get(books::show).put(books::replace).patch(books::change).delete(books::remove));
}

/// The calls as an `OpenAPI` document.
#[derive(OpenApi)]
#[openapi(
    info(title = "books-service", description = "The library catalogue: members read it, admins change it.\n\n\
        The access token comes from auth-service (`POST /login` there) and is verified here, without a call. `john` with \
        `password123admin` (admin) and `anna` with `password123member` (member) are there where `DEMO_DATA` is on."),
    tags((name = "books", description = "The catalogue.")),
    paths(books::list, books::add, books::show, books::replace, books::change, books::remove)
)]
pub struct Calls;
