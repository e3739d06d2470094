//! Users, managed by admins over HTTP.

mod changes;
mod rights;

use serde_json::json;
use uuid::Uuid;

use crate::answer::{Answer, names};
use crate::service::{GOOD, Service, text};

const MEMBERS: [&str; 6] = ["createdAt", "disabled", "email", "id", "role", "username"];

fn usernames(answer: &Answer) -> Vec<String> {
    answer.json().as_array().unwrap().iter().map(|user| text(&user["username"])).collect()
}

#[tokio::test]
async fn admin_lists_all_users() {
    let service = Service::start([]).await;
    let admin = service.admin().await;
    let person = service.newcomer().await;
    let answer = admin.get("/users").await.is(200);
    assert_eq!(usernames(&answer), ["john", "anna", &person.name], "in the order of creation");
    assert_eq!(answer.header("x-total-count"), "3");
    assert_eq!(answer.header("content-type"), "application/json");
    assert_eq!(answer.next(), None);
    for user in answer.json().as_array().unwrap() {
        assert_eq!(names(user), MEMBERS);
        let one = admin.get(&format!("/users/{}", text(&user["id"]))).await.is(200);
        assert_eq!(&one.json(), user);
    }
}

#[tokio::test]
async fn a_list_comes_in_pages() {
    let service = Service::start([]).await;
    let admin = service.admin().await;
    for number in 0..5 {
        let body =
            json!({"username": format!("reader{number}"), "password": GOOD, "email": format!("r{number}@example.org")});
        service.nobody().post("/register", &body).await.is(201);
    }
    let mut path = "/users?limit=2&q=reader".to_owned();
    let mut seen = Vec::new();
    for (count, last) in [(2, false), (2, false), (1, true)] {
        let page = admin.get(&path).await.is(200);
        assert_eq!(page.header("x-total-count"), "5");
        assert_eq!(usernames(&page).len(), count);
        seen.extend(usernames(&page));
        assert_eq!(page.next().is_none(), last);
        path = page.next().unwrap_or_default();
    }
    assert_eq!(seen, ["reader0", "reader1", "reader2", "reader3", "reader4"]);
    for (query, expected, why) in [
        ("q=READER3", &["reader3"][..], "any case"),
        ("q=r4%40example.org", &["reader4"], "an email"),
        ("q=%25", &[], "no wildcard"),
        ("q=_eader", &[], "no wildcard either"),
        ("q=a%00b", &[], "NUL"),
        ("q=&limit=2", &["john", "anna"], "an empty text is none"),
        ("other=1&limit=1", &["john"], "an unknown parameter"),
    ] {
        let answer = admin.get(&format!("/users?{query}")).await.is(200);
        assert_eq!(usernames(&answer), expected, "{why}");
    }
    for (query, fields, why) in [
        ("limit=0", &["limit"][..], "no page is empty"),
        ("limit=1001", &["limit"], "too many"),
        ("limit=two", &["limit"], "no number"),
        ("limit=1&limit=2", &["limit"], "twice"),
        ("cursor=x", &["cursor"], "a cursor that no page gave"),
        ("limit=-1&cursor=%00", &["limit", "cursor"], "both"),
    ] {
        println!("{why}");
        admin.get(&format!("/users?{query}")).await.refuses(fields);
    }
}

#[tokio::test]
async fn unknown_user_is_404() {
    let service = Service::start([]).await;
    let admin = service.admin().await;
    for id in [Uuid::now_v7().to_string(), "1".into(), "%00".into(), "%ff".into(), "'".into(), "x".repeat(4000)] {
        let path = format!("/users/{id}");
        admin.get(&path).await.fails(404, "not_found");
        admin.patch(&path, &json!({"role": "admin"})).await.fails(404, "not_found");
        admin.patch(&path, &json!({"password": GOOD})).await.fails(404, "not_found");
        admin.delete(&path).await.fails(404, "not_found");
        admin.delete(&format!("{path}/sessions")).await.fails(404, "not_found");
    }
}
