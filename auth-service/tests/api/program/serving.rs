use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use rustix::process::Signal;
use tokio::time::{sleep, timeout};

use sqlx::Executor as _;

use super::{Desk, head_of_login, login_body, status};
use crate::database::Database;
use crate::service::{ACCESS_SECRET, GOOD, REFRESH_SECRET};

#[tokio::test]
async fn sigterm_finishes_requests_in_flight() {
    for signal in [Signal::TERM, Signal::INT] {
        let desk = Desk::new();
        desk.run(&["users", "add", "anna"], GOOD).is(0);
        let service = desk.serve();
        let body = login_body("anna");
        let mut stream = TcpStream::connect(service.addr).unwrap();
        write!(stream, "{}Connection: close\r\nExpect: 100-continue\r\n\r\n", head_of_login(body.len())).unwrap();
        assert_eq!(status(&mut stream), 100, "the request is in flight");
        service.signal(signal);
        let closed = async {
            while TcpStream::connect(service.addr).is_ok() {
                sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(Duration::from_secs(5), closed).await.expect("new connections are refused");
        stream.write_all(body.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.contains("HTTP/1.1 200 OK"), "{answer}");
        assert!(answer.contains("accessToken"), "{answer}");
        let (code, log) = service.end().await;
        assert_eq!(code, Some(0), "{log}");
        assert!(log.contains("stopping"), "{log}");
    }
}

#[tokio::test]
async fn idle_connection_does_not_delay_the_shutdown() {
    let service = Desk::new().serve();
    let mut idle = TcpStream::connect(service.addr).unwrap();
    write!(idle, "GET /livez HTTP/1.1\r\nHost: test\r\n\r\n").unwrap();
    assert_eq!(status(&mut idle), 200);
    service.signal(Signal::TERM);
    let (code, log) = timeout(Duration::from_secs(3), service.end()).await.expect("the service does not wait");
    assert_eq!(code, Some(0), "{log}");
}

#[tokio::test]
async fn hangup_without_tls_changes_nothing() {
    for metrics in ["", "127.0.0.1:0"] {
        let desk = Desk::new().set("AUTH_METRICS_ADDR", metrics);
        let service = desk.serve();
        for _ in 0..3 {
            service.signal(Signal::HUP);
            let mut stream = TcpStream::connect(service.addr).unwrap();
            write!(stream, "GET /livez HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n").unwrap();
            assert_eq!(status(&mut stream), 200, "metrics: {metrics}");
        }
        service.signal(Signal::TERM);
        let (code, log) = service.end().await;
        assert_eq!(code, Some(0), "metrics: {metrics}: {log}");
    }
}

#[tokio::test]
async fn log_contains_no_secrets() {
    let desk = Desk::new().set("RUST_LOG", "debug").set("DEMO_DATA", "true");
    let service = desk.serve();
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let email = "zoe.secret@example.org";
    let body = serde_json::json!({"username": "zoe", "password": GOOD, "email": email});
    client.post(service.url("/register")).json(&body).send().await.unwrap();
    let pair: serde_json::Value =
        client.post(service.url("/login")).json(&body).send().await.unwrap().json().await.unwrap();
    let (access, refresh) = (pair["accessToken"].as_str().unwrap(), pair["refreshToken"].as_str().unwrap());
    for path in ["/token", "/token", "/logout"] {
        client.post(service.url(path)).json(&serde_json::json!({"token": refresh})).send().await.unwrap();
    }
    client.get(service.url("/me?access_token=queried-secret")).bearer_auth(access).send().await.unwrap();
    let wrong = serde_json::json!({"username": email, "password": "wrong-secret"});
    client.post(service.url("/login")).json(&wrong).send().await.unwrap();
    drop(client);
    service.signal(Signal::TERM);
    let (_, log) = service.end().await;
    assert!(log.contains("route=/login"), "{log}");
    let signature = |token: &str| token.rsplit_once('.').unwrap().1.to_owned();
    let secrets = [GOOD, email, "wrong-secret", "queried-secret", ACCESS_SECRET, REFRESH_SECRET];
    for secret in secrets.map(str::to_owned).into_iter().chain([signature(access), signature(refresh)]) {
        assert!(!log.contains(&secret), "{secret} in {log}");
    }
}

#[tokio::test]
async fn probes_and_polls_are_logged_at_debug_and_a_refused_origin_once() {
    let desk = Desk::new().set("RUST_LOG", "info");
    let service = desk.serve();
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let ask = async |path: &str, name: &str, value: &str| {
        client.get(service.url(path)).header(name, value).send().await.unwrap();
    };
    for _ in 0..2 {
        ask("/livez", "accept", "*/*").await;
        ask("/readyz", "origin", &service.url("")).await;
        ask("/revocations", "accept", "*/*").await;
        ask("/nowhere", "origin", "https://app.example").await;
    }
    for origin in ["rubbish", "https://app.example/path", &format!("https://{}", "a".repeat(300))] {
        ask("/livez", "origin", origin).await;
    }
    service.signal(Signal::TERM);
    let (_, log) = service.end().await;
    let requests: Vec<_> = log.lines().filter(|line| line.contains(" http request ")).collect();
    assert_eq!(requests.len(), 2, "only the calls of /nowhere are logged: {log}");
    assert!(requests.iter().all(|line| line.contains("service=auth-service")), "{log}");
    assert_eq!(log.matches("ALLOWED_ORIGINS does not name").count(), 1, "{log}");
    assert!(log.contains("pages of https://app.example call"), "{log}");
}

#[tokio::test]
async fn root_leads_a_browser_to_the_document() {
    let desk = Desk::new();
    let service = desk.serve();
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let answer = client.get(service.url("/")).send().await.unwrap();
    assert_eq!((answer.status().as_u16(), answer.url().path()), (200, "/docs"));
}

/// Another process writes, such as an import.
#[tokio::test]
async fn service_starts_and_commands_read_while_the_database_is_locked() {
    let desk = Desk::new();
    drop(desk.serve());
    let database = Database::at(&format!("sqlite://{}/auth.db", desk.folder.display()));
    let mut import = database.connect().await;
    import.execute("BEGIN IMMEDIATE").await.unwrap();
    desk.run(&["users", "export"], "").is(0);
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let ready = client.get(desk.serve().url("/readyz")).send().await.unwrap();
    assert_eq!(ready.status().as_u16(), 200);
}
