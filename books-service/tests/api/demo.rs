use futures_util::future::join_all;
use serde_json::json;

use crate::library::{Library, on_each};

const DEMO: [(&str, &str); 1] = [("DEMO_DATA", "true")];

#[tokio::test]
async fn a_demonstration_begins_with_three_books() {
    on_each(async |database| {
        let books = Library::start(&database.url, DEMO).await.member().get("/books").await.is(200);
        assert_eq!(books.each("title"), ["Things Fall Apart", "Fairy tales", "The Divine Comedy"]);
        assert_eq!(books.each("author"), ["Chinua Achebe", "Hans Christian Andersen", "Dante Alighieri"]);
        assert_eq!(books.each("country"), ["Nigeria", "Denmark", "Italy"]);
        assert_eq!(books.each("language"), ["English", "Danish", "Italian"]);
        assert_eq!(books.each("pages"), [209, 784, 928]);
        assert_eq!(books.each("year"), [1958, 1836, 1315]);
    })
    .await;
}

#[tokio::test]
async fn a_library_that_is_no_demonstration_begins_empty() {
    on_each(async |database| {
        let library = Library::start(&database.url, []).await;
        assert_eq!(library.member().get("/books").await.is(200).json(), json!([]));
    })
    .await;
}

#[tokio::test]
async fn instances_that_start_together_add_the_demo_books_once() {
    on_each(async |database| {
        let libraries = join_all((0..4).map(|_| Library::start(&database.url, DEMO))).await;
        for library in libraries {
            assert_eq!(library.member().get("/books").await.header("x-total-count"), "3");
        }
    })
    .await;
}

#[tokio::test]
async fn a_demo_book_that_was_removed_stays_removed() {
    on_each(async |database| {
        let library = Library::start(&database.url, DEMO).await;
        for id in library.member().get("/books").await.each("id") {
            library.admin().delete(&format!("/books/{}", id.as_str().unwrap())).await.is(204);
        }
        let library = Library::start(&database.url, DEMO).await;
        assert_eq!(library.member().get("/books").await.json(), json!([]));
    })
    .await;
}
