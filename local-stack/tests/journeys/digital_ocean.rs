use std::time::Duration;

use serde_json::json;
use tokio::time::{interval, timeout};

use crate::stack::{Stack, Tokens};
use crate::targets::{walk, walk_with};
use crate::tokens::{claims, header, signed, tampered, unsigned};

#[tokio::test]
async fn tutorial_with_a_bearer_token_and_a_secret() {
    walk(async |stack| {
        a_name_is_no_password(stack).await;
        let anna = stack.anna().await;
        a_token_goes_into_one_header(stack, &anna).await;
        nobody_else_signs(stack, &anna).await;
        nothing_for_scripts_to_read(stack).await;
    })
    .await;
}

/// In the tutorial, the token expires after a day. Here it expires after a second, and a refresh gives another one.
#[tokio::test]
async fn tutorial_with_an_expiry() {
    walk_with(&[("ACCESS_TOKEN_TTL", "1s")], async |stack| {
        let anna = stack.anna().await;
        assert_eq!(anna.expires_in, 1);
        stack.books().bearer(&anna.access).get("/books").await.is(200);
        let refused = timeout(Duration::from_secs(20), refusal(stack, &anna)).await.expect("the token expires");
        assert_eq!(refused, r#"Bearer error="invalid_token", error_description="The token has expired""#);
        let next = stack.refresh(&anna.refresh).await.tokens();
        stack.books().bearer(next.access).get("/books").await.is(200);
    })
    .await;
}

/// In the tutorial, `POST /api/creteNewUser` gives a token for a name without a password.
async fn a_name_is_no_password(stack: &Stack) {
    stack.auth().post("/api/creteNewUser", json!({"username": "john"})).await.refused(404, "not_found");
    let refused = stack.auth().post("/login", json!({"username": "john"})).await.refused(422, "validation_failed");
    assert_eq!(refused.json()["errors"][0]["field"], "password");
}

/// The tutorial's `GET /api/userOrders` is any protected path here.
async fn a_token_goes_into_one_header(stack: &Stack, anna: &Tokens) {
    let (good, books) = (&anna.access, || stack.books());
    books().with("Authorization", format!("bEaReR {good}")).get("/books").await.is(200);
    for (caller, path, code, why) in [
        (books(), "/books", "missing_token", "no header at all, which crashed the other tutorial"),
        (books(), &*format!("/books?access_token={good}"), "missing_token", "addresses end up in logs"),
        (books().with("Authorization", good), "/books", "missing_token", "no scheme"),
        (books().with("Authorization", format!("Token {good}")), "/books", "missing_token", "any word as a scheme"),
        (books().with("Cookie", format!("token={good}")), "/books", "missing_token", "the tutorial's cookie"),
        (books().with("x-access-token", good), "/books", "missing_token", "nobody turned that header on"),
        (books().bearer(format!("{good}=")), "/books", "invalid_token", "another spelling"),
    ] {
        println!("{why}");
        caller.get(path).await.refused(401, code);
    }
    let two_tokens = books().bearer(good).bearer(good).get("/books").await;
    // The outside stack may have nginx in front, which checks the headers first.
    if stack.name == "outside" && two_tokens.header("server") == "nginx" {
        two_tokens.refused(400, "bad_request");
    } else {
        two_tokens.refused(401, "invalid_token");
    }
}

async fn nobody_else_signs(stack: &Stack, anna: &Tokens) {
    let (head, body) = (header(&anna.access), claims(&anna.access));
    assert_eq!((&head["alg"], &head["typ"]), (&json!("HS256"), &json!("at+jwt")));
    for (token, why) in [
        (unsigned(&anna.access), "alg: none"),
        (format!("{}.", &anna.access[..anna.access.rfind('.').unwrap()]), "the signature cut off"),
        (tampered(&anna.access, &json!({"username": "john"})), "somebody else under her signature"),
        // The tutorial signs with TOKEN_SECRET and verifies with ACCESS_TOKEN_SECRET; one of them is undefined.
        (signed(&head, &body, ""), "an empty secret"),
        (signed(&head, &body, "undefined"), "a secret that nobody set"),
        (signed(&head, &body, "your_jwt_secret"), "a secret from a page"),
    ] {
        println!("{why}");
        stack.books().bearer(&token).get("/books").await.refused(401, "invalid_token");
        stack.auth().bearer(&token).get("/me").await.refused(401, "invalid_token");
    }
}

/// In the tutorial, a script stores the token: `document.cookie = token=…`.
async fn nothing_for_scripts_to_read(stack: &Stack) {
    let login = json!({"username": "john", "password": "password123admin"});
    assert_eq!(stack.auth().post("/login", login).await.is(200).header("set-cookie"), "");
}

/// Sends requests until one is refused; returns its challenge.
async fn refusal(stack: &Stack, anna: &Tokens) -> String {
    let mut pace = interval(Duration::from_millis(100));
    loop {
        pace.tick().await;
        let answer = stack.books().bearer(&anna.access).get("/books").await;
        if !answer.is_ok() {
            return answer.refused(401, "invalid_token").header("www-authenticate").to_owned();
        }
    }
}
