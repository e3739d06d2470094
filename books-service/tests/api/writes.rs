use reqwest::Method;
use serde_json::json;

use crate::library::{a_book, book_with, on_each_database};

const NO_SUCH_BOOK: &str = "/books/0199a1b2-0000-7000-8000-000000000000";

#[tokio::test]
async fn a_book_is_added_and_read() {
    on_each_database(async |library| {
        let answer = library.admin().post("/books", &a_book()).await.is(201);
        let book = answer.json()["book"].clone();
        let path = format!("/books/{}", book["id"].as_str().unwrap());
        assert_eq!(answer.json()["message"], "Book added successfully");
        assert_eq!(answer.header("location"), path);
        assert_eq!(answer.header("cache-control"), "no-store");
        assert_eq!(book, book_with(&json!({"id": book["id"]})));

        let answer = library.member().get(&path).await.is(200);
        assert_eq!(answer.json(), book);
        assert!(answer.header("etag").starts_with("\"1-"), "{answer:?}");
        assert_eq!(answer.header("cache-control"), "private, no-cache");
        assert_eq!(answer.header("content-type"), "application/json");

        let head = library.member().call(Method::HEAD, "/books", None).await.is(200);
        let answer = library.member().get("/books").await.is(200);
        assert_eq!((head.body.as_str(), head.header("etag")), ("", answer.header("etag")));
        assert_eq!(head.header("content-length"), answer.body.len().to_string());
        assert_eq!(answer.json(), json!([book]));
        assert_eq!(answer.header("x-total-count"), "1");
        assert_eq!(answer.header("cache-control"), "private, no-cache");
        assert_eq!(answer.header("content-type"), "application/json");
        assert_eq!(answer.next(), None);
    })
    .await;
}

#[tokio::test]
async fn text_comes_back_as_it_was_written() {
    on_each_database(async |library| {
        for (title, why) in [
            ("ஒரு புத்தகம்", "Tamil"),
            ("كتاب ألف ليلة", "from right to left"),
            ("\u{1f4da}\u{200d}\u{1f409}", "four bytes a character"),
            ("e\u{301} and é", "composed and not"),
            ("'); DROP TABLE books; --", "SQL"),
            ("\"quoted\" \\ </script>", "JSON and HTML"),
            ("%00 %_ ${1} $1", "what looks like something"),
            (&"ΐ".repeat(500), "the longest, which folds to three times as much"),
            (&(0..500).filter_map(|i| char::from_u32(0x1d400 + i)).collect::<String>(), "the longest, all different"),
            (
                &(0..500).filter_map(|i| char::from_u32(0x3300 + i * i % 0x58)).collect::<String>(),
                "one that folds to far more",
            ),
            (&"\u{fdfa}".repeat(500), "one that folds to eighteen times as much"),
        ] {
            let book = library.add(book_with(&json!({"title": title, "author": format!("  {why}\t")}))).await;
            assert_eq!(book["title"], title, "{why}");
            assert_eq!(book["author"], why, "white space around a text is removed");
            let path = format!("/books/{}", book["id"].as_str().unwrap());
            assert_eq!(library.member().get(&path).await.is(200).json(), book, "{why}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_book_is_replaced() {
    on_each_database(async |library| {
        let book = library.add(a_book()).await;
        let path = format!("/books/{}", book["id"].as_str().unwrap());
        let new = json!({"author": "Homer", "country": "Greece", "language": "Greek", "pages": 1, "title": "Ὀδύσσεια",
            "year": -800, "id": "ignored", "added": 7});
        let answer = library.admin().put(&path, &new).await.is(200);
        let expected = json!({"author": "Homer", "country": "Greece", "language": "Greek", "pages": 1,
            "title": "Ὀδύσσεια", "year": -800, "id": book["id"]});
        assert_eq!(answer.json(), expected);
        assert!(answer.header("etag").starts_with("\"2-"), "{answer:?}");
        assert_eq!(library.member().get(&path).await.is(200).json(), expected);
        assert_eq!(library.member().get("/books?q=homer+odysseia").await.is(200).json(), json!([]));
        assert_eq!(library.member().get("/books?q=HOMER+ὈΔΎΣΣΕΙΑ").await.is(200).json(), json!([expected]));
    })
    .await;
}

#[tokio::test]
async fn some_of_a_book_is_changed() {
    on_each_database(async |library| {
        let book = library.add(a_book()).await;
        let path = format!("/books/{}", book["id"].as_str().unwrap());
        let mut expected = book;
        for (number, (name, value)) in [
            ("author", json!("Somebody Else")),
            ("country", json!("England")),
            ("language", json!("British English")),
            ("pages", json!(1)),
            ("title", json!("First Impressions")),
            ("year", json!(-10_000)),
        ]
        .into_iter()
        .enumerate()
        {
            let answer = library.admin().patch(&path, &json!({(name): value})).await.is(200);
            expected[name] = value;
            assert_eq!(answer.json(), expected);
            assert!(answer.header("etag").starts_with(&format!("\"{}-", number + 2)), "{answer:?}");
            assert_eq!(library.member().get(&path).await.is(200).json(), expected);
        }
    })
    .await;
}

#[tokio::test]
async fn a_book_is_removed() {
    on_each_database(async |library| {
        let (kept, gone) = (library.add(a_book()).await, library.add(a_book()).await);
        let path = format!("/books/{}", gone["id"].as_str().unwrap());
        let answer = library.admin().delete(&path).await.is(204);
        assert_eq!(answer.body, "");
        library.admin().delete(&path).await.problem(404, "not_found");
        library.member().get(&path).await.problem(404, "not_found");
        assert_eq!(library.member().get("/books").await.is(200).json(), json!([kept]));
    })
    .await;
}

#[tokio::test]
async fn a_book_that_is_not_there_is_not_found() {
    on_each_database(async |library| {
        let admin = library.admin().with("If-Match", "\"1\"");
        for path in [NO_SUCH_BOOK, "/books/1", "/books/%00", "/books/%ff", "/books/'", "/books/..%2fbooks"] {
            admin.get(path).await.problem(404, "not_found");
            admin.put(path, &a_book()).await.problem(404, "not_found");
            admin.patch(path, &json!({"pages": 1})).await.problem(404, "not_found");
            admin.delete(path).await.problem(404, "not_found");
        }
        assert_eq!(library.member().get("/books").await.header("x-total-count"), "0");
    })
    .await;
}
