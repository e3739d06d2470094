use futures_util::future::join_all;
use reqwest::Method;
use serde_json::json;

use crate::library::{a_book, book_with, on_each_database};

#[tokio::test]
async fn a_change_happens_only_to_the_version_it_is_meant_for() {
    on_each_database(async |library| {
        let path = format!("/books/{}", library.add(a_book()).await["id"].as_str().unwrap());
        let body = a_book().to_string();
        let changes = [(Method::PUT, Some(body.clone())), (Method::PATCH, Some(body)), (Method::DELETE, None)];
        let mut old = "\"0\"".to_owned();
        for (method, body) in changes {
            let tag = library.member().get(&path).await.header("etag").to_owned();
            let (weak, new) = (format!("W/{tag}"), format!("{old}, {tag}"));
            for (condition, why) in [(&*old, "another version"), (&weak, "a weak tag"), ("", "no tag"), ("7", "no tag")]
            {
                println!("{method}: {why}");
                let caller = library.admin().with("If-Match", condition);
                caller.call(method.clone(), &path, body.clone()).await.problem(412, "precondition_failed");
            }
            let status = if method == Method::DELETE { 204 } else { 200 };
            library.admin().with("If-Match", new).call(method, &path, body).await.is(status);
            old = tag;
        }
    })
    .await;
}

#[tokio::test]
async fn excluded_version_is_not_changed() {
    on_each_database(async |library| {
        let path = format!("/books/{}", library.add(a_book()).await["id"].as_str().unwrap());
        let old = library.member().get(&path).await.is(200).header("etag").to_owned();
        library.admin().patch(&path, &json!({"pages": 2})).await.is(200);
        let before = library.member().get(&path).await.is(200);
        let now = before.header("etag");
        let (weak, list, later) = (format!("W/{now}"), format!("{old}, {now}"), format!("\"é\", {now}"));
        let body = book_with(&json!({"pages": 3})).to_string();
        let methods = [(Method::PUT, Some(body.clone())), (Method::PATCH, Some(body)), (Method::DELETE, None)];
        let excluding = [
            (&[("If-None-Match", "*")][..], "any version"),
            (&[("If-None-Match", now)], "the book's tag"),
            (&[("If-None-Match", &*weak)], "the book's tag, weak"),
            (&[("If-None-Match", &list)], "a list with the book's tag"),
            (&[("If-None-Match", &old), ("If-None-Match", now)], "the same in two lines"),
            (&[("If-None-Match", &later)], "after a tag that is not ASCII"),
            (&[("If-Match", now), ("If-None-Match", now)], "the book's tag in both"),
            (&[("If-Match", "*"), ("If-None-Match", "*")], "any in both"),
            (&[("If-Match", &old), ("If-None-Match", &old)], "If-Match has another tag"),
        ];
        for (method, body) in &methods {
            for (headers, why) in excluding {
                println!("{method}: {why}");
                let caller = headers.iter().fold(library.admin(), |caller, (name, value)| caller.with(name, value));
                let answer = caller.call(method.clone(), &path, body.clone()).await;
                answer.problem(412, "precondition_failed");
                let after = library.member().get(&path).await.is(200);
                assert_eq!((after.json(), after.header("etag")), (before.json(), before.header("etag")), "{why}");
            }
        }
        for ((method, body), tags) in methods.into_iter().zip([format!("{old}, W/\"3\""), "\"02\"".to_owned(), list]) {
            let status = if method == Method::DELETE { 204 } else { 200 };
            let now = library.member().get(&path).await.header("etag").to_owned();
            let admin = library.admin().with("If-Match", format!("{old}, {now}")).with("If-None-Match", tags);
            admin.call(method, &path, body).await.is(status);
        }
        let any = library.admin().with("If-None-Match", "*");
        any.put(&path, &a_book()).await.problem(404, "not_found");
        any.post("/books", &json!({"title": ""})).await.problem(422, "validation_failed");
        any.post("/books", &a_book()).await.is(201);
    })
    .await;
}

#[tokio::test]
async fn if_match_star_accepts_every_version() {
    on_each_database(async |library| {
        let path = format!("/books/{}", library.add(a_book()).await["id"].as_str().unwrap());
        let any = library.admin().with("If-Match", "*");
        any.put(&path, &a_book()).await.is(200);
        any.patch(&path, &json!({"pages": 1})).await.is(200);
        any.delete(&path).await.is(204);
        any.delete(&path).await.problem(404, "not_found");
    })
    .await;
}

#[tokio::test]
async fn one_of_concurrent_changes_of_a_version_succeeds() {
    on_each_database(async |library| {
        let path = format!("/books/{}", library.add(a_book()).await["id"].as_str().unwrap());
        for _ in 1..=5 {
            let tag = library.member().get(&path).await.header("etag").to_owned();
            let editor = library.admin().with("If-Match", tag);
            let edits = (1..=10).map(|pages| {
                let (editor, path) = (&editor, &path);
                async move { (pages, editor.patch(path, &json!({"pages": pages})).await) }
            });
            let answers = join_all(edits).await;
            let (won, lost): (Vec<_>, Vec<_>) = answers.into_iter().partition(|(_, answer)| answer.status == 200);
            let [(pages, _)] = &won[..] else { panic!("{} winners", won.len()) };
            assert_eq!(library.member().get(&path).await.json()["pages"], *pages);
            for (_, answer) in lost {
                answer.problem(412, "precondition_failed");
            }
        }
    })
    .await;
}

#[tokio::test]
async fn edits_without_a_condition_all_count() {
    on_each_database(async |library| {
        let path = format!("/books/{}", library.add(a_book()).await["id"].as_str().unwrap());
        let admin = library.admin();
        let edits = [json!({"title": "A"}), json!({"pages": 7}), json!({"year": -7}), json!({"language": "B"})];
        join_all(edits.iter().map(async |edit| admin.patch(&path, edit).await.is(200))).await;
        let answer = library.member().get(&path).await.is(200);
        assert!(answer.header("etag").starts_with("\"5-"), "{answer:?}");
        let edited =
            book_with(&json!({"title": "A", "pages": 7, "year": -7, "language": "B", "id": answer.json()["id"]}));
        assert_eq!(answer.json(), edited);
    })
    .await;
}

#[tokio::test]
async fn current_etag_is_304() {
    on_each_database(async |library| {
        let path = format!("/books/{}", library.add(a_book()).await["id"].as_str().unwrap());
        for address in [&path, "/books", "/books?limit=1", "/books?q=nothing"] {
            let tag = library.member().get(address).await.is(200).header("etag").to_owned();
            assert!(tag.starts_with('"') && tag.ends_with('"'), "a strong tag: {tag}");
            for (condition, known, why) in [
                (tag.clone(), true, "the tag"),
                (format!("W/{tag}"), true, "the tag, weakened on the way"),
                (format!("\"x\", {tag}"), true, "in a list"),
                ("*".to_owned(), true, "any"),
                ("\"x\"".to_owned(), false, "another"),
                (tag.trim_matches('"').to_owned(), false, "no tag"),
            ] {
                println!("{address}: {why}");
                let answer = library.member().with("If-None-Match", condition).get(address).await;
                let answer = answer.is(if known { 304 } else { 200 });
                assert_eq!(answer.body.is_empty(), known);
                assert_eq!(answer.header("etag"), tag);
                assert_eq!(answer.header("cache-control"), "private, no-cache");
            }
        }
        library.member().with("If-None-Match", "*").get("/books/1").await.problem(404, "not_found");
    })
    .await;
}

#[tokio::test]
async fn a_page_has_another_tag_when_anything_of_it_changes() {
    on_each_database(async |library| {
        let first = library.add(a_book()).await;
        let path = format!("/books/{}", first["id"].as_str().unwrap());
        let mut tags = vec![library.member().get("/books?limit=1").await.header("etag").to_owned()];
        library.add(a_book()).await;
        let answer = library.member().get("/books?limit=1").await;
        assert_eq!(answer.json(), json!([first]), "the page has the same books, but now a next page exists");
        tags.push(answer.header("etag").to_owned());
        library.add(a_book()).await;
        tags.push(library.member().get("/books?limit=1").await.header("etag").to_owned());
        library.admin().patch(&path, &json!({"pages": 1})).await.is(200);
        tags.push(library.member().get("/books?limit=1").await.header("etag").to_owned());
        library.admin().delete(&path).await.is(204);
        tags.push(library.member().get("/books?limit=1").await.header("etag").to_owned());
        let all = tags.len();
        tags.sort();
        tags.dedup();
        assert_eq!(tags.len(), all);
    })
    .await;
}
