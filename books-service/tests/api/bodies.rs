use reqwest::Method;
use serde_json::{Value, json};

use crate::library::{Library, a_book, book_with, on_each_database};

/// A field, a value, true if the value is accepted, the reason.
fn values() -> Vec<(&'static str, Value, bool, &'static str)> {
    let letters = |count: usize| Value::from("ß".repeat(count));
    vec![
        ("title", letters(500), true, "the longest"),
        ("title", letters(501), false, "too long"),
        ("title", json!("  \u{3000} "), false, "blank"),
        ("title", json!(""), false, "empty"),
        ("title", json!("a\u{0}b"), false, "NUL"),
        ("title", json!("a\nb"), false, "a line break"),
        ("title", json!("a\u{2028}b"), false, "a line separator"),
        ("author", json!("a\u{2029}b"), false, "a paragraph separator"),
        ("title", json!("\u{200b}\u{ad}"), false, "invisible"),
        ("title", json!("a\u{202e}b"), false, "a directional override"),
        ("title", json!("\u{2067}a\u{2069}"), false, "a directional isolate"),
        ("title", json!("\u{200f}א\u{200d}"), true, "a mark of direction and a joiner"),
        ("author", json!("\u{feff}"), false, "invisible"),
        ("author", json!("\u{202b}a"), false, "a directional embedding"),
        ("country", json!("\u{3164}"), false, "invisible"),
        ("country", json!("a\u{2068}"), false, "a directional isolate"),
        ("language", json!("\u{2060}"), false, "invisible"),
        ("language", json!("a\u{202d}"), false, "a directional override"),
        ("title", Value::Null, false, "null"),
        ("author", letters(200), true, "the longest"),
        ("author", letters(201), false, "too long"),
        ("country", letters(100), true, "the longest"),
        ("country", letters(101), false, "too long"),
        ("language", letters(100), true, "the longest"),
        ("language", letters(101), false, "too long"),
        ("language", json!("Klingon"), true, "a language that no list knows"),
        ("pages", json!(1), true, "the fewest"),
        ("pages", json!(0), false, "no page"),
        ("pages", json!(-1), false, "fewer than none"),
        ("pages", json!(1_000_000), true, "the most"),
        ("pages", json!(1_000_001), false, "too many"),
        ("pages", json!(u64::MAX), false, "beyond every integer"),
        ("pages", json!(1e30), false, "farther beyond"),
        ("pages", json!(226.0), true, "an integer with a fraction of zero"),
        ("pages", json!(0.0), false, "no page, with a fraction"),
        ("year", json!(-0.0), true, "zero with a sign"),
        ("year", json!(-1e30), false, "before every integer"),
        ("pages", Value::Null, false, "null"),
        ("year", json!(-10_000), true, "the first"),
        ("year", json!(-10_001), false, "before the first"),
        ("year", json!(0), true, "astronomers have it"),
        ("year", json!(9999), true, "the last"),
        ("year", json!(10_000), false, "after the last"),
    ]
}

#[tokio::test]
async fn every_field_has_its_rule() {
    on_each_database(async |library| {
        let path = format!("/books/{}", library.add(a_book()).await["id"].as_str().unwrap());
        let admin = library.admin();
        for (field, value, taken, why) in values() {
            println!("{field}: {why}");
            let part = json!({(field): value});
            let whole = book_with(&part);
            let (ok, created) = if taken { (200, 201) } else { (422, 422) };
            for answer in [
                admin.post("/books", &whole).await.is(created),
                admin.put(&path, &whole).await.is(ok),
                admin.patch(&path, &part).await.is(ok),
            ] {
                if !taken {
                    assert_eq!(answer.problem(422, "validation_failed").wrong_fields(), [field]);
                }
            }
        }
    })
    .await;
}

#[tokio::test]
async fn every_violation_is_named() {
    on_each_database(async |library| {
        let path = format!("/books/{}", library.add(a_book()).await["id"].as_str().unwrap());
        let admin = library.admin();
        let all = ["author", "country", "language", "pages", "title", "year"];
        for (body, fields, why) in [
            (json!({}), all.to_vec(), "everything is missing"),
            (json!({"author": "", "pages": 0}), all.to_vec(), "wrong and missing"),
            (book_with(&json!({"author": " ", "year": 12345})), vec!["author", "year"], "two of six"),
        ] {
            for answer in [admin.post("/books", &body).await, admin.put(&path, &body).await] {
                assert_eq!(answer.problem(422, "validation_failed").wrong_fields(), fields, "{why}");
            }
        }
        let answer = admin.patch(&path, &json!({"author": " ", "year": 12345})).await;
        assert_eq!(answer.problem(422, "validation_failed").wrong_fields(), ["author", "year"]);
        for nothing in [json!({}), json!({"isbn": "0-00"})] {
            admin.patch(&path, &nothing).await.problem(422, "validation_failed");
        }
        unchanged(&library, &path).await;
    })
    .await;
}

#[tokio::test]
async fn a_body_of_another_shape_is_refused() {
    on_each_database(async |library| {
        let path = format!("/books/{}", library.add(a_book()).await["id"].as_str().unwrap());
        let twice = a_book().to_string().replace('{', r#"{"pages":1,"#);
        for (body, why) in [
            (String::new(), "nothing"),
            ("{".to_owned(), "no JSON"),
            ("[]".to_owned(), "no object"),
            ("null".to_owned(), "null"),
            (format!("{} {{}}", a_book()), "more than one"),
            (twice, "a member twice"),
            (book_with(&json!({"pages": "226"})).to_string(), "text for a number"),
            (book_with(&json!({"pages": 2.5})).to_string(), "a fraction"),
            (book_with(&json!({"year": -0.5})).to_string(), "a small fraction"),
            (a_book().to_string().replace("226", "2.265e2"), "a fraction with an exponent"),
            (a_book().to_string().replace("226", "1e999"), "a number beyond any"),
            (book_with(&json!({"title": 1984})).to_string(), "a number for text"),
            (book_with(&json!({"title": ["a"]})).to_string(), "an array for text"),
        ] {
            println!("{why}");
            for (method, path) in [(Method::POST, "/books"), (Method::PUT, &path), (Method::PATCH, &path)] {
                library.admin().call(method, path, Some(body.clone())).await.problem(400, "malformed_body");
            }
        }
        unchanged(&library, &path).await;
    })
    .await;
}

#[tokio::test]
async fn integer_counts_in_any_spelling() {
    on_each_database(async |library| {
        let path = format!("/books/{}", library.add(a_book()).await["id"].as_str().unwrap());
        for spelling in ["226.0", "2.26e2", "2260e-1", "226.000000000000000000000000", "2.26E+2", "22600000e-5"] {
            let book = a_book().to_string().replace("226", spelling);
            for (method, path) in [(Method::POST, "/books"), (Method::PUT, &path), (Method::PATCH, &path)] {
                let answer = library.admin().call(method, path, Some(book.clone())).await.json();
                assert!(answer["pages"] == 226 || answer["book"]["pages"] == 226, "{spelling}: {answer}");
            }
        }
        for number in ["1000001", "1e30", "123456789012345678901234567890", "1000001.0"] {
            let answer = library.admin().post("/books", &book_with(&json!({"pages": 0}))).await;
            let told = answer.problem(422, "validation_failed").body;
            assert!(told.contains("must be from 1 to 1000000"), "{number}: {told}");
            let book = a_book().to_string().replace("226", number);
            let answer = library.admin().call(Method::PATCH, &path, Some(book)).await;
            let told = answer.problem(422, "validation_failed").body;
            assert!(told.contains("must be from 1 to 1000000"), "{number}: {told}");
            let answer = library.member().get(&format!("/books?limit={}", number.trim_end_matches(".0"))).await;
            answer.problem(422, "validation_failed");
        }
        let answer = library.member().get("/books?limit=123456789012345678901234567890").await;
        assert!(answer.problem(422, "validation_failed").body.contains("must be from 1 to 1000"));
    })
    .await;
}

#[tokio::test]
async fn change_may_be_a_merge_patch() {
    on_each_database(async |library| {
        let path = format!("/books/{}", library.add(a_book()).await["id"].as_str().unwrap());
        let patches = "application/json, application/merge-patch+json";
        let options = library.nobody().call(Method::OPTIONS, &path, None).await.is(204);
        assert_eq!(options.header("accept-patch"), patches);
        let options = library.nobody().call(Method::OPTIONS, "/books", None).await.is(204);
        assert!(!options.headers.contains_key("accept-patch"), "this resource does not support PATCH");
        for media_type in ["application/merge-patch+json", "Application/Merge-Patch+JSON; charset=utf-8"] {
            let admin = library.admin().with("Content-Type", media_type);
            assert_eq!(admin.patch(&path, &json!({"pages": 7})).await.is(200).json()["pages"], 7);
            let answer = admin.patch(&path, &json!({"title": null})).await.problem(422, "validation_failed");
            assert_eq!(answer.wrong_fields(), ["title"], "a merge patch cannot remove a title");
            admin.put(&path, &a_book()).await.problem(415, "unsupported_media_type");
            admin.post("/books", &a_book()).await.problem(415, "unsupported_media_type");
        }
        for media_type in ["application/json-patch+json", "text/plain", "application/merge-patch+json; charset=latin1"]
        {
            let admin = library.admin().with("Content-Type", media_type);
            let answer = admin.patch(&path, &json!({"pages": 8})).await.problem(415, "unsupported_media_type");
            assert_eq!(answer.header("accept-patch"), patches);
            let answer = admin.put(&path, &a_book()).await.problem(415, "unsupported_media_type");
            assert!(!answer.headers.contains_key("accept-patch"));
        }
        let packed = library.admin().with("Content-Encoding", "gzip");
        let answer = packed.patch(&path, &json!({"pages": 8})).await.problem(415, "unsupported_media_type");
        assert_eq!((answer.header("accept-patch"), answer.header("accept-encoding")), (patches, "identity"));
    })
    .await;
}

#[tokio::test]
async fn a_body_is_json_and_not_too_large() {
    on_each_database(async |library| {
        let path = format!("/books/{}", library.add(a_book()).await["id"].as_str().unwrap());
        let large = || Some(book_with(&json!({"more": "x".repeat(64 * 1024)})).to_string());
        let plain = library.admin().with("Content-Type", "text/plain");
        let packed = library.admin().with("Content-Encoding", "gzip");
        for (method, path) in [(Method::POST, "/books"), (Method::PUT, &path), (Method::PATCH, &path)] {
            let book = Some(a_book().to_string());
            plain.call(method.clone(), path, book.clone()).await.problem(415, "unsupported_media_type");
            packed.call(method.clone(), path, book).await.problem(415, "unsupported_media_type");
            library.admin().call(method, path, large()).await.problem(413, "content_too_large");
        }
        unchanged(&library, &path).await;
    })
    .await;
}

/// Fails unless the book at `path` is the only one, and unchanged.
async fn unchanged(library: &Library, path: &str) {
    let answer = library.member().get(path).await.is(200);
    assert!(answer.header("etag").starts_with("\"1-"), "{answer:?}");
    assert_eq!(library.member().get("/books").await.is(200).header("x-total-count"), "1");
}
