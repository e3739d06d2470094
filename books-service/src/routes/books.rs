use std::sync::Arc;

use actix_web::http::header::{CACHE_CONTROL, ETAG, HeaderValue, LINK, LOCATION};
use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse};
use serde::Serialize;
use shared_claims::ErrorCode::{PreconditionFailed, ValidationFailed};
use shared_claims::{Admin, Member, Problem};
use shared_service::http::request::{Body, Query};
use shared_service::{begin_read, link_next, may_change, quoted};
use utoipa::{IntoParams, ToSchema};

use super::query::ListBooks;
use crate::books::{Book, BookId, Catalogue, Details, Edit, NotChanged};

/// The book that a path names.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
#[expect(dead_code, reason = "it describes the path alone")]
struct BookParam {
    /// The `id` of a book.
    #[param(format = "uuid")]
    id: String,
}

/// Only the client may store the response, and it must revalidate it each time.
const REVALIDATE: HeaderValue = HeaderValue::from_static("private, no-cache");

#[derive(Serialize, ToSchema)]
#[schema(as = BookAdded)]
struct Added<'a> {
    /// For people.
    message: &'static str,
    book: &'a Book,
}

/// List books, page by page
///
/// All conditions hold at once. Upper and lower case, accents and Unicode forms make no difference: `goriot pere` finds
/// `Le Père Goriot`. A word of one or two letters in `q` is found at the beginning of a word only. Where there is a next
/// page, `Link` leads to it. No answer is older than its request. Where more than 10000 books match a filter, counting
/// stops, and `X-Total-Count-At-Least` takes the place of `X-Total-Count`.
#[utoipa::path(get, path = "/books", operation_id = "listBooks", params(ListBooks), security(("accessToken" = [])), responses(
    (status = 200, description = "The page.", body = [Book],
        headers(("X-Total-Count" = i64, description = "The number of books on all pages, if it is known."),
            ("X-Total-Count-At-Least" = i64, description = "A number that it exceeds, if it is not known."))),
    (status = 304, description = "The page is what the client has.")))]
pub async fn list(
    _: Member,
    request: HttpRequest,
    query: Query<ListBooks>,
    catalogue: Data<Catalogue>,
) -> Result<HttpResponse, Problem> {
    // A block, so that the query takes no space in the future.
    let listing = {
        let query = if request.query_string().is_empty() { ListBooks::default() } else { query.read()? };
        Arc::new(query.listing()?)
    };
    let page = catalogue.page(listing).await?;
    let (mut response, is_known) = begin_read(&request, &page.tag);
    response.insert_header((CACHE_CONTROL, REVALIDATE)).insert_header(page.total.header());
    if let Some(cursor) = &page.next {
        response.insert_header((LINK, link_next("/books", request.query_string(), cursor)));
    }
    Ok(if is_known { response.finish() } else { response.content_type("application/json").body(page.json.clone()) })
}

/// Read a book
#[utoipa::path(get, path = "/books/{id}", operation_id = "readBook", params(BookParam), security(("accessToken" = [])),
    responses((status = 200, description = "The book.", body = Book),
        (status = 304, description = "The book is what the client has.")))]
pub async fn show(
    _: Member,
    request: HttpRequest,
    id: Path<BookId>,
    catalogue: Data<Catalogue>,
) -> Result<HttpResponse, Problem> {
    let book = catalogue.books.get(&id).await?.ok_or_else(no_such_book)?;
    let (mut response, is_known) = begin_read(&request, &book.tag());
    response.insert_header((CACHE_CONTROL, REVALIDATE));
    Ok(if is_known { response.finish() } else { response.json(book) })
}

/// Add a book
#[utoipa::path(post, path = "/books", operation_id = "addBook", request_body = Details,
    security(("accessToken" = [])), responses((status = 201, description = "It is in the catalogue.", body = Added,
        headers(("Location" = String, description = "The address of what was added."),
            ("ETag" = String, description = "For `If-Match`: another one after each change.")))))]
pub async fn add(_: Admin, body: Body<Details>, catalogue: Data<Catalogue>) -> Result<HttpResponse, Problem> {
    let book = catalogue.books.add(body.read()?).await?;
    let answer = Added { message: "Book added successfully", book: &book };
    Ok(HttpResponse::Created()
        .insert_header((LOCATION, format!("/books/{}", book.id)))
        .insert_header((ETAG, quoted(&book.tag())))
        .json(answer))
}

/// Replace all details of a book
///
/// With `If-Match`, only if the book is still what was read; with `If-None-Match`, only if it is none of what the tags
/// stand for; without either, in any case.
#[utoipa::path(put, path = "/books/{id}", operation_id = "replaceBook", params(BookParam), request_body = Details,
    security(("accessToken" = [])), responses((status = 200, description = "The book as it is now.", body = Book)),
    extensions(("x-errors" = json!([PreconditionFailed]))))]
pub async fn replace(
    _: Admin,
    request: HttpRequest,
    id: Path<BookId>,
    body: Body<Details>,
    catalogue: Data<Catalogue>,
) -> Result<HttpResponse, Problem> {
    let new = body.read()?;
    save(&request, &id, |_| new, &catalogue).await
}

/// Change some details of a book
///
/// With `If-Match`, only if the book is still what was read; with `If-None-Match`, only if it is none of what the tags
/// stand for; without either, in any case.
#[utoipa::path(patch, path = "/books/{id}", operation_id = "changeBook", params(BookParam), request_body = Edit,
    security(("accessToken" = [])), responses((status = 200, description = "The book as it is now.", body = Book)),
    extensions(("x-errors" = json!([PreconditionFailed]))))]
pub async fn change(
    _: Admin,
    request: HttpRequest,
    id: Path<BookId>,
    body: Body<Edit>,
    catalogue: Data<Catalogue>,
) -> Result<HttpResponse, Problem> {
    let edit = body.read()?;
    if edit.is_empty() {
        return Err(nothing_to_change());
    }
    save(&request, &id, |old| edit.apply(old), &catalogue).await
}

/// Remove a book
///
/// With `If-Match`, only if the book is still what was read; with `If-None-Match`, only if it is none of what the tags
/// stand for; without either, in any case.
#[utoipa::path(delete, path = "/books/{id}", operation_id = "removeBook", params(BookParam),
    security(("accessToken" = [])), responses((status = 204, description = "It is gone.")),
    extensions(("x-errors" = json!([PreconditionFailed]))))]
pub async fn remove(
    _: Admin,
    request: HttpRequest,
    id: Path<BookId>,
    catalogue: Data<Catalogue>,
) -> Result<HttpResponse, Problem> {
    catalogue.books.remove(&id, |book| may_change(&request, &book.tag())).await?;
    Ok(HttpResponse::NoContent().finish())
}

async fn save(
    request: &HttpRequest,
    id: &BookId,
    edit: impl FnOnce(Details) -> Details,
    catalogue: &Catalogue,
) -> Result<HttpResponse, Problem> {
    let book = catalogue.books.edit(id, |book| may_change(request, &book.tag()), edit).await?;
    Ok(HttpResponse::Ok().insert_header((ETAG, quoted(&book.tag()))).json(book))
}

impl From<NotChanged> for Problem {
    fn from(reason: NotChanged) -> Self {
        match reason {
            NotChanged::Missing => no_such_book(),
            NotChanged::Unexpected => Self::new(PreconditionFailed),
            NotChanged::Store(error) => error.into(),
        }
    }
}

fn nothing_to_change() -> Problem {
    let detail = "A change names at least one of author, country, language, pages, title and year.";
    let names = ["author", "country", "language", "pages", "title", "year"];
    let problem = Problem::new(ValidationFailed).detail(detail);
    names.into_iter().fold(problem, |problem, name| problem.error(name, "or another is required"))
}

fn no_such_book() -> Problem {
    Problem::not_found("book")
}
