use serde_json::json;

use super::MEMBERS;
use crate::answer::names;
use crate::service::{GOOD, Service, text};

#[tokio::test]
async fn an_admin_adds_people() {
    let service = Service::start([]).await;
    let admin = service.admin().await;
    let body = json!({"username": "Root", "password": GOOD, "email": "Root@example.org", "role": "admin", "id": "1"});
    let answer = admin.post("/users", &body).await.is(201);
    let added = answer.json();
    assert_eq!(names(&added), ["message", "user"]);
    assert_eq!(added["message"], "User added successfully");
    let user = &added["user"];
    assert_eq!(names(user), MEMBERS);
    assert_eq!(answer.header("location"), format!("/users/{}", text(&user["id"])));
    assert_eq!(&admin.get(answer.header("location")).await.is(200).json(), user);
    assert_eq!((&user["username"], &user["email"]), (&json!("root"), &json!("root@example.org")));
    assert_eq!((&user["role"], &user["disabled"]), (&json!("admin"), &json!(false)));
    let root = service.log_in(("root", GOOD)).await;
    service.bearer(&root.access).get("/users").await.is(200);

    let plain = admin.post("/users", &json!({"username": "plain", "password": GOOD})).await.is(201);
    assert_eq!(plain.json()["user"]["role"], "member", "the default is the lowest role");
    for (body, fields) in [
        (json!({}), &["username", "password"][..]),
        (
            json!({"username": "x", "password": "x", "email": "x", "role": "owner"}),
            &["role", "username", "email", "password"],
        ),
        (json!({"username": "other", "password": GOOD, "role": "Admin"}), &["role"]),
    ] {
        admin.post("/users", &body).await.refuses(fields);
    }
    let taken = json!({"username": "ROOT", "password": GOOD});
    admin.post("/users", &taken).await.fails(409, "username_taken");
    let taken = json!({"username": "other", "password": GOOD, "email": "root@example.org"});
    admin.post("/users", &taken).await.fails(409, "email_taken");
}

#[tokio::test]
async fn admin_patch_changes_only_the_given_members() {
    let service = Service::start([]).await;
    let admin = service.admin().await;
    let person = service.newcomer().await;
    let path = format!("/users/{}", person.id);
    let before = admin.get(&path).await.is(200).json();
    let mut expected = before.clone();
    for (change, why) in [
        (json!({"email": "Zoe@Example.org"}), "an email"),
        (json!({"role": "admin"}), "a role"),
        (json!({"role": "member", "disabled": true}), "two at once"),
        (
            json!({"disabled": false, "username": "other", "id": "1", "createdAt": "1970"}),
            "what cannot be changed is ignored",
        ),
        (json!({"email": null}), "no email any more"),
        (json!({"role": "member"}), "what is so already"),
        (json!({"role": null, "disabled": null, "password": null}), "null changes nothing else"),
    ] {
        for (name, value) in change.as_object().unwrap() {
            if ["role", "disabled", "email"].contains(&name.as_str()) && (name == "email" || !value.is_null()) {
                expected[name] = value.as_str().map_or_else(|| value.clone(), |text| text.to_lowercase().into());
            }
        }
        let after = admin.patch(&path, &change).await.is(200).json();
        assert_eq!(after, expected, "{why}");
        assert_eq!(admin.get(&path).await.json(), expected, "{why}");
    }
    for (change, fields, why) in [
        (json!({}), &["role"][..], "nothing to change"),
        (json!({"username": "other"}), &["role"], "nothing that can be changed"),
        (json!({"role": "owner"}), &["role"], "no role"),
        (json!({"email": "x"}), &["email"], "no email"),
        (json!({"password": "short"}), &["password"], "a short password"),
        (json!({"password": "Password@123"}), &["password"], "an easy password"),
        (json!({"role": "", "email": "", "password": ""}), &["role", "email", "password"], "all of it"),
    ] {
        println!("{why}");
        admin.patch(&path, &change).await.refuses(fields);
    }
    assert_eq!(admin.get(&path).await.json(), expected, "a refused change changes nothing");
}

#[tokio::test]
async fn taken_email_is_409() {
    let service = Service::start([]).await;
    let admin = service.admin().await;
    let (ann, ben) = (service.newcomer().await, service.newcomer().await);
    let email = json!({"email": "ann@example.org"});
    admin.patch(&format!("/users/{}", ann.id), &email).await.is(200);
    admin.patch(&format!("/users/{}", ann.id), &email).await.is(200);
    admin.patch(&format!("/users/{}", ben.id), &email).await.fails(409, "email_taken");
}
