//! Properties of every request.

use std::collections::HashSet;

use reqwest::Method;
use serde_json::json;

use crate::service::{ADMIN, MEMBER, Service};

#[tokio::test]
async fn wrong_method_is_405_with_allow() {
    let service = Service::start([]).await;
    let admin = service.admin().await;
    for (path, allow) in [
        ("/register", "OPTIONS, POST"),
        ("/login", "OPTIONS, POST"),
        ("/token", "OPTIONS, POST"),
        ("/refresh", "OPTIONS, POST"),
        ("/logout", "OPTIONS, POST"),
        ("/me", "OPTIONS, GET, HEAD, DELETE"),
        ("/me/password", "OPTIONS, PUT"),
        ("/me/sessions", "OPTIONS, GET, HEAD, DELETE"),
        ("/me/sessions/1", "OPTIONS, DELETE"),
        ("/users", "OPTIONS, GET, HEAD, POST"),
        ("/users/1", "OPTIONS, GET, HEAD, PATCH, DELETE"),
        ("/users/1/sessions", "OPTIONS, DELETE"),
        ("/livez", "OPTIONS, GET, HEAD"),
        ("/readyz", "OPTIONS, GET, HEAD"),
    ] {
        let answer = service.nobody().call(Method::OPTIONS, path, None).await.is(204);
        assert_eq!(answer.header("allow"), allow, "{path}");
        for method in ["GET", "POST", "PUT", "PATCH", "DELETE", "PROPFIND"] {
            if allow.split(", ").any(|allowed| allowed == method) {
                continue;
            }
            let answer = admin.call(method.parse::<Method>().unwrap(), path, None).await;
            let answer = answer.fails(405, "method_not_allowed");
            assert_eq!(answer.header("allow"), allow, "{method} {path}");
        }
    }
}

#[tokio::test]
async fn unknown_path_is_404() {
    let service = Service::start([]).await;
    let admin = service.admin().await;
    for path in ["/Login", "/login/", "//login", "/me/", "/users/", "/users/1/", "/users/1/2", "/%00"] {
        for method in [Method::GET, Method::POST, Method::DELETE] {
            admin.call(method, path, None).await.fails(404, "not_found");
        }
    }
}

#[tokio::test]
async fn accept_changes_no_answer() {
    let service = Service::start([]).await;
    let body = json!({"username": MEMBER.0, "password": MEMBER.1});
    for accept in
        ["*/*", "text/html", "text/plain", "application/json;q=0", "image/*, text/*", "*/*;q=0", "", "garbage"]
    {
        let caller = service.nobody().with("Accept", accept);
        for (path, status) in [("/livez", 200), ("/readyz", 200), ("/me", 401), ("/nowhere", 404), ("/docs", 200)] {
            caller.get(path).await.is(status);
        }
        let answer = caller.post("/login", &body).await.is(200);
        assert_eq!(answer.header("content-type"), "application/json", "{accept}");
    }
}

#[tokio::test]
async fn request_id_of_a_trusted_proxy_is_kept() {
    let service = Service::start([("TRUSTED_PROXIES", "127.0.0.1")]).await;
    let long = "x".repeat(65);
    for (given, kept) in [
        ("abc-DEF_1.2", true),
        (&long[1..], true),
        (&long, false),
        ("", false),
        ("a b", false),
        ("a\"b", false),
        ("é", false),
        ("{{7*7}}", false),
    ] {
        for path in ["/livez", "/me", "/nowhere"] {
            let answer = service.nobody().with("X-Request-Id", given).get(path).await;
            let id = answer.header("x-request-id");
            assert_eq!(id == given, kept, "{given:?} became {id:?}");
            assert!(kept || (id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit())), "{id}");
        }
    }
    let ids = [service.nobody().get("/livez").await, service.nobody().get("/livez").await];
    assert_ne!(ids[0].header("x-request-id"), ids[1].header("x-request-id"));
}

#[tokio::test]
async fn request_id_of_a_stranger_is_replaced() {
    for trusted in ["", "10.0.0.0/8, 192.0.2.1, ::1"] {
        let service = Service::start([("TRUSTED_PROXIES", trusted)]).await;
        let stranger = service.nobody().with("X-Request-Id", "of-another").with("X-Forwarded-For", "10.0.0.1");
        let mut ids = HashSet::new();
        for path in ["/livez", "/livez", "/me", "/nowhere"] {
            let answer = stranger.get(path).await;
            assert!(ids.insert(answer.header("x-request-id").to_owned()), "{trusted}: an id was given twice: {ids:?}");
        }
        assert!(ids.iter().all(|id| id.len() == 32), "{trusted}: {ids:?}");
    }
}

#[tokio::test]
async fn no_cache_keeps_a_personal_answer() {
    let service = Service::start([("ACCESS_TOKEN_HEADER", "x-access-token")]).await;
    let token = service.log_in(ADMIN).await.access;
    for admin in [service.bearer(&token), service.nobody().with("x-access-token", &token)] {
        let id = admin.get("/me").await.json()["id"].as_str().unwrap().to_owned();
        for path in ["/me", "/me/sessions", "/users", "/users?limit=1", &format!("/users/{id}"), "/livez", "/readyz"] {
            for method in [Method::GET, Method::HEAD] {
                let answer = admin.call(method, path, None).await.is(200);
                assert_eq!(answer.header("cache-control"), "no-store", "{answer:?}");
            }
        }
        let answer = admin.patch(&format!("/users/{id}"), &json!({"email": "john@example.com"})).await.is(200);
        assert_eq!(answer.header("cache-control"), "no-store", "{answer:?}");
        let answer = admin.delete("/users/1").await.is(404);
        assert_eq!(answer.header_count("cache-control"), 1, "{answer:?}");
    }
}

#[tokio::test]
async fn a_head_says_what_a_get_says_but_for_the_body() {
    let service = Service::start([]).await;
    let admin = service.admin().await;
    for (path, status) in [("/me", 200), ("/users?limit=1", 200), ("/users/1", 404), ("/livez", 200), ("/readyz", 200)]
    {
        let get = admin.get(path).await.is(status);
        let head = admin.call(Method::HEAD, path, None).await.is(status);
        assert_eq!(head.body, "");
        for name in ["content-type", "content-length", "link", "x-total-count", "cache-control"] {
            assert_eq!(head.header(name), get.header(name), "{name} of {path}");
        }
    }
}

#[tokio::test]
async fn pages_of_the_origins_that_are_allowed_may_call() {
    let service = Service::start([("ALLOWED_ORIGINS", "https://app.example, http://localhost:5173")]).await;
    let closed = Service::start([]).await;
    for (service, origin, allowed) in [
        (&service, "https://app.example", true),
        (&service, "http://localhost:5173", true),
        (&service, "https://app.example.evil.example", false),
        (&service, "https://evil.example", false),
        (&service, "null", false),
        (&closed, "https://app.example", false),
    ] {
        let page = service.nobody().with("Origin", origin);
        let ask = page
            .clone()
            .with("Access-Control-Request-Method", "PUT")
            .with("Access-Control-Request-Headers", "authorization,content-type");
        let answer = ask.call(Method::OPTIONS, "/me/password", None).await;
        let expected = if allowed { origin } else { "" };
        assert_eq!(answer.header("access-control-allow-origin"), expected, "{answer:?}");
        assert_eq!(answer.header("access-control-allow-methods").contains("PUT"), allowed, "{answer:?}");
        if allowed {
            for path in ["/livez", "/me", "/nowhere"] {
                let answer = page.get(path).await;
                assert_eq!(answer.header("access-control-allow-origin"), origin, "a page can read errors, too");
                assert!(answer.header("access-control-expose-headers").to_lowercase().contains("www-authenticate"));
                assert_eq!(answer.header("access-control-allow-credentials"), "true", "the cookie may be sent");
            }
        }
    }
}

#[tokio::test]
async fn origin_with_its_default_port_is_the_same_origin() {
    let listed = "https://app.example:443, HTTP://Shop.Example:80, https://bücher.example";
    let service = Service::start([("ALLOWED_ORIGINS", listed)]).await;
    for origin in ["https://app.example", "http://shop.example", "https://xn--bcher-kva.example"] {
        let answer = service.nobody().with("Origin", origin).get("/livez").await;
        assert_eq!(answer.header("access-control-allow-origin"), origin);
        let body = json!({"username": MEMBER.0, "password": MEMBER.1, "cookie": true});
        service.nobody().with("Origin", origin).post("/login", &body).await.is(200);
    }
}

#[tokio::test]
async fn preflight_may_ask_for_any_header_or_none() {
    let service = Service::start([("ALLOWED_ORIGINS", "https://app.example")]).await;
    for (origin, is_allowed) in [("https://app.example", true), ("https://evil.example", false)] {
        for headers in
            [None, Some(""), Some("baggage"), Some("sentry-trace, baggage"), Some("cache-control,x-anything")]
        {
            let page = service.nobody().with("Origin", origin).with("Access-Control-Request-Method", "DELETE");
            let page = headers.iter().fold(page, |page, names| page.with("Access-Control-Request-Headers", names));
            let answer = page.call(Method::OPTIONS, "/me/sessions", None).await;
            assert_eq!(answer.status.is_success(), is_allowed, "{answer:?}");
            let allowed = if is_allowed { headers.unwrap_or_default() } else { "" };
            assert_eq!(answer.header("access-control-allow-headers"), allowed, "{answer:?}");
            assert_eq!(answer.header("access-control-max-age"), if is_allowed { "7200" } else { "" }, "{answer:?}");
        }
    }
}

#[tokio::test]
async fn page_can_read_every_header_of_the_document() {
    let service = Service::start([("ALLOWED_ORIGINS", "https://app.example")]).await;
    let document = service.nobody().get("/openapi.json").await.is(200).json();
    let calls = document["paths"].as_object().unwrap().values().flat_map(|path| path.as_object().unwrap().values());
    let answers = calls.flat_map(|call| call["responses"].as_object().unwrap().values());
    let shared = document["components"]["responses"].as_object().unwrap().values();
    let headers: HashSet<String> = answers
        .chain(shared)
        .filter_map(|answer| answer["headers"].as_object())
        .flat_map(|headers| headers.keys().map(|name| name.to_lowercase()))
        .collect();
    assert!(headers.len() > 6, "{headers:?}");
    let answer = service.nobody().with("Origin", "https://app.example").get("/livez").await;
    let exposed = answer.header("access-control-expose-headers").to_lowercase();
    for name in headers {
        // The Fetch standard lets every page read the first two, and hides `Set-Cookie` from all pages.
        let is_fixed = ["cache-control", "content-type"].contains(&&*name) || name == "set-cookie";
        assert!(is_fixed || exposed.split(", ").any(|one| one == name), "{name} is not in {exposed}");
    }
}

#[tokio::test]
async fn health_is_told_without_a_token() {
    let service = Service::start([]).await;
    let live = service.nobody().get("/livez").await.is(200);
    assert_eq!(live.json(), serde_json::json!({"status": "ok"}));
    let ready = service.nobody().get("/readyz").await.is(200);
    assert_eq!(ready.json(), serde_json::json!({"status": "ready"}));
}
