use serde_json::{Value, json};

use crate::caller::Caller;
use crate::stack::{PASSWORD, Stack, unique};
use crate::targets::{walk, walk_with};
use crate::tokens::{claims, header, signed, with};

/// The test knows the secret, so that it can sign tokens that auth-service never would.
const SECRET: &str = "a secret of the tests, of 32 bytes and more";

#[tokio::test]
async fn roles_and_a_users_api() {
    walk(async |stack| {
        only_an_admin_sees_the_users(stack).await;
        no_response_contains_a_password_hash(stack).await;
        a_role_changes_with_the_next_token(stack).await;
        who_is_disabled_is_out(stack).await;
        who_is_deleted_is_gone(stack).await;
    })
    .await;
}

/// The tutorial compares `exp` with milliseconds, and checks neither `iss` nor `aud`.
#[tokio::test]
async fn an_issuer_and_an_expiry_in_seconds() {
    walk_with(&[("ACCESS_TOKEN_SECRET", SECRET)], async |stack| {
        let john = stack.john().await;
        let (head, body) = (header(&john.access), claims(&john.access));
        let ask = async |others: Value| {
            let token = signed(&head, &with(body.clone(), &others), SECRET);
            stack.auth().bearer(token).get("/users").await
        };
        ask(json!({})).await.is(200);
        ask(json!({"role": "customer"})).await.refused(403, "insufficient_scope");
        let now = body["iat"].as_u64().unwrap();
        for (others, why) in [
            (json!({"iss": "my-api"}), "The token is from another issuer"),
            (json!({"aud": "books-service"}), "The token is for another audience"),
            (json!({"exp": now * 1000}), "The token lives longer than allowed"),
            (json!({"iat": now - 600, "exp": now - 300}), "The token has expired"),
            (json!({"sub": null}), "The claim sub is missing or of the wrong type"),
        ] {
            let refused = ask(others).await.refused(401, "invalid_token");
            assert_eq!(refused.text("detail"), format!("{why}."));
        }
        let jwt = signed(&with(head.clone(), &json!({"typ": "JWT"})), &body, SECRET);
        stack.auth().bearer(jwt).get("/users").await.refused(401, "invalid_token");
    })
    .await;
}

/// The tutorial crashes without the header, and answers 403 to every other refusal.
async fn only_an_admin_sees_the_users(stack: &Stack) {
    for path in ["/users", "/users/1"] {
        stack.auth().get(path).await.refused(401, "missing_token");
        stack.auth().bearer(stack.anna().await.access).get(path).await.refused(403, "insufficient_scope");
    }
    let john = admin(stack).await;
    let users = john.get("/users").await.is(200);
    assert_eq!(users.header("content-type"), "application/json", "the tutorial sends HTML");
    assert!(users.json().is_array(), "{users:#?}");
    john.get("/users/1").await.refused(404, "not_found");
}

/// In the tutorial, the list contains all password hashes.
async fn no_response_contains_a_password_hash(stack: &Stack) {
    let john = admin(stack).await;
    let id = add(&john, json!({"username": unique("lakindu"), "password": PASSWORD})).await;
    for path in ["/users?limit=1000", &format!("/users/{id}"), "/me"] {
        let body = john.get(path).await.is(200).body;
        for secret in ["password", "hash", "$2"] {
            assert!(!body.to_ascii_lowercase().contains(secret), "{secret} in {path}: {body}");
        }
    }
}

/// A question of the FAQ: what if a role changes? Every refresh reads the role again.
async fn a_role_changes_with_the_next_token(stack: &Stack) {
    let john = admin(stack).await;
    let username = unique("sahan");
    let id = add(&john, json!({"username": username, "password": PASSWORD, "role": "member"})).await;
    let sahan = stack.log_in(&username, PASSWORD).await;
    assert_eq!(claims(&sahan.access)["sub"], id);
    stack.auth().bearer(sahan.access).get("/users").await.refused(403, "insufficient_scope");
    john.patch(&format!("/users/{id}"), json!({"role": "admin"})).await.is(200);
    // The other question of the FAQ: may a client refresh before the token expires?
    let promoted = stack.refresh(&sahan.refresh).await.tokens();
    stack.auth().bearer(promoted.access).get(&format!("/users/{id}")).await.is(200);
    john.delete(&format!("/users/{id}")).await.is(204);
}

async fn who_is_disabled_is_out(stack: &Stack) {
    let john = admin(stack).await;
    let username = unique("pasindu");
    let id = add(&john, json!({"username": username, "password": PASSWORD})).await;
    let pasindu = stack.log_in(&username, PASSWORD).await;
    let disabled = john.patch(&format!("/users/{id}"), json!({"disabled": true})).await.is(200);
    assert_eq!(disabled.json()["disabled"], true);
    stack.refresh(&pasindu.refresh).await.refused(403, "invalid_refresh_token");
    let login = json!({"username": username, "password": PASSWORD});
    stack.auth().post("/login", login).await.refused(401, "invalid_credentials");
    john.patch(&format!("/users/{id}"), json!({"disabled": false})).await.is(200);
    stack.log_in(&username, PASSWORD).await;
}

async fn who_is_deleted_is_gone(stack: &Stack) {
    let john = admin(stack).await;
    let username = unique("david");
    let id = add(&john, json!({"username": username, "password": PASSWORD})).await;
    let david = stack.log_in(&username, PASSWORD).await;
    john.delete(&format!("/users/{id}")).await.is(204);
    john.get(&format!("/users/{id}")).await.refused(404, "not_found");
    stack.refresh(&david.refresh).await.refused(403, "invalid_refresh_token");
    stack.auth().bearer(david.access).get("/me").await.refused(401, "invalid_token");
}

/// A client logged in as the demo users' admin.
async fn admin(stack: &Stack) -> Caller<'_> {
    stack.auth().bearer(stack.john().await.access)
}

/// Adds a user as an admin, with `body`; returns the user's id.
async fn add(admin: &Caller<'_>, body: Value) -> String {
    let added = admin.post("/users", body).await.is(201);
    let id = added.json()["user"]["id"].as_str().unwrap().to_owned();
    assert_eq!(added.header("location"), format!("/users/{id}"));
    id
}
