//! Rotation as in docs/runbook.md: from a shared secret to a private key of auth-service, and from it to another key.

use std::cell::{Cell, RefCell};
use std::fs;
use std::process::Command;
use std::rc::Rc;
use std::time::{Duration, Instant};

use futures_util::future::{join, join_all};
use rustix::process::Signal;
use serde_json::json;

use crate::process::{Folder, Program};
use crate::stack::{PASSWORD, Stack, unique};
use crate::targets::{Database, binary, is_outside, logged, random_secret, redis_url};

/// The number of clients that send requests continuously.
const CLIENTS: usize = 3;

/// A service behind a proxy that holds requests back while it is restarted.
struct Service {
    name: &'static str,
    address: RefCell<String>,
    program: RefCell<Option<Program>>,
    is_away: Cell<bool>,
    busy: Cell<usize>,
}

impl Service {
    fn new(name: &'static str) -> Self {
        let address = RefCell::new("127.0.0.1:0".to_owned());
        Self { name, address, program: RefCell::default(), is_away: Cell::default(), busy: Cell::default() }
    }

    async fn restart(&self, folder: &Folder, settings: &[(&str, &str)]) {
        self.is_away.set(true);
        while self.busy.get() > 0 {
            pause().await;
        }
        self.stop().await;
        let address = self.address.borrow().clone();
        let addr = if self.name == "auth-service" { "AUTH_ADDR" } else { "BOOKS_ADDR" };
        let ours = [(addr, &*address), ("WORKERS", "2"), ("BCRYPT_COST", "4"), ("IP_RATE_LIMIT", "0")];
        let program = Program::start(&binary(self.name), folder.path(), &[&ours[..], settings].concat());
        let base = logged(&program).await;
        self.address.replace(base.trim_start_matches("http://").to_owned());
        self.program.replace(Some(program));
        self.is_away.set(false);
    }

    async fn stop(&self) {
        if let Some(program) = self.program.take() {
            program.signal(Signal::TERM);
            assert_eq!(program.end().await.0, Some(0));
        }
    }

    fn url(&self) -> String {
        format!("http://{}", self.address.borrow())
    }
}

async fn pause() {
    tokio::time::sleep(Duration::from_millis(2)).await;
}

/// Logs in, refreshes and reads until it is over. Every request succeeds.
async fn use_all(auth: &Service, books: &Service, over: &Cell<bool>, rounds: &Cell<usize>) {
    let name = unique("visitor");
    let (mut is_new, mut last) = (true, None);
    while !over.get() {
        if auth.is_away.get() || books.is_away.get() {
            pause().await;
            continue;
        }
        for service in [auth, books] {
            service.busy.set(service.busy.get() + 1);
        }
        let stack = Stack::new("keys", auth.url(), books.url());
        if is_new {
            stack.auth().post("/register", json!({"username": name, "password": PASSWORD})).await.is(201);
            is_new = false;
        }
        let tokens = stack.log_in(&name, PASSWORD).await;
        let next = stack.refresh(&tokens.refresh).await.tokens();
        // The token of the previous round may be signed with the previous key.
        for token in [&tokens.access, &next.access].into_iter().chain(&last) {
            stack.auth().bearer(token).get("/me").await.is(200);
            stack.books().bearer(token).get("/books").await.is(200);
        }
        last = Some(next.access);
        rounds.set(rounds.get() + 1);
        for service in [auth, books] {
            service.busy.set(service.busy.get() - 1);
        }
    }
}

#[tokio::test]
#[cfg_attr(not(feature = "all-tests"), ignore = "needs Postgres and Redis: ./test")]
async fn secret_is_replaced_by_a_key_and_that_by_another_without_one_failed_request() {
    if is_outside("replacing keys") {
        return;
    }
    let (people, library, redis, folder) = (Database::new().await, Database::new().await, redis_url(), Folder::new());
    let (access, refresh) = (random_secret(), random_secret());
    let file = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (current, previous) = (file("current.pem"), file("previous.pem"));
    let [first, second, third] = ["ES256", "ES256", "EdDSA"].map(generated);
    fs::write(&previous, &first).unwrap();
    let (auth, books) = (Service::new("auth-service"), Service::new("books-service"));
    let stores = [("AUTH_DATABASE_URL", &*people.url), ("REDIS_URL", &*redis), ("REFRESH_TOKEN_SECRET", &*refresh)];
    let secret = ("ACCESS_TOKEN_SECRET", &*access);
    let files = [("ACCESS_TOKEN_KEY_FILE", &*current), ("ACCESS_TOKEN_KEY_PREVIOUS_FILE", &*previous)];
    auth.restart(&folder, &[&stores[..], &[secret]].concat()).await;
    let auth_url = auth.url();
    let jwks = format!("{auth_url}/.well-known/jwks.json");
    let (library, auth_url) = (("BOOKS_DATABASE_URL", &*library.url), ("AUTH_URL", &*auth_url));
    books.restart(&folder, &[library, auth_url, secret]).await;
    let (over, rounds) = (Cell::new(false), Cell::new(0));
    let rest = async || {
        let begun = rounds.get();
        while rounds.get() < begun + 3 * CLIENTS {
            pause().await;
        }
        // After this time, all verifiers have polled.
        tokio::time::sleep(Duration::from_millis(1500)).await;
    };
    let operator = async {
        rest().await;
        auth.restart(&folder, &[&stores[..], &[secret, files[1]]].concat()).await;
        books.restart(&folder, &[library, auth_url, secret, ("ACCESS_TOKEN_JWKS_URL", &*jwks)]).await;
        rest().await;
        fs::write(&current, &first).unwrap();
        fs::write(&previous, "").unwrap();
        auth.restart(&folder, &[&stores[..], &[secret], &files[..]].concat()).await;
        rest().await;
        auth.restart(&folder, &[&stores[..], &files[..]].concat()).await;
        books.restart(&folder, &[library, auth_url]).await;
        rest().await;
        for (standby, old) in [(&second, &first), (&third, &second)] {
            fs::write(&previous, standby).unwrap();
            hang_up(&auth).await;
            rest().await;
            fs::write(&previous, old).unwrap();
            fs::write(&current, standby).unwrap();
            hang_up(&auth).await;
            rest().await;
        }
        over.set(true);
    };
    join(join_all((0..CLIENTS).map(|_| use_all(&auth, &books, &over, &rounds))), operator).await;
    let stack = Rc::new(Stack::new("keys", auth.url(), books.url()));
    let name = unique("visitor");
    stack.auth().post("/register", json!({"username": name, "password": PASSWORD})).await.is(201);
    let tokens = stack.log_in(&name, PASSWORD).await;
    stack.books().bearer(&tokens.access).get("/books").await.is(200);
    // The key has leaked: another key replaces it, and its tokens are refused.
    fs::write(&previous, "").unwrap();
    fs::write(&current, &first).unwrap();
    hang_up(&auth).await;
    let begun = Instant::now();
    while stack.books().bearer(&tokens.access).get("/books").await.is_ok() {
        assert!(begun.elapsed() < Duration::from_millis(1500), "the token of a removed key is still accepted");
    }
    stack.books().bearer(&tokens.access).get("/books").await.refused(401, "invalid_token");
    let renewed = stack.refresh(&tokens.refresh).await.tokens();
    stack.books().bearer(&renewed.access).get("/books").await.is(200);
}

#[tokio::test]
#[cfg_attr(not(feature = "all-tests"), ignore = "needs Postgres: ./test")]
async fn books_service_that_cannot_read_the_keys_answers_503_until_it_can() {
    if is_outside("stopping auth-service") {
        return;
    }
    let (people, library, folder) = (Database::new().await, Database::new().await, Folder::new());
    let (key, refresh) = (generated("ES256"), random_secret());
    let (auth, books) = (Service::new("auth-service"), Service::new("books-service"));
    let settings = [
        ("AUTH_DATABASE_URL", &*people.url),
        ("ACCESS_TOKEN_KEY", key.trim_end()),
        ("REFRESH_TOKEN_SECRET", &*refresh),
    ];
    auth.restart(&folder, &settings).await;
    let auth_url = auth.url();
    let library = [("BOOKS_DATABASE_URL", &*library.url), ("AUTH_URL", &*auth_url)];
    books.restart(&folder, &library).await;
    let stack = Stack::new("keys", auth.url(), books.url());
    let name = unique("visitor");
    stack.auth().post("/register", json!({"username": name, "password": PASSWORD})).await.is(201);
    let token = stack.log_in(&name, PASSWORD).await.access;
    stack.books().bearer(&token).get("/books").await.is(200);
    auth.stop().await;
    stack.books().bearer(&token).get("/books").await.is(200);
    books.restart(&folder, &library).await;
    let refused = stack.books().bearer(&token).get("/books").await.refused(503, "unavailable");
    assert_eq!(refused.header("retry-after"), "1");
    stack.books().get("/readyz").await.refused(503, "not_ready");
    auth.restart(&folder, &settings).await;
    let begun = Instant::now();
    // The keys and the revocation list are polled separately.
    while stack.books().get("/readyz").await.is_unavailable() {
        assert!(begun.elapsed() < Duration::from_secs(10), "the keys are not read again");
        pause().await;
    }
    stack.books().bearer(&token).get("/books").await.is(200);
}

/// The output of `auth-service keygen` for this algorithm.
fn generated(algorithm: &str) -> String {
    let output = Command::new(binary("auth-service")).args(["keygen", "--algorithm", algorithm]).output().unwrap();
    String::from_utf8(output.stdout).unwrap()
}

async fn hang_up(auth: &Service) {
    let program = auth.program.take().unwrap();
    let read =
        |output: &crate::process::Output| output.err.iter().filter(|line| line.contains("were read again")).count();
    let before = program.says(|output| Some(read(output))).await;
    program.signal(Signal::HUP);
    program.says(|output| (read(output) > before).then_some(())).await;
    auth.program.replace(Some(program));
}
