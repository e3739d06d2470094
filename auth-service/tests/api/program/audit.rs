//! The audit log: one line per event, with user, address and request id.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use reqwest::{Client, Method};
use rustix::process::Signal;
use serde_json::{Value, json};

use super::{Desk, Served};
use crate::busy::retried;
use crate::service::{ADMIN, GOOD, MEMBER};

const ADDRESS: &str = "198.51.100.7";

struct Script<'a> {
    service: &'a Served,
    client: Client,
    /// Request id and event of each step so far.
    expected: Vec<(String, &'static str)>,
    asked: Instant,
    /// True once a call that should be throttled came after the wait of a second that the call before it caused.
    late: &'a Cell<bool>,
}

impl Script<'_> {
    /// Makes a call that must log the event `event`.
    async fn call(&mut self, event: &'static str, method: &str, path: &str, token: &str, body: Value) -> Value {
        let id = format!("step-{}", self.expected.len());
        let before = std::mem::replace(&mut self.asked, Instant::now());
        let request = self.client.request(method.parse::<Method>().unwrap(), self.service.url(path));
        let request = request.header("X-Request-Id", &id).header("X-Forwarded-For", ADDRESS).bearer_auth(token);
        let answer = request.json(&body).send().await.unwrap().text().await.unwrap();
        self.expected.push((id, event));
        if event.ends_with(".throttled") && before.elapsed() >= Duration::from_secs(1) {
            self.late.set(true);
        }
        serde_json::from_str(&answer).unwrap_or_default()
    }

    async fn log_in(&mut self, event: &'static str, (name, password): (&str, &str)) -> (String, String) {
        let answer = self.call(event, "POST", "/login", "", json!({"username": name, "password": password})).await;
        let token = |name: &str| answer[name].as_str().unwrap_or_default().to_owned();
        (token("accessToken"), token("refreshToken"))
    }
}

#[tokio::test]
async fn each_security_event_is_one_line() {
    let late = Cell::new(false);
    let run = async || {
        late.set(false);
        play(&late).await;
    };
    retried(run, |_| late.get()).await;
}

/// Makes a call for each event, and compares the log with them.
async fn play(late: &Cell<bool>) {
    let desk = Desk::new().set("LOG_FORMAT", "json").set("DEMO_DATA", "true").set("REFRESH_GRACE", "0");
    // The poll is slow, because the access token of a password change is refused once the list is read again.
    let desk = desk.set("TRUSTED_PROXIES", "127.0.0.1").set("ACCOUNT_FAILURE_LIMIT", "1").set("REVOCATION_POLL", "1m");
    let service = desk.serve();
    let client = Client::builder().no_proxy().build().unwrap();
    let mut script = Script { service: &service, client, expected: Vec::new(), asked: Instant::now(), late };

    let (admin, _) = script.log_in("login.ok", ADMIN).await;
    let (_, refresh) = script.log_in("login.ok", MEMBER).await;
    let next = script.call("refresh.ok", "POST", "/token", "", json!({"token": refresh})).await;
    script.call("refresh.replayed", "POST", "/token", "", json!({"token": refresh})).await;
    script.call("refresh.gone", "POST", "/token", "", json!({"token": next["refreshToken"]})).await;
    script.call("refresh.unproven", "POST", "/token", "", json!({"token": "garbage\n{}"})).await;
    let (_, refresh) = script.log_in("login.ok", MEMBER).await;
    script.call("logout", "POST", "/logout", "", json!({"token": refresh})).await;
    script.log_in("login.failed", (MEMBER.0, "wrong")).await;
    script.log_in("login.throttled", MEMBER).await;
    script.log_in("login.failed", ("nobody\n{\"event\":\"forged\"}", "wrong")).await;

    let newcomer = json!({"username": "zoe", "password": GOOD});
    let zoe = script.call("user.registered", "POST", "/register", "", newcomer).await;
    let zoe = format!("/users/{}", zoe["user"]["id"].as_str().unwrap());
    let (hers, _) = script.log_in("login.ok", ("zoe", GOOD)).await;
    let change = json!({"currentPassword": GOOD, "newPassword": "another vK7#qz!Lw2"});
    script.call("password.changed", "PUT", "/me/password", &hers, change.clone()).await;
    script.call("password.wrong", "PUT", "/me/password", &hers, change.clone()).await;
    script.call("password.throttled", "PUT", "/me/password", &hers, change).await;
    script.call("session.all_ended", "DELETE", "/me/sessions", &hers, Value::Null).await;
    script.call("role.changed", "PATCH", &zoe, &admin, json!({"role": "admin"})).await;
    script.call("user.disabled", "PATCH", &zoe, &admin, json!({"disabled": true})).await;
    script.call("user.enabled", "PATCH", &zoe, &admin, json!({"disabled": false})).await;
    script.call("session.all_ended", "DELETE", &format!("{zoe}/sessions"), &admin, Value::Null).await;
    script.call("user.deleted", "DELETE", &zoe, &admin, Value::Null).await;
    let added = json!({"username": "max", "password": GOOD, "role": "admin"});
    script.call("user.added", "POST", "/users", &admin, added).await;

    let expected = script.expected;
    service.signal(Signal::TERM);
    assert_logged(&expected, &service.end().await.1);
}

/// Asserts that each step has logged its line, and that no other line was logged.
fn assert_logged(expected: &[(String, &'static str)], log: &str) {
    let lines: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).expect(line)).collect();
    let audit: Vec<&Value> = lines.iter().filter(|line| line["target"] == "audit").collect();
    for (id, event) in expected {
        let of_step: Vec<_> = audit.iter().filter(|line| line["request_id"] == *id).collect();
        let [line] = of_step[..] else { panic!("{event}: {of_step:?}") };
        assert_eq!(line["event"], *event, "{line}");
        assert_eq!(line["address"], ADDRESS, "{line}");
        let nobody = ["login.throttled", "refresh.unproven", "password.throttled"].contains(event);
        assert_eq!(line["user"].is_string(), !nobody, "{line}");
        let of_session = ["login.ok", "refresh.ok", "refresh.replayed", "refresh.gone", "logout", "password.changed"];
        assert!(line["session"].is_string() || !of_session.contains(event), "{line}");
        let by_admin = ["role.changed", "user.disabled", "user.enabled", "user.added"].contains(event);
        assert!((line["by"].is_string() && line["by_session"].is_string()) || !by_admin, "{line}");
    }
    let asked = audit.iter().filter(|line| line["request_id"].is_string()).count();
    assert_eq!(asked, expected.len(), "an audit line belongs to no step");
    assert!(!log.contains("forged"), "{log}");
}

#[tokio::test]
async fn secrets_in_use_are_logged_by_their_kid() {
    let previous = "the access secret before this one, 32 bytes";
    let desk = Desk::new().set("LOG_FORMAT", "json").set("ACCESS_TOKEN_SECRET_PREVIOUS", previous);
    let out = desk.set("AUTH_ADDR", "192.0.2.1:1").run(&[], "").is(1).err;
    let lines = out.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let secrets: Vec<Value> = lines.filter(|line| line["event"] == "secret.in_use").collect();
    let settings: Vec<_> = secrets.iter().map(|line| line["setting"].as_str().unwrap()).collect();
    assert_eq!(settings, ["ACCESS_TOKEN_SECRET", "ACCESS_TOKEN_SECRET_PREVIOUS", "REFRESH_TOKEN_SECRET"]);
    assert!(secrets.iter().all(|line| line["kid"].as_str().is_some_and(|kid| kid.len() == 11)), "{secrets:?}");
    assert!(!out.contains(previous));
}

#[tokio::test]
async fn untrusted_proxy_is_logged_once() {
    let service = Desk::new().serve();
    let client = Client::builder().no_proxy().build().unwrap();
    for _ in 0..3 {
        let request = client.get(service.url("/livez")).header("X-Forwarded-For", ADDRESS);
        assert!(request.send().await.unwrap().status().is_success());
    }
    service.signal(Signal::TERM);
    let (_, log) = service.end().await;
    assert_eq!(log.matches("TRUSTED_PROXIES").count(), 1, "{log}");
    assert!(log.contains("127.0.0.1 sends X-Forwarded-For") && !log.contains(&format!("address={ADDRESS}")), "{log}");
}

/// A busy worker writes the access lines of many requests at once.
#[tokio::test]
async fn each_request_of_a_burst_has_one_line() {
    const BURST: usize = 100;
    let service = Desk::new().set("LOG_FORMAT", "json").set("WORKERS", "1").set("TRUSTED_PROXIES", "127.0.0.1").serve();
    let client = Client::builder().no_proxy().build().unwrap();
    let ids: BTreeSet<String> = (0..BURST).map(|number| format!("burst-{number}")).collect();
    let call = |id| client.get(service.url("/me")).header("X-Request-Id", id).send();
    for answer in join_all(ids.iter().map(call)).await {
        assert_eq!(answer.unwrap().status(), 401);
    }
    service.signal(Signal::TERM);
    let (_, log) = service.end().await;
    let lines: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).expect(line)).collect();
    let logged: Vec<_> = lines.iter().filter(|line| line["target"] == "http").collect();
    assert_eq!(logged.len(), BURST);
    assert_eq!(
        logged.iter().filter_map(|line| line["request_id"].as_str().map(str::to_owned)).collect::<BTreeSet<_>>(),
        ids
    );
}
