use serde_json::json;

use crate::stack::{Stack, a_book, unique};
use crate::targets::walk;
use crate::tokens;
use crate::tokens::{signed, tampered};

#[tokio::test]
async fn books_roles_refresh_and_logout() {
    walk(async |stack| {
        who_may_come_in(stack).await;
        a_member_reads(stack).await;
        an_admin_writes(stack).await;
        a_refresh_token_goes_on(stack).await;
        a_logout_is_final(stack).await;
        only_our_tokens_count(stack).await;
    })
    .await;
}

/// The tutorial answers 200 and the text "Username or password incorrect".
async fn who_may_come_in(stack: &Stack) {
    let wrong = json!({"username": "john", "password": "password123member"});
    stack.auth().post("/login", wrong).await.refused(401, "invalid_credentials");
    let john = stack.john().await;
    let claims = tokens::claims(&john.access);
    assert_eq!((&claims["username"], &claims["role"]), (&json!("john"), &json!("admin")));
    // The tutorial's first tokens never expire.
    assert_eq!(claims["exp"].as_u64().unwrap() - claims["iat"].as_u64().unwrap(), john.expires_in);
}

async fn a_member_reads(stack: &Stack) {
    let refused = stack.books().get("/books").await.refused(401, "missing_token");
    assert_eq!(refused.header("www-authenticate"), r#"Bearer realm="api""#);
    let anna = stack.books().bearer(stack.anna().await.access);
    assert!(anna.get("/books").await.is(200).json().is_array(), "a plain array, as in the tutorial");
    for title in ["Things Fall Apart", "Fairy tales", "The Divine Comedy"] {
        let found = anna.get(&format!("/books?title={title}")).await.is(200).json();
        assert_eq!(found[0]["title"], title);
    }
    anna.post("/books", a_book("Mine")).await.refused(403, "insufficient_scope");
}

/// Editing and deleting books, which the tutorial suggests at its end.
async fn an_admin_writes(stack: &Stack) {
    let john = stack.books().bearer(stack.john().await.access);
    let anna = stack.books().bearer(stack.anna().await.access);
    let title = unique("Pride and Prejudice");
    let added = john.post("/books", a_book(&title)).await.is(201);
    assert_eq!(added.text("message"), "Book added successfully");
    let place = added.header("location");
    assert_eq!(anna.get(place).await.is(200).json(), added.json()["book"]);
    assert_eq!(anna.get(&format!("/books?title={title}")).await.is(200).json()[0]["title"], title);
    assert_eq!(john.patch(place, json!({"pages": 432})).await.is(200).json()["pages"], 432);
    anna.delete(place).await.refused(403, "insufficient_scope");
    john.delete(place).await.is(204);
    anna.get(place).await.refused(404, "not_found");
}

async fn a_refresh_token_goes_on(stack: &Stack) {
    let anna = stack.anna().await;
    let next = stack.refresh(&anna.refresh).await.tokens();
    stack.books().bearer(next.access).get("/books").await.is(200);
    stack.auth().post("/token", json!({})).await.refused(401, "missing_refresh_token");
    stack.refresh("somebody else's").await.refused(403, "invalid_refresh_token");
}

/// In the tutorial, logout filters a constant list, so the token stays valid for ever.
async fn a_logout_is_final(stack: &Stack) {
    let anna = stack.anna().await;
    for time in ["once", "twice"] {
        let answer = stack.auth().post("/logout", json!({"token": anna.refresh})).await.is(200);
        assert_eq!(answer.text("message"), "Logout successful", "{time}");
    }
    stack.refresh(&anna.refresh).await.refused(403, "invalid_refresh_token");
}

async fn only_our_tokens_count(stack: &Stack) {
    let anna = stack.anna().await;
    let promoted = json!({"role": "admin"});
    let claims = tokens::with(tokens::claims(&anna.access), &promoted);
    let forgeries = [
        (tampered(&anna.access, &promoted), "other claims under her signature"),
        (signed(&tokens::header(&anna.access), &claims, "youraccesstokensecret"), "the tutorial's secret"),
        (anna.refresh.clone(), "a refresh token"),
    ];
    for (forgery, why) in forgeries {
        let refused = stack.books().bearer(forgery).get("/books").await.refused(401, "invalid_token");
        assert!(refused.header("www-authenticate").starts_with(r#"Bearer error="invalid_token""#), "{why}");
    }
    // The tutorial accepts any word before the space as the scheme.
    let basic = stack.books().with("Authorization", format!("Basic {}", anna.access));
    basic.get("/books").await.refused(401, "missing_token");
}
