//! The calls as an OpenAPI document, in the order of the URL table. What a token, a body or a query brings along is
//! described by [`Call`].

use serde_json::{Value, json};
use shared_service::http::openapi::shapes::{added, array_of, integer, object, of, text, uuid};
use shared_service::http::openapi::{
    Answer, CONDITIONAL_READ, CONDITIONAL_WRITE, Call, Code, Document, EXCLUDING_WRITE,
};
use strum::VariantNames;
use utoipa::openapi::path::HttpMethod::{Delete, Get, Patch, Post, Put};
use utoipa::openapi::schema::{AllOfBuilder, ObjectBuilder};
use utoipa::openapi::{OpenApi, Schema};

use super::books::PRECONDITION_FAILED;
use super::query::{TEXT_LENGTH, WORDS};
use crate::books::{AUTHOR_LENGTH, LIMIT, NAME_LENGTH, PAGES, Property, TITLE_LENGTH, YEARS};

const ABOUT: &str = "The library catalogue: members read it, admins change it.\n\n\
    The access token comes from auth-service (`POST /login` there) and is verified here, without a call. `john` with \
    `password123admin` (admin) and `anna` with `password123member` (member) are there where `DEMO_DATA` is on.";

const PAGE_NOTE: &str = "All conditions hold at once. Upper and lower case, accents and Unicode forms make no difference: \
    `goriot pere` finds `Le Père Goriot`. Where there is a next page, `Link` leads to it. No answer is older than its \
    request.";

const CONDITION_NOTE: &str = "With `If-Match`, only if the book is still what was read; with `If-None-Match`, only if it is \
    none of what the tags stand for; without either, in any case.";

const PRECONDITION: Code = Code::new(412, "precondition_failed", PRECONDITION_FAILED);

const MEMBERS: [&str; 6] = ["author", "country", "language", "pages", "title", "year"];

/// The document.
#[must_use]
pub fn document() -> OpenApi {
    Document::new("books-service", env!("CARGO_PKG_VERSION"), ABOUT)
        .tag("books", "The catalogue.")
        .named("Details", details(&MEMBERS))
        .named("Change", details(&[]).min_properties(Some(1)))
        .named("Book", book())
        .calls([list(), add(), show(), replace(), change(), remove()].map(|call| call.tag("books")))
        .finish()
}

fn list() -> Call {
    let call = Call::new(Get, "/books", "listBooks", "List books, page by page").note(PAGE_NOTE).member();
    let call = [
        ("q", &*format!("At most {WORDS} words, each of which occurs in author, title, country or language.")),
        ("author", "Occurs in the author."),
        ("title", "Occurs in the title."),
        ("country", "Occurs in the country."),
        ("language", "Occurs in the language."),
    ]
    .into_iter()
    .fold(call, |call, (name, about)| call.query(name, text(about).max_length(Some(TEXT_LENGTH))));
    call.query("yearFrom", integer("The first year of publication.", &YEARS))
        .query("yearTo", integer("The last year of publication.", &YEARS))
        .query("sort", text("The order; with `-` the greatest first.").enum_values(Some(orders())))
        .query("limit", integer("The most books on the page.", &(1..=LIMIT)))
        .query("cursor", text("Where the page begins: what `Link` of the page before says."))
        .header(CONDITIONAL_READ)
        .answers(
            kept(Answer::new("200", "The page."))
                .header("X-Total-Count", "How many books there are on all pages.")
                .header("Link", "`rel=\"next\"`: the next page (RFC 8288), if there is one.")
                .json(array_of("Book")),
        )
        .answers(kept(Answer::new("304", "The page is what the client has.")))
}

fn add() -> Call {
    let answer = versioned(Answer::new("201", "It is in the catalogue.")).header("Location", "Where the book is.");
    Call::new(Post, "/books", "addBook", "Add a book")
        .admin()
        .body(of("Details"), [("a book", example())])
        .answers(answer.json(added("book", "Book")))
}

fn show() -> Call {
    one(Call::new(Get, "/books/{id}", "readBook", "Read a book").member())
        .header(CONDITIONAL_READ)
        .answers(kept(Answer::new("200", "The book.")).json(of("Book")))
        .answers(kept(Answer::new("304", "The book is what the client has.")))
}

fn replace() -> Call {
    written(Call::new(Put, "/books/{id}", "replaceBook", "Replace all details of a book").admin())
        .body(of("Details"), [("a book", example())])
        .answers(versioned(Answer::new("200", "The book as it is now.")).json(of("Book")))
}

fn change() -> Call {
    written(Call::new(Patch, "/books/{id}", "changeBook", "Change some details of a book").admin())
        .body(of("Change"), [("the pages", json!({"pages": 215}))])
        .answers(versioned(Answer::new("200", "The book as it is now.")).json(of("Book")))
}

fn remove() -> Call {
    written(Call::new(Delete, "/books/{id}", "removeBook", "Remove a book").admin())
        .answers(Answer::new("204", "It is gone."))
}

fn one(call: Call) -> Call {
    call.path("id", uuid("The `id` of a book."))
}

fn written(call: Call) -> Call {
    let headers = one(call).note(CONDITION_NOTE).header(CONDITIONAL_WRITE).header(EXCLUDING_WRITE);
    headers.refuses(&[PRECONDITION])
}

fn versioned(answer: Answer) -> Answer {
    answer.header("ETag", "For `If-Match`: another one after each change.")
}

fn kept(answer: Answer) -> Answer {
    answer
        .header("ETag", "For `If-None-Match` and, on one book, `If-Match`.")
        .header("Cache-Control", "To be kept by the client alone, and asked for again each time.")
}

fn orders() -> Vec<String> {
    Property::VARIANTS.iter().flat_map(|name| [(*name).to_owned(), format!("-{name}")]).collect()
}

fn details(required: &[&str]) -> ObjectBuilder {
    let name = |about, longest| text(about).min_length(Some(1)).max_length(Some(longest)).into();
    object(
        [
            ("author", name("Who wrote it.", AUTHOR_LENGTH)),
            ("country", name("Where.", NAME_LENGTH)),
            ("language", name("In which language.", NAME_LENGTH)),
            ("pages", integer("How many pages it has.", &PAGES).into()),
            ("title", name("Its title.", TITLE_LENGTH)),
            ("year", integer("When it was published; before the common era it is negative.", &YEARS).into()),
        ],
        required,
    )
    .description(Some(
        "Text is trimmed and can be seen, and has no control characters and no directional overrides or isolates.",
    ))
}

fn book() -> Schema {
    let id = object([("id", uuid("Never changes, never comes again.").into())], &["id"]);
    Schema::AllOf(AllOfBuilder::new().item(id).item(of("Details")).build())
}

fn example() -> Value {
    json!({
        "author": "Jane Austen",
        "country": "United Kingdom",
        "language": "English",
        "pages": 226,
        "title": "Pride and Prejudice",
        "year": 1813,
    })
}
