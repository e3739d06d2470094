use futures_util::future::join_all;
use serde_json::json;

use crate::library::{Library, a_book, on_each};

const WRITERS: usize = 8;
const WRITES: i64 = 250;

/// Writes through one service and reads through both. Fails if a list is older than the write.
async fn write_and_read(write: &Library, other: &Library) {
    let id = write.add(a_book()).await["id"].clone();
    let path = format!("/books/{}", id.as_str().unwrap());
    let admin = write.admin();
    for pages in 1..=WRITES {
        admin.patch(&path, &json!({"pages": pages})).await.is(200);
        for library in [other, write] {
            let list = library.member().get("/books").await.is(200).json();
            let book = list.as_array().unwrap().iter().find(|book| book["id"] == id);
            assert_eq!(book.expect("an added book is listed")["pages"], pages);
        }
    }
    admin.delete(&path).await.is(204);
    assert!(!other.member().get("/books").await.is(200).each("id").contains(&id), "a removed book is not listed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_list_is_older_than_the_request_for_it() {
    on_each(async |database| {
        let (a, b) = (Library::start(&database.url, []).await, Library::start(&database.url, []).await);
        join_all((0..WRITERS).map(|_| write_and_read(&a, &b))).await;
    })
    .await;
}

#[tokio::test]
async fn unavailable_database_is_503_and_no_cached_list() {
    on_each(async |database| {
        let library = Library::start(&database.url, [("DEMO_DATA", "true")]).await;
        library.member().get("/books").await.is(200);
        database.execute("ALTER TABLE catalogue RENAME TO elsewhere").await;
        let answer = library.member().get("/books").await.problem(503, "unavailable");
        assert_eq!(answer.header("retry-after"), "1");
        library.admin().post("/books", &a_book()).await.problem(503, "unavailable");
        library.nobody().get("/readyz").await.problem(503, "not_ready");
        library.nobody().get("/livez").await.is(200);
        database.execute("ALTER TABLE elsewhere RENAME TO catalogue").await;
        assert_eq!(library.member().get("/books").await.is(200).header("x-total-count"), "3");
    })
    .await;
}
