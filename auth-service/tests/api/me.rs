use futures_util::future::join_all;
use serde_json::json;

use crate::answer::names;
use crate::service::{ADMIN, GOOD, MEMBER, Service, on_each_store};

const NEW: &str = "Mz4?tuRnip-9";

#[tokio::test]
async fn every_user_can_read_their_account() {
    let service = Service::start([]).await;
    for ((name, password), role) in [(MEMBER, "member"), (ADMIN, "admin")] {
        let access = service.log_in((name, password)).await.access;
        let me = service.bearer(&access).get("/me").await.is(200).json();
        assert_eq!(names(&me), ["createdAt", "email", "id", "role", "username"]);
        assert_eq!((&me["username"], &me["role"], &me["email"]), (&json!(name), &json!(role), &json!(null)));
    }
}

#[tokio::test]
async fn access_token_of_a_deleted_account_is_401() {
    let service = Service::start([]).await;
    let admin = service.admin().await;
    for (method, why) in [("PATCH", "disabled"), ("DELETE", "deleted")] {
        println!("{why}");
        let person = service.newcomer().await;
        let path = format!("/users/{}", person.id);
        match method {
            "PATCH" => admin.patch(&path, &json!({"disabled": true})).await.is(200),
            _ => admin.delete(&path).await.is(204),
        };
        let caller = service.bearer(&person.pair.access);
        let answer = caller.get("/me").await.fails(401, "invalid_token");
        assert!(answer.header("www-authenticate").starts_with(r#"Bearer error="invalid_token", error_description="#));
        let change = json!({"currentPassword": GOOD, "newPassword": NEW});
        caller.put("/me/password", &change).await.fails(401, "invalid_token");
        caller.delete_with("/me", &json!({"currentPassword": GOOD})).await.fails(401, "invalid_token");
        caller.get("/me/sessions").await.fails(401, "invalid_token");
        caller.delete("/me/sessions").await.fails(401, "invalid_token");
    }
}

#[tokio::test]
async fn a_new_password_ends_all_sessions_but_this_one() {
    on_each_store([], async |service| {
        let person = service.newcomer().await;
        let name = person.name.as_str();
        let (phone, tablet) = (service.log_in((name, GOOD)).await, service.log_in((name, GOOD)).await);
        let other = service.log_in(MEMBER).await;
        let caller = service.bearer(&person.pair.access);
        let body = json!({"currentPassword": GOOD, "newPassword": NEW});
        let answer = caller.put("/me/password", &body).await.is(204);
        assert_eq!(answer.body, "");

        assert_eq!(service.devices(&person.pair.access).await.len(), 1);
        for pair in [&phone, &tablet] {
            service.refresh(&pair.refresh).await.fails(403, "invalid_refresh_token");
        }
        service.refresh(&person.pair.refresh).await.is(200);
        service.refresh(&other.refresh).await.is(200);
        service.try_log_in((name, GOOD)).await.fails(401, "invalid_credentials");
        service.log_in((name, NEW)).await;
        caller.put("/me/password", &body).await.fails(401, "invalid_credentials");
    })
    .await;
}

#[tokio::test]
async fn password_change_needs_the_current_and_a_strong_new_password() {
    let service = Service::start([]).await;
    let person = service.newcomer().await;
    let phone = service.log_in((&person.name, GOOD)).await;
    let caller = service.bearer(&person.pair.access);
    for (body, fields, why) in [
        (json!({}), &["currentPassword", "newPassword"][..], "nothing"),
        (json!({"currentPassword": GOOD}), &["newPassword"], "no new one"),
        (json!({"newPassword": NEW}), &["currentPassword"], "no current one"),
        (json!({"currentPassword": GOOD, "newPassword": "short"}), &["newPassword"], "too short"),
        (json!({"currentPassword": GOOD, "newPassword": "Password@123"}), &["newPassword"], "easy to guess"),
        (json!({"currentPassword": GOOD, "newPassword": person.name}), &["newPassword"], "one's own name"),
    ] {
        println!("{why}");
        caller.put("/me/password", &body).await.refuses(fields);
    }
    let wrong = json!({"currentPassword": NEW, "newPassword": NEW});
    caller.put("/me/password", &wrong).await.fails(401, "invalid_credentials");
    service.log_in((&person.name, GOOD)).await;
    service.refresh(&phone.refresh).await.is(200);
}

/// The device whose change came too late must not end the session of the other one.
#[tokio::test]
async fn two_devices_that_set_a_new_password_at_once_keep_one_session() {
    on_each_store([], async |service| {
        for _ in 0..10 {
            let person = service.newcomer().await;
            let devices = [person.pair.clone(), service.log_in((&person.name, GOOD)).await];
            let body = json!({"currentPassword": GOOD, "newPassword": NEW});
            let callers = devices.each_ref().map(|pair| service.bearer(&pair.access));
            let answers = tokio::join!(callers[0].put("/me/password", &body), callers[1].put("/me/password", &body));
            for (answer, pair) in [answers.0, answers.1].into_iter().zip(&devices) {
                if answer.status == 204 {
                    service.refresh(&pair.refresh).await.is(200);
                } else {
                    assert_eq!(answer.status, 401, "{answer:?}");
                }
            }
        }
    })
    .await;
}

#[tokio::test]
async fn a_login_beside_a_new_password_leaves_no_session_of_the_old_one() {
    on_each_store([], async |service| {
        for round in 0..10 {
            let person = service.newcomer().await;
            let caller = service.bearer(&person.pair.access);
            let body = json!({"currentPassword": GOOD, "newPassword": NEW});
            let logins = |count| join_all((0..count).map(|_| service.try_log_in((&person.name, GOOD))));
            let change = caller.put("/me/password", &body);
            let (before, change, after) = tokio::join!(logins(round), change, logins(10 - round));
            change.is(204);
            for answer in before.into_iter().chain(after) {
                if answer.status == 200 {
                    service.refresh(&answer.pair().refresh).await.fails(403, "invalid_refresh_token");
                } else {
                    answer.fails(401, "invalid_credentials");
                }
            }
            let devices = service.devices(&person.pair.access).await;
            assert_eq!(devices.len(), 1, "{devices:?}");
            assert_eq!(devices[0]["current"], true);
        }
    })
    .await;
}

#[tokio::test]
async fn one_of_concurrent_password_changes_succeeds() {
    on_each_store([("ACCOUNT_FAILURE_LIMIT", "0")], async |service| {
        let person = service.newcomer().await;
        let caller = service.bearer(&person.pair.access);
        let new: Vec<_> = (0..8).map(|number| format!("{NEW}{number}{number}")).collect();
        let bodies: Vec<_> = new.iter().map(|new| json!({"currentPassword": GOOD, "newPassword": new})).collect();
        let answers = join_all(bodies.iter().map(|body| caller.put("/me/password", body))).await;
        let mut works = Vec::new();
        for (answer, new) in answers.into_iter().zip(&new) {
            let works_now = service.try_log_in((&person.name, new)).await.status == 200;
            if answer.status == 204 {
                assert!(works_now, "{new} was acknowledged and must work");
            } else {
                answer.fails(401, "invalid_credentials");
            }
            works.extend(works_now.then_some(new));
        }
        assert_eq!(works.len(), 1, "{works:?}");
        service.try_log_in((&person.name, GOOD)).await.is(401);
    })
    .await;
}

#[tokio::test]
async fn deleted_account_ends_all_its_sessions() {
    on_each_store([], async |service| {
        let person = service.newcomer().await;
        let phone = service.log_in((&person.name, GOOD)).await;
        let caller = service.bearer(&person.pair.access);
        caller.delete_with("/me", &json!({})).await.refuses(&["currentPassword"]);
        caller.delete_with("/me", &json!({"currentPassword": NEW})).await.fails(401, "invalid_credentials");
        service.refresh(&phone.refresh).await.is(200);

        let answer = caller.delete_with("/me", &json!({"currentPassword": GOOD})).await.is(204);
        assert_eq!(answer.body, "");
        caller.get("/me").await.fails(401, "invalid_token");
        service.bearer(&phone.access).get("/me/sessions").await.fails(401, "invalid_token");
        service.refresh(&person.pair.refresh).await.fails(403, "invalid_refresh_token");
        service.try_log_in((&person.name, GOOD)).await.fails(401, "invalid_credentials");
        service.admin().await.get(&format!("/users/{}", person.id)).await.fails(404, "not_found");
        let again = json!({"username": person.name, "password": NEW});
        service.nobody().post("/register", &again).await.is(201);
        caller.get("/me").await.fails(401, "invalid_token");
    })
    .await;
}

#[tokio::test]
async fn the_last_admin_stays() {
    let service = Service::start([]).await;
    let pair = service.log_in(ADMIN).await;
    let body = json!({"currentPassword": ADMIN.1});
    service.bearer(&pair.access).delete_with("/me", &body).await.fails(409, "last_admin");
    service.refresh(&pair.refresh).await.is(200);
}
