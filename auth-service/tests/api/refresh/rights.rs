//! A user's rights are read again at each refresh.

use futures_util::future::join_all;
use serde_json::json;

use crate::forge::{access_claims, parts};
use crate::service::{GOOD, TokenPair, on_each_store, text};

#[tokio::test]
async fn refresh_reads_the_role_again() {
    on_each_store([], async |service| {
        let admin = service.admin().await;
        let person = service.newcomer().await;
        let path = format!("/users/{}", person.id);
        let role = |pair: &TokenPair| text(&parts(&pair.access)[1]["role"]);
        assert_eq!(role(&person.pair), "member");
        admin.patch(&path, &json!({"role": "admin"})).await.is(200);
        let promoted = service.next(&person.pair).await;
        assert_eq!(role(&promoted), "admin");
        service.bearer(&promoted.access).get("/users").await.is(200);
        admin.patch(&path, &json!({"role": "member"})).await.is(200);
        let demoted = service.next(&promoted).await;
        assert_eq!(role(&demoted), "member");

        admin.patch(&path, &json!({"disabled": true})).await.is(200);
        service.assert_refused(&demoted.refresh).await;
        admin.patch(&path, &json!({"disabled": false})).await.is(200);
        service.assert_refused(&demoted.refresh).await;
        service.log_in((&person.name, GOOD)).await;
    })
    .await;
}

#[tokio::test]
async fn refresh_of_a_deleted_or_disabled_user_is_refused() {
    on_each_store([], async |service| {
        let (gone, disabled) = (service.newcomer().await, service.newcomer().await);
        service.database.execute(&format!("DELETE FROM users WHERE id = '{}'", gone.id)).await;
        service.database.execute(&format!("UPDATE users SET disabled = 1 WHERE id = '{}'", disabled.id)).await;
        service.assert_refused(&gone.pair.refresh).await;
        service.assert_refused(&disabled.pair.refresh).await;
        service.database.execute(&format!("UPDATE users SET disabled = 0 WHERE id = '{}'", disabled.id)).await;
        service.assert_refused(&disabled.pair.refresh).await;
    })
    .await;
}

#[tokio::test]
async fn refresh_beside_a_role_change_has_the_new_role_or_is_revoked() {
    on_each_store([("REVOCATION_POLL", "20ms")], async |service| {
        let admin = service.admin().await;
        let race = async || {
            let person = service.newcomer().await;
            let (path, change) = (format!("/users/{}", person.id), json!({"role": "admin"}));
            let (next, changed) = tokio::join!(service.next(&person.pair), admin.patch(&path, &change));
            changed.is(200);
            let claims = access_claims(&next.access);
            if claims.role != "admin" {
                let list = service.nobody().get("/revocations").await.is(200).json();
                let entries = list["entries"].as_array().unwrap().iter().filter(|entry| entry["sub"] == *person.id);
                let not_before = entries.filter_map(|entry| entry["notBefore"].as_u64()).max();
                assert!(not_before > Some(claims.iat), "the token with the old role stays valid: {list}");
            }
            assert_eq!(access_claims(&service.next(&next).await.access).role, "admin");
        };
        join_all((0..16).map(|_| race())).await;
    })
    .await;
}
