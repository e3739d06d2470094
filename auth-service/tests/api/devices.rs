use serde_json::{Value, json};
use uuid::Uuid;

use crate::answer::names;
use crate::forge::refresh_claims;
use crate::service::{ADMIN, GOOD, MEMBER, Service, TokenPair, on_each_store, text};

fn ids(devices: &[Value]) -> Vec<String> {
    devices.iter().map(|device| text(&device["id"])).collect()
}

fn id(pair: &TokenPair) -> String {
    refresh_claims(&pair.refresh).sid
}

async fn log_in_with(service: &Service, agent: &str) -> TokenPair {
    let body = json!({"username": MEMBER.0, "password": MEMBER.1});
    service.nobody().with("User-Agent", agent).post("/login", &body).await.is(200).pair()
}

#[tokio::test]
async fn sessions_are_listed_with_device_and_address() {
    on_each_store([], async |service| {
        let laptop = log_in_with(service, "Firefox/140").await;
        let phone = log_in_with(service, "Téléphone").await;
        let silent = log_in_with(service, "").await;
        let used = service.refresh(&laptop.refresh).await.is(200).pair();
        let devices = service.devices(&used.access).await;
        assert_eq!(devices.len(), 3);
        for device in &devices {
            assert_eq!(names(device), ["address", "current", "expiresAt", "id", "label", "lastUsedAt", "openedAt"]);
            assert_eq!(device["address"], "127.0.0.1");
            let [opened, used, expires] = ["openedAt", "lastUsedAt", "expiresAt"].map(|name| text(&device[name]));
            assert!(opened <= used && used < expires, "{device}");
        }
        for (pair, label, current) in
            [(&laptop, "Firefox/140", true), (&phone, "Téléphone", false), (&silent, "", false)]
        {
            let device = devices.iter().find(|device| device["id"] == id(pair)).unwrap();
            assert_eq!((&device["label"], &device["current"]), (&json!(label), &json!(current)));
        }
        let opened: Vec<_> = devices.iter().map(|device| text(&device["openedAt"])).collect();
        assert!(opened.is_sorted_by(|one, next| one >= next), "not the newest first: {opened:?}");
    })
    .await;
}

#[tokio::test]
async fn one_device_is_signed_out() {
    on_each_store([], async |service| {
        let (mine, phone) = (service.log_in(MEMBER).await, service.log_in(MEMBER).await);
        let caller = service.bearer(&mine.access);
        let path = format!("/me/sessions/{}", id(&phone));
        assert_eq!(caller.delete(&path).await.is(204).body, "");
        service.refresh(&phone.refresh).await.fails(403, "invalid_refresh_token");
        caller.delete(&path).await.fails(404, "not_found");
        assert_eq!(ids(&service.devices(&mine.access).await), [id(&mine)]);

        caller.delete(&format!("/me/sessions/{}", id(&mine))).await.is(204);
        service.refresh(&mine.refresh).await.fails(403, "invalid_refresh_token");
        assert_eq!(service.devices(&mine.access).await.len(), 0, "the caller's own session ends, too");
    })
    .await;
}

#[tokio::test]
async fn session_of_another_user_cannot_be_ended() {
    on_each_store([], async |service| {
        let other = service.log_in(MEMBER).await;
        let admin = service.log_in(ADMIN).await;
        let (unknown, theirs) = (Uuid::new_v4().to_string(), id(&other));
        for (path, why) in [
            (theirs.clone(), "another's, even for an admin"),
            (unknown, "of nobody"),
            (theirs.to_uppercase(), "another spelling"),
            ("1".to_owned(), "no id"),
            ("%00".to_owned(), "NUL"),
            ("%ff".to_owned(), "no UTF-8"),
            ("*".to_owned(), "a pattern"),
            ("x".repeat(4000), "a long one"),
        ] {
            println!("{why}");
            service.bearer(&admin.access).delete(&format!("/me/sessions/{path}")).await.fails(404, "not_found");
        }
        assert_eq!(ids(&service.devices(&other.access).await), [theirs]);
        service.refresh(&other.refresh).await.is(200);
    })
    .await;
}

#[tokio::test]
async fn all_devices_are_signed_out() {
    on_each_store([], async |service| {
        let person = service.newcomer().await;
        let phone = service.log_in((&person.name, GOOD)).await;
        let other = service.log_in(MEMBER).await;
        let caller = service.bearer(&person.pair.access);
        assert_eq!(caller.delete("/me/sessions").await.is(204).body, "");
        caller.delete("/me/sessions").await.is(204);
        for pair in [&person.pair, &phone] {
            service.refresh(&pair.refresh).await.fails(403, "invalid_refresh_token");
        }
        assert_eq!(service.devices(&person.pair.access).await.len(), 0);
        service.refresh(&other.refresh).await.is(200);
        service.log_in((&person.name, GOOD)).await;
    })
    .await;
}

#[tokio::test]
async fn all_other_devices_are_signed_out() {
    on_each_store([], async |service| {
        let person = service.newcomer().await;
        let others = [service.log_in((&person.name, GOOD)).await, service.log_in((&person.name, GOOD)).await];
        let caller = service.bearer(&person.pair.access);
        caller.delete("/me/sessions?except=phone").await.fails(422, "validation_failed");
        assert_eq!(service.devices(&person.pair.access).await.len(), 3);
        caller.delete("/me/sessions?except=current").await.is(204);
        for pair in &others {
            service.refresh(&pair.refresh).await.fails(403, "invalid_refresh_token");
        }
        assert_eq!(ids(&service.devices(&person.pair.access).await), [id(&person.pair)]);
        service.refresh(&person.pair.refresh).await.is(200);
    })
    .await;
}

#[tokio::test]
async fn devices_are_walked_page_by_page() {
    on_each_store([], async |service| {
        let person = service.newcomer().await;
        for _ in 0..4 {
            service.log_in((&person.name, GOOD)).await;
        }
        let caller = service.bearer(&person.pair.access);
        let all = ids(&service.devices(&person.pair.access).await);
        assert_eq!(all.len(), 5, "without parameters: all");
        let (mut found, mut path) = (vec![], "/me/sessions?limit=2".to_owned());
        for length in [2, 2, 1] {
            let page = caller.get(&path).await.is(200);
            let devices = ids(page.json().as_array().unwrap());
            assert_eq!(devices.len(), length);
            found.extend(devices);
            let link = page.headers.get("link").map(|link| link.to_str().unwrap().to_owned());
            let Some(link) = link else { break };
            assert!(link.ends_with(">; rel=\"next\""), "{link}");
            path = link[1..link.len() - 13].to_owned();
            assert!(path.starts_with("/me/sessions?limit=2&cursor="), "{path}");
        }
        assert_eq!(found, all);
        for query in ["limit=0", "limit=201", "limit=x", "cursor=x", "cursor=1.x", "cursor=-1.", "cursor=+1"] {
            caller.get(&format!("/me/sessions?{query}")).await.fails(422, "validation_failed");
        }
    })
    .await;
}
