use serde_json::{Value, json};

use crate::caller::Answer;
use crate::stack::{PASSWORD, Stack, Tokens, unique};
use crate::targets::walk;
use crate::tokens;

#[tokio::test]
async fn register_log_in_by_email_rotate_and_detect_reuse() {
    walk(async |stack| {
        let email = register(stack).await;
        the_body_makes_no_admin(stack, &log_in(stack, &email).await).await;
        the_answer_names_nobody(stack, &email).await;
        every_refresh_rotates(stack, log_in(stack, &email).await).await;
        reuse_ends_the_session(stack, log_in(stack, &email).await, &log_in(stack, &email).await).await;
        log_out(stack, &log_in(stack, &email).await).await;
        each_token_has_its_place(stack, &log_in(stack, &email).await).await;
    })
    .await;
}

/// Registers a user who asks for the role admin, as the tutorial allows; returns the email.
async fn register(stack: &Stack) -> String {
    let username = unique("user1");
    let email = format!("{username}@email.com");
    let body = |password| json!({"username": username, "email": email, "password": password, "admin": true});
    let weak = stack.auth().post("/register", body("Password@123")).await.refused(422, "validation_failed");
    assert_eq!(weak.json()["errors"][0]["field"], "password", "the tutorial's own password is refused");
    let done = stack.auth().post("/register", body(PASSWORD)).await.is(201);
    assert_eq!(done.text("message"), "User registered successfully");
    assert_eq!(done.json()["user"]["role"], "member");
    let again = json!({"username": unique("user2"), "email": email.to_uppercase(), "password": PASSWORD});
    stack.auth().post("/register", again).await.refused(409, "email_taken");
    email
}

async fn log_in(stack: &Stack, email: &str) -> Tokens {
    stack.auth().post("/login", json!({"email": email, "password": PASSWORD})).await.tokens()
}

/// The tutorial makes a user with `admin: true` in the body an admin.
async fn the_body_makes_no_admin(stack: &Stack, user: &Tokens) {
    let me = stack.auth().bearer(&user.access).get("/me").await.is(200).json();
    assert_eq!(me["role"], "member", "the role of user {}", me["id"]);
    stack.auth().bearer(&user.access).get("/users").await.refused(403, "insufficient_scope");
    stack.books().bearer(&user.access).post("/books", json!({})).await.refused(403, "insufficient_scope");
    let claims = tokens::claims(&user.access);
    assert!(claims["email"].is_null() && claims["admin"].is_null(), "a token is not encrypted: {claims}");
}

/// The tutorial answers "Email not found" or "Invalid password".
async fn the_answer_names_nobody(stack: &Stack, email: &str) {
    let refused = async |email: &str| {
        let wrong = json!({"email": email, "password": "not the password"});
        without_request_id(&stack.auth().post("/login", wrong).await.refused(401, "invalid_credentials"))
    };
    assert_eq!(refused(email).await, refused("nobody@email.com").await);
}

async fn every_refresh_rotates(stack: &Stack, first: Tokens) {
    let second = refresh(stack, &first).await.tokens();
    assert_ne!(second.refresh, first.refresh);
    // Two tabs, or a retry after a lost response: within the grace period, both get the same token.
    assert_eq!(refresh(stack, &first).await.tokens().refresh, second.refresh);
    refresh(stack, &second).await.tokens();
}

/// A stolen refresh token is worthless once its owner has refreshed, and its reuse ends the session.
async fn reuse_ends_the_session(stack: &Stack, stolen: Tokens, other_device: &Tokens) {
    let second = refresh(stack, &stolen).await.tokens();
    let newest = refresh(stack, &second).await.tokens();
    refresh(stack, &stolen).await.refused(403, "invalid_refresh_token");
    refresh(stack, &newest).await.refused(403, "invalid_refresh_token");
    refresh(stack, other_device).await.tokens();
}

async fn log_out(stack: &Stack, user: &Tokens) {
    let next = refresh(stack, user).await.tokens();
    // The previous refresh token works, too: it names the same session.
    let done = stack.auth().post("/logout", json!({"refreshToken": user.refresh})).await.is(200);
    assert_eq!(done.text("message"), "Logout successful");
    refresh(stack, &next).await.refused(403, "invalid_refresh_token");
    stack.auth().post("/refresh", json!({})).await.refused(401, "missing_refresh_token");
}

/// The tutorial warns of one secret for both kinds of token. Here the kinds differ in secret, type and audience.
async fn each_token_has_its_place(stack: &Stack, user: &Tokens) {
    stack.auth().bearer(&user.refresh).get("/me").await.refused(401, "invalid_token");
    stack.refresh(&user.access).await.refused(403, "invalid_refresh_token");
}

async fn refresh(stack: &Stack, tokens: &Tokens) -> Answer {
    stack.auth().post("/refresh", json!({"refreshToken": tokens.refresh})).await
}

fn without_request_id(answer: &Answer) -> Value {
    tokens::with(answer.json(), &json!({"requestId": null}))
}
