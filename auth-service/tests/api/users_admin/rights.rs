//! Admins who remove each other, and the sessions of users whose rights change.

use serde_json::{Value, json};

use super::usernames;
use crate::database::Database;
use crate::service::{ADMIN, GOOD, Service, on_each_store, text};

const NEW: &str = "Mz4?tuRnip-9";

async fn own_id(service: &Service) -> String {
    text(&service.admin().await.get("/me").await.json()["id"])
}

#[tokio::test]
async fn last_enabled_admin_cannot_be_removed() {
    let service = Service::start([]).await;
    let admin = service.admin().await;
    let john = format!("/users/{}", own_id(&service).await);
    let refused = async |why: &str| {
        println!("{why}");
        admin.patch(&john, &json!({"role": "member"})).await.fails(409, "last_admin");
        admin.patch(&john, &json!({"disabled": true})).await.fails(409, "last_admin");
        admin.delete(&john).await.fails(409, "last_admin");
    };
    refused("the only one").await;
    let body = json!({"username": "root", "password": GOOD, "role": "admin"});
    let root = text(&admin.post("/users", &body).await.is(201).json()["user"]["id"]);
    let root = format!("/users/{root}");
    admin.patch(&root, &json!({"disabled": true})).await.is(200);
    refused("the only one who can sign in").await;
    admin.patch(&root, &json!({"disabled": false})).await.is(200);
    admin.delete(&john).await.is(204);
    let root = service.bearer(&service.log_in(("root", GOOD)).await.access);
    assert_eq!(usernames(&root.get("/users").await.is(200)), ["anna", "root"]);
}

#[tokio::test]
async fn one_of_two_admins_removing_each_other_remains() {
    on_each_store([], async |service| {
        let admin = service.admin().await;
        let john = own_id(service).await;
        for round in 0..5 {
            let name = format!("root{round}");
            let body = json!({"username": name, "password": GOOD, "role": "admin"});
            let root_id = text(&admin.post("/users", &body).await.is(201).json()["user"]["id"]);
            let root = service.bearer(&service.log_in((&name, GOOD)).await.access);
            let (john, root_path) = (format!("/users/{john}"), format!("/users/{root_id}"));
            let (promotion, demotion) = (json!({"role": "admin"}), json!({"role": "member"}));
            let answers = tokio::join!(admin.patch(&john, &demotion), root.patch(&root_path, &demotion));
            let statuses = (answers.0.status.as_u16(), answers.1.status.as_u16());
            assert!(matches!(statuses, (200, 409) | (409, 200)), "{statuses:?}");
            let remaining = if statuses.0 == 409 { &admin } else { &root };
            remaining.patch(&john, &promotion).await.is(200);
            admin.patch(&root_path, &demotion).await.is(200);
        }
    })
    .await;
}

#[tokio::test]
async fn admin_change_that_removes_a_right_ends_the_sessions() {
    on_each_store([], async |service| {
        let admin = service.admin().await;
        let bystander = service.newcomer().await;
        for (what, why) in
            [("password", "a new password"), ("disabled", "disabled"), ("sessions", "signed out"), ("all", "gone")]
        {
            println!("{why}");
            let person = service.newcomer().await;
            let phone = service.log_in((&person.name, GOOD)).await;
            let path = format!("/users/{}", person.id);
            match what {
                "password" => admin.patch(&path, &json!({"password": NEW})).await.is(200),
                "disabled" => admin.patch(&path, &json!({"disabled": true})).await.is(200),
                "sessions" => admin.delete(&format!("{path}/sessions")).await.is(204),
                _ => admin.delete(&path).await.is(204),
            };
            match what {
                "password" | "sessions" => assert_eq!(service.devices(&person.pair.access).await, [Value::Null; 0]),
                _ => drop(service.bearer(&person.pair.access).get("/me/sessions").await.fails(401, "invalid_token")),
            }
            for pair in [&person.pair, &phone] {
                service.refresh(&pair.refresh).await.fails(403, "invalid_refresh_token");
            }
            let status = if what == "sessions" { 200 } else { 401 };
            service.try_log_in((&person.name, GOOD)).await.is(status);
            if what == "password" {
                service.log_in((&person.name, NEW)).await;
            }
        }
        service.refresh(&bystander.pair.refresh).await.is(200);
        let admin = service.log_in(ADMIN).await;
        service.refresh(&admin.refresh).await.is(200);
    })
    .await;
}

#[tokio::test]
async fn a_change_of_role_ends_no_session() {
    on_each_store([], async |service| {
        let person = service.newcomer().await;
        let admin = service.admin().await;
        admin.patch(&format!("/users/{}", person.id), &json!({"role": "admin"})).await.is(200);
        service.bearer(&person.pair.access).get("/users").await.fails(403, "insufficient_scope");
        let pair = service.refresh(&person.pair.refresh).await.is(200).pair();
        service.bearer(&pair.access).get("/users").await.is(200);
    })
    .await;
}

#[tokio::test]
async fn dismissed_admin_cannot_undo_the_dismissal() {
    let service = Service::start([]).await;
    let admin = service.admin().await;
    for (dismissal, status, code) in [
        (Some(json!({"role": "member"})), 403, "insufficient_scope"),
        (Some(json!({"disabled": true})), 401, "invalid_token"),
        (None, 401, "invalid_token"),
    ] {
        let name = crate::service::new_name();
        let body = json!({"username": name, "password": GOOD, "role": "admin"});
        let id = text(&admin.post("/users", &body).await.is(201).json()["user"]["id"]);
        let path = format!("/users/{id}");
        let dismissed = service.bearer(&service.log_in((&name, GOOD)).await.access);
        dismissed.get("/users").await.is(200);
        match &dismissal {
            Some(change) => admin.patch(&path, change).await.is(200),
            None => admin.delete(&path).await.is(204),
        };
        let back = json!({"role": "admin", "disabled": false});
        let another = json!({"username": "back-door", "password": GOOD, "role": "admin"});
        dismissed.patch(&path, &back).await.fails(status, code);
        dismissed.post("/users", &another).await.fails(status, code);
        dismissed.get("/users").await.fails(status, code);
        dismissed.get(&path).await.fails(status, code);
        dismissed.delete(&path).await.fails(status, code);
        dismissed.delete(&format!("{path}/sessions")).await.fails(status, code);
    }
}

#[tokio::test]
async fn one_of_two_admins_dismissing_each_other_is_refused() {
    for database in Database::each().await {
        let service = Service::start_on(database, []).await;
        let john = service.admin().await;
        for round in 0..20 {
            let mut admins = vec![];
            for _ in 0..2 {
                let name = crate::service::new_name();
                let body = json!({"username": name, "password": GOOD, "role": "admin"});
                let id = text(&john.post("/users", &body).await.is(201).json()["user"]["id"]);
                admins.push((service.bearer(&service.log_in((&name, GOOD)).await.access), format!("/users/{id}")));
            }
            let [(one, path_of_one), (two, path_of_two)] = &admins[..] else { panic!("two") };
            let demotion = json!({"role": "member"});
            let (first, second) = if round % 2 == 0 {
                tokio::join!(one.patch(path_of_two, &demotion), two.patch(path_of_one, &demotion))
            } else {
                tokio::join!(one.delete(path_of_two), two.delete(path_of_one))
            };
            let (done, late): (Vec<_>, Vec<_>) =
                [first, second].into_iter().partition(|answer| answer.status.is_success());
            assert_eq!((done.len(), late.len()), (1, 1), "{done:?} {late:?}");
            assert!([401, 403].contains(&late[0].status.as_u16()), "{late:?}");
        }
    }
}
