use reqwest::Method;
use shared_service::Settings;

use crate::caller::Answer;
use crate::library::{Database, Library};

const AUTH: (&str, &str) = ("AUTH_PUBLIC_URL", "https://auth.example");

/// The URLs of the document's scripts, style sheet and image.
fn parts(document: &Answer) -> Vec<String> {
    let places = document.body.split("\"web/").skip(1);
    places.map(|rest| format!("/web/{}", rest.split('"').next().unwrap())).collect()
}

#[tokio::test]
async fn page_is_served_with_its_policy_and_names_auth_service() {
    let database = Database::sqlite();
    let library = Library::start(&database.url, [AUTH]).await;
    let document = library.nobody().get("/").await.is(200);
    assert_eq!(document.header("content-type"), "text/html; charset=utf-8");
    assert!(document.body.contains(r#"<meta name="auth-service" content="https://auth.example">"#));
    let policy = document.header("content-security-policy");
    for part in ["default-src 'none'", "connect-src 'self' https://auth.example;", "frame-ancestors 'none'"] {
        assert!(policy.contains(part), "{part} in {policy}");
    }
    assert!(!policy.contains("unsafe") && !policy.contains('*'), "{policy}");
    assert!(!document.body.contains("style=") && !document.body.contains(" on"), "nothing that the policy blocks");
    let parts = parts(&document);
    assert!(parts.len() > 5, "{parts:?}");
    for path in parts.iter().map(String::as_str).chain(["/"]) {
        let part = library.nobody().get(path).await.is(200);
        assert_eq!(part.header("cache-control"), "public, max-age=0, must-revalidate", "{path}");
        assert_eq!(part.header("x-content-type-options"), "nosniff", "{path}");
        library.nobody().with("If-None-Match", part.header("etag")).get(path).await.is(304);
        let head = library.nobody().call(Method::HEAD, path, None).await.is(200);
        assert_eq!((head.header("etag"), head.body.len()), (part.header("etag"), 0), "{path}");
        library.nobody().call(Method::POST, path, None).await.problem(405, "method_not_allowed");
    }
    library.nobody().get("/web/nothing.js").await.problem(404, "not_found");
    database.remove().await;
}

#[tokio::test]
async fn page_is_served_only_where_it_is_wanted_and_auth_service_is_named() {
    let database = Database::sqlite();
    for settings in [[("WEB", "true"), ("LOG_FORMAT", "text")], [("WEB", "false"), AUTH]] {
        let library = Library::start(&database.url, settings).await;
        library.nobody().get("/web/app.js").await.problem(404, "not_found");
        let documentation = library.nobody().get("/").await.is(200).body;
        assert!(documentation.contains("swagger"), "{documentation}");
    }
    database.remove().await;
}

#[test]
fn address_of_auth_service_for_browsers_is_an_origin() {
    for wrong in ["auth.example", "https://auth.example/login", "https://a;sandbox", "https://a\"b"] {
        let mut settings = Settings::from_pairs([("AUTH_PUBLIC_URL", wrong)]);
        books_service::Config::read(&mut settings);
        let error = settings.finish().unwrap_err().to_string();
        assert!(error.contains("AUTH_PUBLIC_URL must be scheme, host and port alone"), "{wrong}: {error}");
    }
}
