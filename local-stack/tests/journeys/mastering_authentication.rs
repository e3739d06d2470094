use serde_json::json;

use crate::stack::{PASSWORD, Stack, unique};
use crate::targets::{walk, walk_with};

#[tokio::test]
async fn register_log_in_and_a_protected_route() {
    walk(async |stack| {
        let username = register(stack).await;
        a_protected_route(stack, &username).await;
        who_is_there_stays_secret(stack, &username).await;
        every_byte_of_a_password_counts(stack).await;
    })
    .await;
}

/// The tutorial sends the token without a scheme in its own header. Here, a setting allows this in both services.
#[tokio::test]
async fn access_token_in_x_access_token_is_accepted() {
    walk_with(&[("ACCESS_TOKEN_HEADER", "x-access-token")], async |stack| {
        let john = stack.john().await.access;
        for (caller, path) in [(stack.auth(), "/me"), (stack.books(), "/books")] {
            caller.clone().with("x-access-token", &john).get(path).await.is(200);
            caller.clone().bearer(&john).get(path).await.is(200);
            caller.clone().with("x-access-token", "rubbish").get(path).await.refused(401, "invalid_token");
            let two = caller.clone().bearer(&john).with("x-access-token", &john);
            two.get(path).await.refused(401, "invalid_token");
            let scheme = caller.with("x-access-token", format!("Bearer {john}"));
            scheme.get(path).await.refused(401, "invalid_token");
        }
    })
    .await;
}

/// The tutorial accepts duplicate names and any password.
async fn register(stack: &Stack) -> String {
    let username = unique("reader");
    let weak = json!({"username": username, "password": "1234"});
    stack.auth().post("/register", weak).await.refused(422, "validation_failed");
    let body = json!({"username": username, "password": PASSWORD});
    let done = stack.auth().post("/register", body.clone()).await.is(201);
    assert_eq!(done.text("message"), "User registered successfully");
    assert!(!done.body.contains("hash") && !done.body.contains(PASSWORD), "{done:#?}");
    stack.auth().post("/register", body).await.refused(409, "username_taken");
    username
}

/// The tutorial answers 403 without a token and 500 with an invalid one.
async fn a_protected_route(stack: &Stack, username: &str) {
    let reader = stack.log_in(username, PASSWORD).await;
    let me = stack.auth().bearer(&reader.access).get("/me").await.is(200);
    assert_eq!(me.text("username"), username);
    assert!(!me.text("id").contains(username), "in the tutorial, the name is the id");
    stack.auth().get("/me").await.refused(401, "missing_token");
    stack.auth().bearer("rubbish").get("/me").await.refused(401, "invalid_token");
    stack.auth().with("x-access-token", &reader.access).get("/me").await.refused(401, "missing_token");
}

/// The tutorial answers 404 "User not found" or 401 "Invalid password".
async fn who_is_there_stays_secret(stack: &Stack, username: &str) {
    for name in [username, "nobody-of-that-name"] {
        let body = json!({"username": name, "password": "not the password"});
        let refused = stack.auth().post("/login", body).await.refused(401, "invalid_credentials");
        assert_eq!(refused.text("detail"), "The user name or the password is wrong.");
    }
}

/// bcrypt alone reads only 72 bytes, and stops at NUL.
async fn every_byte_of_a_password_counts(stack: &Stack) {
    let username = unique("writer");
    let password = format!("{PASSWORD}, {PASSWORD}, {PASSWORD}\0 and more");
    stack.auth().post("/register", json!({"username": username, "password": password})).await.is(201);
    for cut in [72, password.find('\0').unwrap(), password.len() - 1] {
        let body = json!({"username": username, "password": password[..cut]});
        stack.auth().post("/login", body).await.refused(401, "invalid_credentials");
    }
    stack.log_in(&username, &password).await;
}
