/// A metrics page and its series.
mod page;
/// The alerts, the dashboard and promtool.
mod watched;

use reqwest::Method;
use rustix::process::Signal;
use serde_json::json;
use tokio::net::TcpStream;

use self::page::{Page, pages, shown_at};
use self::watched::{checked, whatever_is_watched_is_shown};
use crate::local_stack::start_with;
use crate::process::Folder;
use crate::stack::{PASSWORD, Stack, a_book, unique};
use crate::targets::{greeted, walk_watching};

const ADDRESSES: [(&str, &str); 2] = [("AUTH_METRICS_ADDR", "127.0.0.1:0"), ("BOOKS_METRICS_ADDR", "127.0.0.1:0")];

/// Sends a few valid and invalid requests as members, admins and anonymous clients.
async fn some_load(stack: &Stack) {
    let name = unique("carla");
    stack.auth().post("/register", json!({"username": name, "password": PASSWORD})).await.is(201);
    let tokens = stack.log_in(&name, PASSWORD).await;
    let wrong = json!({"username": name, "password": "a wrong one"});
    stack.auth().post("/login", wrong).await.refused(401, "invalid_credentials");
    stack.refresh(&tokens.refresh).await.tokens();
    stack.refresh("no token").await.refused(403, "invalid_refresh_token");
    stack.refresh(&tokens.refresh).await.refused(403, "invalid_refresh_token");
    let john = stack.books().bearer(stack.john().await.access);
    john.post("/books", a_book("Emma")).await.is(201);
    for number in 0..20 {
        john.get("/books").await.is(200);
        john.get(&format!("/books/{}", unique("book"))).await.is(404);
        stack.auth().get(&format!("/{}", unique("path"))).await.is(404);
        let method = Method::from_bytes(format!("BREW{number}").as_bytes()).unwrap();
        stack.books().try_call(method, "/books", None).await.unwrap().is(405);
    }
}

#[tokio::test]
#[cfg_attr(not(feature = "all-tests"), ignore = "needs Prometheus: ./test")]
async fn metrics_count_logins_refreshes_and_requests() {
    let settings = [&ADDRESSES[..], &[("REFRESH_GRACE", "0")]].concat();
    walk_watching(&settings, async |stack, programs| {
        some_load(stack).await;
        let [auth, books] = pages(stack, programs).await;
        auth.says(r#"auth_login_total{result="ok"}"#, "2");
        auth.says(r#"auth_login_total{result="wrong"}"#, "1");
        auth.says(r#"auth_login_total{result="throttled"}"#, "0");
        for result in ["ok", "unproven", "replayed"] {
            auth.says(&format!(r#"auth_refresh_total{{result="{result}"}}"#), "1");
        }
        auth.says("auth_password_hash_seconds_count", "4");
        auth.says(r#"auth_password_queue_depth{service="auth-service"}"#, "0");
        // One session ended by a replay, and one is open. With Redis, there is no such gauge.
        let in_sql = (programs.len() == 1).then_some("1");
        assert_eq!(auth.value(r#"auth_sessions_open{service="auth-service"}"#), in_sql, "{}", stack.name);
        books.says(&count("books-service", "GET", "/books", 200), "20");
        books.says(&count("books-service", "GET", "/books/{id}", 404), "20");
        books.says(&count("books-service", "_OTHER", "/books", 405), "20");
        books.says(r#"store_errors_total{store="books"}"#, "0");
        auth.says(&count("auth-service", "GET", "-", 404), "20");
        few_labels(&auth);
        few_labels(&books);
        checked(&auth);
        checked(&books);
        whatever_is_watched_is_shown(&auth, &books);
    })
    .await;
}

/// The series that counts the responses of this status.
fn count(service: &str, method: &str, route: &str, status: u16) -> String {
    format!(
        r#"http_server_request_duration_seconds_count{{service="{service}",http_request_method="{method}",http_route="{route}",http_response_status_code="{status}"}}"#
    )
}

/// Fails if a label has a value that a client has made up.
fn few_labels(page: &Page) {
    let known = ["GET", "POST", "_OTHER"];
    assert!(page.labels("http_request_method").iter().all(|method| known.contains(method)), "{}", page.0);
    let made_up = |route: &&str| route.contains("path-") || route.contains("book-");
    assert!(!page.labels("http_route").iter().any(made_up), "{}", page.0);
}

/// Each metrics address of a process shows all its services; a public address shows no metrics.
#[tokio::test]
async fn one_address_shows_the_whole_process_and_the_public_one_nothing() {
    let folder = Folder::new();
    let program = start_with(&folder, &ADDRESSES[1..]);
    let stack = greeted(&program).await;
    stack.anna().await;
    let page = Page::of(&stack, &program, "books-service").await;
    for service in ["auth-service", "books-service"] {
        assert!(page.labels("service").contains(service), "{service} in {}", page.0);
    }
    page.says(&count("auth-service", "POST", "/login", 200), "1");
    for base in [stack.auth(), stack.books()] {
        base.get("/metrics").await.refused(404, "not_found");
    }
}

#[tokio::test]
async fn the_page_stops_with_the_service() {
    let folder = Folder::new();
    let program = start_with(&folder, &ADDRESSES);
    let address = shown_at(&program, "auth-service").await;
    let kept = reqwest::Client::builder().no_proxy().build().unwrap();
    kept.get(format!("http://{address}/metrics")).send().await.unwrap().error_for_status().unwrap();
    program.signal(Signal::TERM);
    let (code, output) = program.end().await;
    assert_eq!(code, Some(0), "{output:#?}");
    assert!(TcpStream::connect(address).await.is_err(), "the metrics address must be closed");
}
