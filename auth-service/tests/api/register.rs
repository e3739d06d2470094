use futures_util::future::join_all;
use serde_json::json;

use crate::answer::names;
use crate::service::{GOOD, Service, new_name, text};

#[tokio::test]
async fn registration_makes_a_member() {
    let service = Service::start([]).await;
    let body = json!({"username": "Zoe", "password": GOOD, "email": "Zoe@Example.org"});
    let answer = service.nobody().post("/register", &body).await.is(201);
    assert_eq!(answer.header("location"), "/me");
    assert_eq!(answer.header("content-type"), "application/json");
    let body = answer.json();
    assert_eq!(names(&body), ["message", "user"]);
    assert_eq!(body["message"], "User registered successfully");
    let user = &body["user"];
    assert_eq!(names(user), ["createdAt", "email", "id", "role", "username"]);
    assert_eq!((&user["username"], &user["email"]), (&json!("zoe"), &json!("zoe@example.org")));
    assert_eq!(user["role"], "member");
    let created = text(&user["createdAt"]);
    assert!(created.len() == 24 && created.ends_with('Z'), "{created}");

    let pair = service.log_in(("zoe", GOOD)).await;
    assert_eq!(&service.bearer(&pair.access).get("/me").await.is(200).json(), user, "the response is the stored user");
}

#[tokio::test]
async fn closed_registration_leaves_new_users_to_admins() {
    let service = Service::start([("REGISTRATION", "false")]).await;
    let body = json!({"username": new_name(), "password": GOOD});
    service.nobody().post("/register", &body).await.fails(403, "registration_closed");
    service.admin().await.post("/users", &body).await.is(201);
}

#[tokio::test]
async fn registration_ignores_a_role_in_the_body() {
    let service = Service::start([]).await;
    for (name, more, why) in [
        ("ada", json!({"role": "admin"}), "a role"),
        ("bea", json!({"role": 1}), "a role of the wrong type"),
        ("cleo", json!({"admin": true, "isAdmin": true, "roles": ["admin"]}), "other names for it"),
        ("dora", json!({"id": "1", "sub": "1", "createdAt": "1970-01-01T00:00:00.000Z"}), "an id and a date"),
        ("elsa", json!({"disabled": true, "passwordHash": "x", "__proto__": {"role": "admin"}}), "whatever else"),
    ] {
        let mut body = json!({"username": name, "password": GOOD});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let user = service.nobody().post("/register", &body).await.is(201).json()["user"].clone();
        assert_eq!((&user["role"], &user["email"]), (&json!("member"), &json!(null)), "{why}");
        assert!(user["id"] != "1" && user["createdAt"] != "1970-01-01T00:00:00.000Z", "{why}: {user}");
        let access = service.log_in((name, GOOD)).await.access;
        service.bearer(&access).get("/users").await.fails(403, "insufficient_scope");
    }
}

#[tokio::test]
async fn every_field_that_is_refused_is_named() {
    let service = Service::start([]).await;
    let name = new_name();
    let long = GOOD.repeat(103);
    for (body, fields, why) in [
        (json!({}), &["username", "password"][..], "nothing"),
        (json!({"username": null, "password": null}), &["username", "password"], "null is nothing"),
        (json!({"username": "", "email": "", "password": ""}), &["username", "email", "password"], "empty texts"),
        (json!({"username": "ab", "password": GOOD}), &["username"], "a short name"),
        (json!({"username": "jo hn", "email": "john", "password": "short"}), &["username", "email", "password"], "all"),
        (json!({"username": " john", "password": GOOD}), &["username"], "a name is never repaired"),
        (json!({"username": "jöhn", "password": GOOD}), &["username"], "a name that is not ASCII"),
        (json!({"username": name, "password": GOOD, "email": "a@b"}), &["email"], "no email"),
        (json!({"username": name, "password": "vK7#qz!"}), &["password"], "7 characters"),
        (json!({"username": name, "password": long}), &["password"], "1030 bytes"),
        (json!({"username": name, "password": "Password@123"}), &["password"], "a tutorial's password"),
        (json!({"username": "zebulonquirke", "password": "zebulonquirke1"}), &["password"], "one's own name"),
    ] {
        println!("{why}");
        service.nobody().post("/register", &body).await.refuses(fields);
    }
    let answer = service.nobody().post("/register", &json!({"username": name, "password": "aaaaaaaaaaaa"})).await;
    let message = text(&answer.is(422).json()["errors"][0]["message"]);
    assert!(message.len() > "is too easy to guess. ".len(), "advice for the user: {message}");
}

#[tokio::test]
async fn a_password_is_taken_as_it_is_sent() {
    let service = Service::start([]).await;
    let spaced = format!("  {GOOD}  ");
    let long = "vK7#qz!Lw2".repeat(102) + "abcd";
    for (password, other, why) in [
        (spaced.as_str(), spaced.trim(), "white space at the ends"),
        ("жщ9éß電ñøæ\u{1F600}", "жщ9éß電ñøæ\u{1F601}", "any Unicode"),
        ("vK7#qz!Lw2\0right", "vK7#qz!Lw2\0wrong", "what comes after a NUL"),
        (&long, &long[..1023], "the last of 1024 bytes"),
    ] {
        let name = new_name();
        let body = json!({"username": name, "password": password});
        service.nobody().post("/register", &body).await.is(201);
        service.log_in((&name, password)).await;
        println!("{why}");
        service.try_log_in((&name, other)).await.is(401);
    }
}

#[tokio::test]
async fn taken_name_or_email_is_409() {
    let service = Service::start([]).await;
    let register = async |name: &str, email: &str| {
        let body = json!({"username": name, "password": GOOD, "email": email});
        service.nobody().post("/register", &body).await
    };
    register("ben", "ben@example.org").await.is(201);
    for (name, email, code, field, why) in [
        ("ben", "other@example.org", "username_taken", "username", "the same name"),
        ("BEN", "other@example.org", "username_taken", "username", "in another case"),
        ("benno", "ben@example.org", "email_taken", "email", "the same email"),
        ("benno", "Ben@Example.ORG", "email_taken", "email", "in another case"),
        ("john", "other@example.org", "username_taken", "username", "a demo person's"),
    ] {
        let answer = register(name, email).await.fails(409, code);
        assert_eq!(answer.wrong_fields(), [field], "{why}");
    }
    register("benno", "other@example.org").await.is(201);
}

#[tokio::test]
async fn one_of_concurrent_registrations_gets_the_name() {
    let service = Service::start([]).await;
    let body = json!({"username": "wanted", "password": GOOD});
    let caller = service.nobody();
    let answers = join_all((0..20).map(|_| caller.post("/register", &body))).await;
    let mut statuses: Vec<_> = answers.iter().map(|answer| answer.status.as_u16()).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [&[201][..], &[409; 19]].concat());
}
