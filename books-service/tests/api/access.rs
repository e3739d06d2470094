use reqwest::Method;
use shared_claims::{AccessClaims, RefreshClaims, Role, Secret, Signer};

use crate::caller::Caller;
use crate::library::{Library, SECRET, a_book, claims, on_each, on_each_database, token};

/// Each route: method, path, body, the status for a member, the status for an admin.
async fn routes(library: &Library) -> Vec<(Method, String, Option<String>, u16, u16)> {
    let id = library.add(a_book()).await["id"].as_str().unwrap().to_owned();
    let (one, body) = (format!("/books/{id}"), Some(a_book().to_string()));
    vec![
        (Method::GET, "/books".to_owned(), None, 200, 200),
        (Method::HEAD, "/books".to_owned(), None, 200, 200),
        (Method::GET, one.clone(), None, 200, 200),
        (Method::POST, "/books".to_owned(), body.clone(), 403, 201),
        (Method::PUT, one.clone(), body.clone(), 403, 200),
        (Method::PATCH, one.clone(), body, 403, 200),
        (Method::DELETE, one, None, 403, 204),
    ]
}

fn expired() -> String {
    let claims = claims(Role::Admin);
    token(&AccessClaims { iat: claims.iat - 1000, exp: claims.iat - 100, ..claims })
}

fn tampered() -> String {
    let good = token(&claims(Role::Admin));
    let (rest, signature) = good.rsplit_once('.').unwrap();
    let first = if signature.starts_with('A') { 'B' } else { 'A' };
    format!("{rest}.{first}{}", &signature[1..])
}

/// A refresh token, correctly signed, although auth-service signs refresh tokens with another key.
fn refresh_token() -> String {
    let AccessClaims { sub, exp, iat, jti, sid, .. } = claims(Role::Admin);
    let audience = ["books-service".to_owned()];
    let signer = Signer::new("auth-service", &audience, &Secret::parse(SECRET).unwrap()).unwrap();
    signer.sign(&RefreshClaims { sub, exp, iat, jti, sid, generation: 1 })
}

fn for_another() -> String {
    let audience = ["auth-service".to_owned()];
    let signer = Signer::new("auth-service", &audience, &Secret::parse(SECRET).unwrap()).unwrap();
    signer.sign(&claims(Role::Admin))
}

#[tokio::test]
async fn every_route_checks_the_role() {
    on_each_database(async |library| {
        let unknown_role = token(&AccessClaims { role: "owner".to_owned(), ..claims(Role::Admin) });
        let strangers = [
            (library.nobody(), 401, "missing_token", "no token"),
            (library.nobody().with("Authorization", "Basic am9objpwYXNzd29yZA=="), 401, "missing_token", "Basic"),
            (library.bearer(expired()), 401, "invalid_token", "expired"),
            (library.bearer(tampered()), 401, "invalid_token", "tampered"),
            (library.bearer(refresh_token()), 401, "invalid_token", "a refresh token"),
            (library.bearer(for_another()), 401, "invalid_token", "for another service"),
            (library.bearer(unknown_role), 403, "insufficient_scope", "a role that nobody knows"),
        ];
        for (method, path, body, as_member, as_admin) in routes(&library).await {
            for (caller, status, code, why) in &strangers {
                let answer = caller.call(method.clone(), &path, body.clone()).await;
                println!("{why}: {}", answer.asked);
                let answer = answer.is(*status);
                let challenge = answer.header("www-authenticate");
                assert!(challenge.starts_with("Bearer"), "{challenge}");
                assert_eq!(challenge.contains("error="), *code != "missing_token", "{challenge}");
                if method != Method::HEAD {
                    answer.problem(*status, code);
                }
            }
            library.member().call(method.clone(), &path, body.clone()).await.is(as_member);
            library.admin().call(method, &path, body).await.is(as_admin);
        }
    })
    .await;
}

#[tokio::test]
async fn role_is_checked_before_the_body_is_read() {
    on_each_database(async |library| {
        let rubbish = || Some("{".repeat(100_000));
        for (caller, status) in [(library.nobody(), 401), (library.member(), 403), (library.admin(), 413)] {
            caller.call(Method::POST, "/books", rubbish()).await.is(status);
        }
    })
    .await;
}

#[tokio::test]
async fn a_token_stands_in_one_header_only() {
    on_each(async |database| {
        let good = token(&claims(Role::Member));
        let plain = Library::start(&database.url, []).await;
        let old = Library::start(&database.url, [("ACCESS_TOKEN_HEADER", "x-access-token")]).await;
        let bearer = |library: &Library| library.bearer(&good).headers;
        let cases = [
            (&plain, bearer(&plain), 200, "Authorization"),
            (&plain, vec![("Authorization", format!("bEARER {good}"))], 200, "the scheme in any case"),
            (&plain, [bearer(&plain), bearer(&plain)].concat(), 401, "two of them"),
            (&plain, vec![("x-access-token", good.clone())], 401, "a header that is not set up"),
            (&old, vec![("x-access-token", good.clone())], 200, "a header that is set up"),
            (&old, [bearer(&old), vec![("x-access-token", good.clone())]].concat(), 401, "both headers"),
        ];
        for (library, headers, status, why) in cases {
            println!("{why}");
            Caller { library, headers }.get("/books").await.is(status);
        }
        plain.nobody().get(&format!("/books?access_token={good}")).await.problem(401, "missing_token");
    })
    .await;
}

#[tokio::test]
async fn a_token_signed_with_the_secret_before_counts() {
    on_each(async |database| {
        let settings = [("ACCESS_TOKEN_SECRET", "another secret, of 32 bytes and more, made today")];
        let good = token(&claims(Role::Member));
        Library::start(&database.url, settings).await.bearer(&good).get("/books").await.is(401);
        let settings = [settings[0], ("ACCESS_TOKEN_SECRET_PREVIOUS", SECRET)];
        Library::start(&database.url, settings).await.bearer(&good).get("/books").await.is(200);
    })
    .await;
}

#[tokio::test]
async fn unknown_path_is_404_and_wrong_method_405() {
    on_each_database(async |library| {
        let admin = library.admin();
        let answer = admin.put("/books", &a_book()).await.problem(405, "method_not_allowed");
        assert_eq!(answer.header("allow"), "OPTIONS, GET, HEAD, POST");
        let answer = admin.post("/books/1", &a_book()).await.problem(405, "method_not_allowed");
        assert_eq!(answer.header("allow"), "OPTIONS, GET, HEAD, PUT, PATCH, DELETE");
        let answer = library.nobody().call(Method::OPTIONS, "/books", None).await.is(204);
        assert_eq!(answer.header("allow"), "OPTIONS, GET, HEAD, POST");
        admin.get("/book").await.problem(404, "not_found");
        admin.clone().with("Accept", "text/html").get("/books").await.is(200);
        library.nobody().get("/livez").await.is(200);
        library.nobody().get("/readyz").await.is(200);
    })
    .await;
}
