use std::sync::Arc;

use actix_web::http::header::{CACHE_CONTROL, ETAG, HeaderName, HeaderValue, LINK, LOCATION};
use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder};
use serde::Serialize;
use shared_claims::{Admin, Member, Problem};
use shared_service::database::StoreError;
use shared_service::{Body, Query, has_tag, link_next};

use super::Library;
use super::conditions::expected;
use super::details::{details, edit};
use super::query::listing;
use crate::books::{Book, BookId, Edit, NotChanged};

const TOTAL_COUNT: HeaderName = HeaderName::from_static("x-total-count");

/// Kept by the client alone, and asked for again each time.
const REVALIDATE: HeaderValue = HeaderValue::from_static("private, no-cache");

/// Either condition may be the cause, and both together.
pub const PRECONDITION_FAILED: &str =
    "If-Match or If-None-Match excludes the book as it is now; read it again, or leave the condition out.";

#[derive(Serialize)]
struct Added<'a> {
    message: &'static str,
    book: &'a Book,
}

/// `GET /books`: a page of the catalogue, as an array.
pub async fn list(
    _: Member,
    request: HttpRequest,
    Query(params): Query,
    library: Data<Library>,
) -> Result<HttpResponse, Problem> {
    let page = library.catalogue.page(listing(params)?).await.map_err(|error| unavailable(&error))?;
    let (mut response, known) = reading(&request, &page.tag);
    response.insert_header((TOTAL_COUNT, page.total));
    if let Some(cursor) = &page.next {
        response.insert_header((LINK, link_next("/books", request.query_string(), cursor)));
    }
    Ok(if known { response.finish() } else { response.content_type("application/json").body(page.json.clone()) })
}

/// `GET /books/{id}`.
pub async fn show(
    _: Member,
    request: HttpRequest,
    id: Path<BookId>,
    library: Data<Library>,
) -> Result<HttpResponse, Problem> {
    let book = library.books.get(&id).await?.ok_or_else(no_such_book)?;
    let (mut response, known) = reading(&request, &book.version.to_string());
    Ok(if known { response.finish() } else { response.json(book) })
}

/// `POST /books`.
pub async fn add(_: Admin, Body(fields): Body, library: Data<Library>) -> Result<HttpResponse, Problem> {
    let book = library.books.add(details(fields)?).await?;
    let answer = Added { message: "Book added successfully", book: &book };
    Ok(HttpResponse::Created()
        .insert_header((LOCATION, format!("/books/{}", book.id)))
        .insert_header((ETAG, quoted(&book.version.to_string())))
        .json(answer))
}

/// `PUT /books/{id}`: all of a book's details.
pub async fn replace(
    _: Admin,
    request: HttpRequest,
    id: Path<BookId>,
    Body(fields): Body,
    library: Data<Library>,
) -> Result<HttpResponse, Problem> {
    save(&request, &id, details(fields)?.into(), &library).await
}

/// `PATCH /books/{id}`: some of them.
pub async fn change(
    _: Admin,
    request: HttpRequest,
    id: Path<BookId>,
    Body(fields): Body,
    library: Data<Library>,
) -> Result<HttpResponse, Problem> {
    save(&request, &id, edit(fields)?, &library).await
}

/// `DELETE /books/{id}`.
pub async fn remove(
    _: Admin,
    request: HttpRequest,
    id: Path<BookId>,
    library: Data<Library>,
) -> Result<HttpResponse, Problem> {
    library.books.remove(&id, &expected(&request)).await?;
    Ok(HttpResponse::NoContent().finish())
}

async fn save(request: &HttpRequest, id: &BookId, edit: Edit, library: &Library) -> Result<HttpResponse, Problem> {
    let book = library.books.edit(id, &expected(request), edit).await?;
    Ok(HttpResponse::Ok().insert_header((ETAG, quoted(&book.version.to_string()))).json(book))
}

/// The head of an answer to a reader, and whether the reader has already what `tag` stands for.
fn reading(request: &HttpRequest, tag: &str) -> (HttpResponseBuilder, bool) {
    let known = has_tag(request, tag);
    let mut response = if known { HttpResponse::NotModified() } else { HttpResponse::Ok() };
    response.insert_header((CACHE_CONTROL, REVALIDATE)).insert_header((ETAG, quoted(tag)));
    (response, known)
}

/// A strong entity tag as it stands in a header (RFC 9110 section 8.8.3).
fn quoted(tag: &str) -> String {
    ["\"", tag, "\""].concat()
}

impl From<NotChanged> for Problem {
    fn from(reason: NotChanged) -> Self {
        match reason {
            NotChanged::Missing => no_such_book(),
            NotChanged::Unexpected => Self::new(412, "precondition_failed", PRECONDITION_FAILED),
            NotChanged::Store(error) => error.into(),
        }
    }
}

fn no_such_book() -> Problem {
    Problem::not_found("book")
}

/// The error of a question that several requests shared.
fn unavailable(error: &Arc<StoreError>) -> Problem {
    StoreError::clone(error).into()
}
