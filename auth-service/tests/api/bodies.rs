//! Rules for every body, on every route that reads one.

mod limits;

use reqwest::Method;
use serde_json::Value;

use crate::answer::Answer;
use crate::caller::Caller;
use crate::service::{GOOD, MEMBER, Service};

/// Routes that read a body, a member that they accept, and the status for an object without members.
const ROUTES: [(&str, &str, &str, u16); 9] = [
    ("POST", "/register", "username", 422),
    ("POST", "/login", "username", 422),
    ("POST", "/token", "token", 401),
    ("POST", "/refresh", "refreshToken", 401),
    ("POST", "/logout", "token", 401),
    ("PUT", "/me/password", "newPassword", 422),
    ("DELETE", "/me", "currentPassword", 422),
    ("POST", "/users", "role", 422),
    ("PATCH", "/users/1", "email", 422),
];

/// The caller for `path`: for a logout an access token is enough, so `admin` would end their own session.
fn caller<'a>(admin: &Caller<'a>, path: &str) -> Caller<'a> {
    if path == "/logout" { admin.service.nobody() } else { admin.clone() }
}

async fn ask(caller: &Caller<'_>, (method, path): (&str, &str), media_type: &str, body: &str) -> Answer {
    let caller = if media_type.is_empty() { caller.clone() } else { caller.clone().with("Content-Type", media_type) };
    caller.call(method.parse::<Method>().unwrap(), path, Some(body.to_owned())).await
}

#[tokio::test]
async fn a_body_is_one_json_object() {
    let service = Service::start([]).await;
    let admin = service.admin().await;
    let crowd = format!("{{{}}}", (0..100).map(|n| format!(r#""{n}":0"#)).collect::<Vec<_>>().join(","));
    let deep = format!(r#"{{"a":{}{}}}"#, "[".repeat(1000), "]".repeat(1000));
    for (method, path, member, _) in ROUTES {
        let admin = caller(&admin, path);
        let twice = format!(r#"{{"{member}":"one","{member}":"two"}}"#);
        let escaped = format!(r#"{{"{member}":"one","\u{:04x}{}":"two"}}"#, member.as_bytes()[0], &member[1..]);
        let number = format!(r#"{{"{member}":1}}"#);
        let flag = format!(r#"{{"{member}":true}}"#);
        let array = format!(r#"{{"{member}":["a"]}}"#);
        let object = format!(r#"{{"{member}":{{"$ne":""}}}}"#);
        let surrogate = format!(r#"{{"{member}":"\ud800"}}"#);
        for (body, why) in [
            ("{", "cut off"),
            ("[]", "an array"),
            (r#"[{"username":"john"}]"#, "an array with an object in it"),
            ("\"text\"", "a text"),
            ("null", "null"),
            ("1", "a number"),
            ("{} {}", "two objects"),
            ("{'a':1}", "no JSON"),
            ("username=john&password=x", "a form"),
            (" ", "white space"),
            ("\u{feff}{}", "a byte order mark"),
            (&twice, "a member twice"),
            (&escaped, "a member twice, once in disguise"),
            (r#"{"other":{"a":1,"a":2}}"#, "a member twice, where nobody looks"),
            (&number, "a number for a text"),
            (&flag, "a flag for a text"),
            (&array, "an array for a text"),
            (&object, "an object for a text"),
            (&surrogate, "half a character"),
            (&crowd, "a hundred members"),
            (&deep, "a thousand levels"),
        ] {
            println!("{method} {path}: {why}");
            ask(&admin, (method, path), "", body).await.fails(400, "malformed_body");
        }
    }
}

#[tokio::test]
async fn member_of_the_wrong_type_is_400_with_its_name() {
    let service = Service::start([]).await;
    let body = serde_json::json!({"username": 1, "email": [], "password": null});
    let answer = service.nobody().post("/register", &body).await.fails(400, "malformed_body");
    assert_eq!(answer.wrong_fields(), ["username", "email", "password"]);
    let body = serde_json::json!({"disabled": "yes", "role": true});
    let answer = service.admin().await.patch("/users/1", &body).await.fails(400, "malformed_body");
    assert_eq!(answer.wrong_fields(), ["role", "disabled"]);
}

#[tokio::test]
async fn body_of_another_media_type_is_415() {
    let service = Service::start([]).await;
    let admin = service.admin().await;
    for (method, path, _, good) in ROUTES {
        let admin = caller(&admin, path);
        for (media_type, accepted) in [
            ("application/json", true),
            ("Application/JSON", true),
            ("application/json; charset=utf-8", true),
            ("application/json;charset=\"UTF-8\"", true),
            ("application/json; charset=latin1", false),
            ("text/plain", false),
            ("text/json", false),
            ("application/x-www-form-urlencoded", false),
            ("application/problem+json", false),
            ("application/jsonp", false),
            ("x", false),
        ] {
            println!("{method} {path}: {media_type}");
            let answer = ask(&admin, (method, path), media_type, "{}").await;
            if ["/token", "/refresh"].contains(&path) && media_type.ends_with("urlencoded") {
                // A refresh may be a form, and {} is no valid form.
                assert_eq!(answer.is(400).json()["error"], "invalid_request");
            } else if accepted {
                answer.is(good);
            } else {
                assert_eq!(answer.fails(415, "unsupported_media_type").header("accept"), "application/json");
            }
        }
        let twice = admin.clone().with("Content-Type", "application/json").with("Content-Type", "application/json");
        ask(&twice, (method, path), "", "{}").await.fails(415, "unsupported_media_type");
        let packed = admin.clone().with("Content-Encoding", "gzip");
        let answer = ask(&packed, (method, path), "", "{}").await.fails(415, "unsupported_media_type");
        assert_eq!(answer.header("accept-encoding"), "identity");
    }
}

#[tokio::test]
async fn missing_body_is_400_where_required() {
    let service = Service::start([]).await;
    let admin = service.admin().await;
    for (method, path, _, good) in ROUTES {
        let admin = caller(&admin, path);
        println!("{method} {path}");
        let answer = admin.call(method.parse::<Method>().unwrap(), path, None).await;
        if good == 422 {
            answer.fails(400, "malformed_body")
        } else {
            answer.is(good)
        };
    }
    service.log_in(MEMBER).await;
    let body: Value = serde_json::json!({"username": "new", "password": GOOD});
    service.nobody().post("/register", &body).await.is(201);
}
