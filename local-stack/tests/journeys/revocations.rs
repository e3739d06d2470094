//! Every service refuses a revoked token within 1.5 seconds, without a call to auth-service per request.

mod bans;

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use rustix::process::Signal;
use serde_json::json;
use tokio::time::{sleep, timeout};

use crate::caller::Answer;
use crate::process::{Folder, PATIENCE, Program};
use crate::stack::{PASSWORD, Stack, Tokens, unique};
use crate::targets::{Database, binary, is_outside, logged, random_secret, redis_url, walk};
use crate::tokens::claims;

/// The documented limit with the default setting.
const IN_TIME: Duration = Duration::from_millis(1500);

const SOURCES: [&str; 10] = [
    "logout",
    "replay",
    "one device",
    "all devices",
    "password change",
    "password by an admin",
    "role change",
    "disable",
    "sign-out by an admin",
    "delete",
];

/// Registers and logs in a new user.
async fn newcomer(stack: &Stack) -> (String, Tokens) {
    let name = unique("visitor");
    stack.insist("/register", &json!({"username": name, "password": PASSWORD})).await.is(201);
    let tokens = stack.log_in(&name, PASSWORD).await;
    (name, tokens)
}

/// Revokes the newcomer's tokens by `source`.
async fn revoke(stack: &Stack, source: &str, tokens: &Tokens) {
    let claims = claims(&tokens.access);
    let (user, session) = (claims["sub"].as_str().unwrap(), claims["sid"].as_str().unwrap());
    let me = stack.auth().bearer(&tokens.access);
    let admin = stack.auth().bearer(stack.john().await.access);
    let user = format!("/users/{user}");
    match source {
        "logout" => stack.auth().post("/logout", json!({"token": tokens.refresh})).await.is(200),
        "replay" => {
            let next = stack.refresh(&tokens.refresh).await.tokens();
            stack.refresh(&next.refresh).await.is(200);
            stack.refresh(&tokens.refresh).await.refused(403, "invalid_refresh_token")
        }
        "one device" => me.delete(&format!("/me/sessions/{session}")).await.is(204),
        "all devices" => me.delete("/me/sessions").await.is(204),
        "password change" => {
            let change = json!({"currentPassword": PASSWORD, "newPassword": "eight loud crows draw lines"});
            me.put("/me/password", change).await.is(204)
        }
        "password by an admin" => admin.patch(&user, json!({"password": "nine grey herons sell hats"})).await.is(200),
        "role change" => admin.patch(&user, json!({"role": "admin"})).await.is(200),
        "disable" => admin.patch(&user, json!({"disabled": true})).await.is(200),
        "sign-out by an admin" => admin.delete(&format!("{user}/sessions")).await.is(204),
        "delete" => admin.delete(&user).await.is(204),
        other => panic!("{other}"),
    };
}

fn has_ended(answer: &Answer) -> bool {
    answer.header("www-authenticate").contains(r#"error_description="The session has ended or"#)
}

/// Waits until books-service refuses this token; returns the time that it took, as [`refused`] does.
async fn closed(stack: &Stack, access: &str) -> Duration {
    let refused = refused(async || stack.books().bearer(access).get("/books").await);
    timeout(PATIENCE, refused).await.unwrap_or_else(|_| panic!("{}: books-service still accepts the token", stack.name))
}

/// Calls until the session has ended. Returns the time that this took, minus the time of the longest call: a busy
/// machine that delays these calls delays the poll as long.
async fn refused(call: impl AsyncFn() -> Answer) -> Duration {
    let (began, mut longest) = (Instant::now(), Duration::ZERO);
    loop {
        let asked = Instant::now();
        let answer = call().await;
        longest = longest.max(asked.elapsed());
        if has_ended(&answer) {
            return began.elapsed().saturating_sub(longest);
        }
        sleep(Duration::from_millis(10)).await;
    }
}

/// Revokes tokens by `source` at `there`. Fails unless all `services` refuse them in time.
async fn reaches_all(source: &str, there: &Stack, services: &[&Stack]) {
    let (_, tokens) = newcomer(there).await;
    for stack in services {
        stack.books().bearer(&tokens.access).get("/books").await.is(200);
    }
    revoke(there, source, &tokens).await;
    for took in join_all(services.iter().map(|stack| closed(stack, &tokens.access))).await {
        assert!(took <= IN_TIME, "{source}: it took {took:?}");
    }
}

#[tokio::test]
async fn each_revocation_reaches_books_service_in_time() {
    walk(async |stack| {
        let services = [stack];
        join_all(SOURCES.map(|source| reaches_all(source, stack, &services))).await;
        let (name, tokens) = newcomer(stack).await;
        stack.auth().bearer(&tokens.access).delete("/me/sessions").await.is(204);
        closed(stack, &tokens.access).await;
        let again = stack.log_in(&name, PASSWORD).await;
        stack.books().bearer(&again.access).get("/books").await.is(200);
    })
    .await;
}

/// Instances of both services that share their stores.
struct Fleet {
    auth: Vec<Program>,
    books: Vec<Program>,
    settings: Vec<(&'static str, String)>,
    databases: [Database; 2],
    folder: Folder,
}

impl Fleet {
    async fn start(auth: usize) -> (Self, Vec<String>) {
        Self::start_on(redis_url(), auth).await
    }

    async fn start_on(redis: String, auth: usize) -> (Self, Vec<String>) {
        let (people, library) = (Database::new().await, Database::new().await);
        let settings = vec![
            ("AUTH_ADDR", "127.0.0.1:0".to_owned()),
            ("BOOKS_ADDR", "127.0.0.1:0".to_owned()),
            ("AUTH_DATABASE_URL", people.url.clone()),
            ("BOOKS_DATABASE_URL", library.url.clone()),
            ("REDIS_URL", redis),
            ("ACCESS_TOKEN_SECRET", random_secret()),
            ("REFRESH_TOKEN_SECRET", random_secret()),
            ("DEMO_DATA", "true".to_owned()),
            ("WORKERS", "1".to_owned()),
            ("BCRYPT_COST", "4".to_owned()),
            ("IP_RATE_LIMIT", "0".to_owned()),
        ];
        let (folder, databases) = (Folder::new(), [people, library]);
        let mut fleet = Self { auth: vec![], books: vec![], settings, databases, folder };
        let mut addresses = vec![];
        for _ in 0..auth {
            let (program, address) = fleet.instance("auth-service", &[]).await;
            fleet.auth.push(program);
            addresses.push(address);
        }
        (fleet, addresses)
    }

    async fn instance(&self, name: &str, more: &[(&str, &str)]) -> (Program, String) {
        let ours: Vec<_> = self.settings.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let ours = ours.into_iter().filter(|(name, _)| more.iter().all(|(other, _)| other != name));
        let settings: Vec<_> = ours.chain(more.iter().copied()).collect();
        let program = Program::start(&binary(name), self.folder.path(), &settings);
        let address = logged(&program).await;
        (program, address)
    }

    /// Starts one more books-service, which polls the auth-service at `auth`.
    async fn library(&mut self, auth: &str, more: &[(&str, &str)]) -> Stack {
        let settings = [&[("AUTH_URL", auth)], more].concat();
        let (program, address) = self.instance("books-service", &settings).await;
        self.books.push(program);
        Stack::new("a fleet", auth.to_owned(), address)
    }

    async fn remove(self) {
        drop((self.auth, self.books));
        for database in self.databases {
            database.remove().await;
        }
    }
}

#[tokio::test]
#[cfg_attr(not(feature = "all-tests"), ignore = "needs Postgres and Redis: ./test")]
async fn each_revocation_at_any_instance_reaches_all_books_services_in_time() {
    if is_outside("three instances of auth-service and two of books-service") {
        return;
    }
    let (mut fleet, auth) = Fleet::start(3).await;
    let (one, two) = (fleet.library(&auth[0], &[]).await, fleet.library(&auth[1], &[]).await);
    let services = [&one, &two];
    let places: Vec<_> = auth.iter().map(|auth| Stack::new("an instance", auth.clone(), one.books.clone())).collect();
    let place = |number: usize| &places[number % places.len()];
    join_all(SOURCES.iter().enumerate().map(|(number, source)| reaches_all(source, place(number), &services))).await;
    // Each instance of auth-service, too, learns of the revocations of the others.
    let (_, tokens) = newcomer(place(0)).await;
    place(1).auth().post("/logout", json!({"token": tokens.refresh})).await.is(200);
    let took = refused(async || place(2).auth().bearer(&tokens.access).get("/me").await);
    let took = timeout(PATIENCE, took).await.expect("auth-service still accepts the token");
    assert!(took <= IN_TIME, "it took {took:?}");
    fleet.remove().await;
}

#[tokio::test]
#[cfg_attr(not(feature = "all-tests"), ignore = "needs Postgres and Redis: ./test")]
async fn without_auth_service_books_service_uses_the_last_list_or_answers_503() {
    if is_outside("killing auth-service") {
        return;
    }
    let (mut fleet, auth) = Fleet::start(1).await;
    let addr = auth[0].strip_prefix("http://").unwrap().to_owned();
    let lenient = fleet.library(&auth[0], &[]).await;
    let strict = fleet.library(&auth[0], &[("REVOCATION_MAX_AGE", "2s")]).await;
    let (_, gone) = newcomer(&lenient).await;
    let (_, there) = newcomer(&lenient).await;
    lenient.auth().post("/logout", json!({"token": gone.refresh})).await.is(200);
    for stack in [&lenient, &strict] {
        closed(stack, &gone.access).await;
    }

    fleet.auth[0].signal(Signal::KILL);
    drop(fleet.auth.pop());
    let open = async |stack: &Stack| stack.books().bearer(&there.access).get("/books").await;
    let closing = async {
        while !open(&strict).await.is_unavailable() {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(PATIENCE, closing).await.expect("with a stale list, no token is accepted");
    strict.books().bearer(&gone.access).get("/books").await.refused(401, "invalid_token");
    open(&lenient).await.is(200);
    lenient.books().bearer(&gone.access).get("/books").await.refused(401, "invalid_token");
    let (late, address) =
        fleet.instance("books-service", &[("AUTH_URL", &auth[0]), ("REVOCATION_MAX_AGE", "2s")]).await;
    let late = (late, Stack::new("late", auth[0].clone(), address));
    assert!(open(&late.1).await.is_unavailable(), "without any list, no token is accepted");

    let (again, _) = fleet.instance("auth-service", &[("AUTH_ADDR", &addr)]).await;
    fleet.auth.push(again);
    for stack in [&strict, &late.1, &lenient] {
        let opening = async {
            while !open(stack).await.is_ok() {
                sleep(Duration::from_millis(20)).await;
            }
        };
        timeout(PATIENCE, opening).await.expect("the service accepts tokens again");
        assert!(has_ended(&stack.books().bearer(&gone.access).get("/books").await), "it is still revoked");
    }
    lenient.auth().post("/logout", json!({"token": there.refresh})).await.is(200);
    for stack in [&strict, &late.1, &lenient] {
        closed(stack, &there.access).await;
    }
    drop(late);
    fleet.remove().await;
}
