use std::collections::BTreeSet;

use reqwest::Method;
use serde_json::Value;

use crate::caller::Caller;
use crate::targets::walk;

const AUTH_TABLE: &str = include_str!("../../../auth-service/src/routes/mod.rs");
const BOOKS_TABLE: &str = include_str!("../../../books-service/src/routes/mod.rs");

/// Described paths that are not in the URL table.
const BESIDE_THE_TABLE: [&str; 3] = ["/livez", "/readyz", "/openapi.json"];

#[tokio::test]
async fn every_call_is_described_and_nothing_else() {
    walk(async |stack| {
        for (service, table, least) in [(stack.auth(), AUTH_TABLE, 21), (stack.books(), BOOKS_TABLE, 8)] {
            let document = service.get("/openapi.json").await.is(200).json();
            let (served, described) = (served(&service, table).await, described(&document));
            assert!(served.len() >= least, "too few entries in the URL table");
            assert_eq!(described, served);
        }
    })
    .await;
}

/// Methods and paths as the URL table has them; `HEAD` goes with `GET`, and `OPTIONS` with everything.
async fn served(service: &Caller<'_>, table: &str) -> BTreeSet<String> {
    let paths = table.split("at(\"").skip(1).map(|rest| rest.split('"').next().unwrap());
    let mut calls = BTreeSet::new();
    for path in paths.chain(BESIDE_THE_TABLE) {
        let answer = service.call(Method::OPTIONS, path, None).await.is(204);
        let methods = answer.header("allow").split(", ").filter(|method| !["OPTIONS", "HEAD"].contains(method));
        calls.extend(methods.map(|method| format!("{method} {path}")));
    }
    calls
}

fn described(document: &Value) -> BTreeSet<String> {
    let paths = document["paths"].as_object().unwrap().iter();
    let calls = paths.flat_map(|(path, item)| item.as_object().unwrap().keys().map(move |method| (path, method)));
    calls.map(|(path, method)| format!("{} {path}", method.to_uppercase())).collect()
}

#[tokio::test]
async fn document_and_its_page_need_no_token() {
    walk(async |stack| {
        for service in [stack.auth(), stack.books()] {
            let browser = service.clone().with("Accept", "text/html,image/*;q=0.8");
            for (path, kind, why) in [
                ("/docs", "text/html; charset=utf-8", "the page"),
                ("/docs/start.js", "text/javascript; charset=utf-8", "ours"),
                ("/docs/swagger-ui-bundle.js", "text/javascript; charset=utf-8", "of Swagger UI"),
                ("/docs/swagger-ui.css", "text/css; charset=utf-8", "its style"),
                ("/docs/favicon-32x32.png", "image/png", "its sign"),
            ] {
                println!("{why}");
                let answer = browser.get(path).await.is(200);
                assert_eq!(answer.header("content-type"), kind);
                assert_eq!(answer.header("cache-control"), "public, max-age=0, must-revalidate");
                let known = browser.clone().with("If-None-Match", answer.header("etag"));
                let again = known.get(path).await.is(304);
                let policy = answer.header("content-security-policy");
                assert_eq!(again.header("content-security-policy"), policy, "a 304 updates the cached headers");
                assert_eq!(policy.contains("script-src 'self';"), path == "/docs", "{policy}");
                assert!(!policy.contains("http") && !policy.contains('*'), "no other origin is allowed: {policy}");
            }
            browser.get("/docs/swagger-initializer.js").await.refused(404, "not_found");
            browser.get("/openapi.json").await.is(200);
            let answer = service.get("/openapi.json").await.is(200);
            assert_eq!(answer.header("content-type"), "application/json");
            service.clone().with("If-None-Match", answer.header("etag")).get("/openapi.json").await.is(304);
            browser.call(Method::POST, "/docs", None).await.refused(405, "method_not_allowed");
        }
    })
    .await;
}
