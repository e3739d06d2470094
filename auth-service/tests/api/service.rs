//! The real service, started by the function that production calls, on a free port and on a database of its own.

use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use actix_web::dev::ServerHandle;
use actix_web::rt::System;
use auth_service::app;
use auth_service::config::Config;
use auth_service::users::SeedError;
use reqwest::Client;
use serde_json::{Value, json};
use shared_service::Settings;
use shared_service::database::StoreError;
use tokio::sync::oneshot;
use uuid::Uuid;

use crate::answer::Answer;
use crate::caller::Caller;
use crate::database::{Database, server};
use crate::secrets;

pub const ACCESS_SECRET: &str = "an access secret of the tests, of 32 bytes and more";
pub const REFRESH_SECRET: &str = "a refresh secret of the tests, of 32 bytes and more";

/// The demo users.
pub const ADMIN: (&str, &str) = ("john", "password123admin");
pub const MEMBER: (&str, &str) = ("anna", "password123member");

/// A valid password.
pub const GOOD: &str = "vK7#qz!Lw2";

/// A running service.
pub struct Service {
    pub addr: SocketAddr,
    pub client: Client,
    pub database: Arc<Database>,
    /// The number of retries after a 503: a busy machine is no failure, except in tests of the 503 itself.
    pub patience: u32,
    server: ServerHandle,
    thread: Option<JoinHandle<()>>,
}

/// The tokens of a session.
#[derive(Clone, Debug)]
pub struct TokenPair {
    pub access: String,
    pub refresh: String,
}

/// A registered user with one session.
pub struct Person {
    pub name: String,
    pub id: String,
    pub pair: TokenPair,
}

/// Runs `test` on a fresh service with sessions in `SQLite` and, with the feature `all-tests`, in Postgres and in Redis.
pub async fn on_each_store<const N: usize>(settings: [(&str, &str); N], test: impl AsyncFn(&Service)) {
    // What is printed is shown when the test fails.
    println!("on SQLite");
    test(&Service::start_on(Database::sqlite(), settings).await).await;
    if cfg!(not(feature = "all-tests")) {
        return;
    }
    println!("on Postgres");
    test(&Service::start_on(Database::postgres().await, settings).await).await;
    println!("on Redis");
    let redis = server("TEST_REDIS_URL");
    let settings: Vec<_> = settings.into_iter().chain([("REDIS_URL", redis.as_str())]).collect();
    test(&Service::start_on(Database::sqlite(), settings).await).await;
}

impl Service {
    /// Starts the service on `SQLite`, with these settings and those that the tests need.
    pub async fn start<const N: usize>(settings: [(&str, &str); N]) -> Self {
        Self::start_on(Database::sqlite(), settings).await
    }

    /// Starts the service on a database that other instances may use, too.
    pub async fn start_on<'a>(
        database: impl Into<Arc<Database>>,
        settings: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Self {
        secrets::watch();
        let database = database.into();
        let url = database.url.clone();
        let fixed = [
            ("AUTH_ADDR", "127.0.0.1:0"),
            ("AUTH_DATABASE_URL", url.as_str()),
            ("ACCESS_TOKEN_SECRET", ACCESS_SECRET),
            ("REFRESH_TOKEN_SECRET", REFRESH_SECRET),
            ("BCRYPT_COST", "4"),
            ("DEMO_DATA", "true"),
            ("WORKERS", "2"),
            // All tests call from the same address.
            ("IP_RATE_LIMIT", "0"),
            // Revoked tokens are refused after the next poll; only the tests of that set a shorter interval.
            ("REVOCATION_POLL", "1h"),
        ];
        let settings: Vec<_> = fixed.into_iter().map(own).chain(settings.into_iter().map(own)).collect();
        let (started, starting) = oneshot::channel();
        let thread = thread::spawn(move || serve(&settings, started));
        let Ok((addr, server)) = starting.await else { panic!("the service did not start: see its thread's panic") };
        let client = Client::builder().no_proxy().build().unwrap();
        Self { addr, client, database, patience: 10, server, thread: Some(thread) }
    }

    pub fn nobody(&self) -> Caller<'_> {
        Caller { service: self, headers: Vec::new() }
    }

    pub fn bearer(&self, token: &str) -> Caller<'_> {
        self.nobody().with("Authorization", format!("Bearer {token}"))
    }

    pub async fn member(&self) -> Caller<'_> {
        self.bearer(&self.log_in(MEMBER).await.access)
    }

    pub async fn admin(&self) -> Caller<'_> {
        self.bearer(&self.log_in(ADMIN).await.access)
    }

    pub async fn log_in(&self, (name, password): (&str, &str)) -> TokenPair {
        self.try_log_in((name, password)).await.is(200).pair()
    }

    pub async fn try_log_in(&self, (name, password): (&str, &str)) -> Answer {
        self.nobody().post("/login", &json!({"username": name, "password": password})).await
    }

    pub async fn refresh(&self, token: &str) -> Answer {
        self.nobody().post("/token", &json!({"token": token})).await
    }

    pub async fn log_out(&self, token: &str) -> Answer {
        self.nobody().post("/logout", &json!({"token": token})).await
    }

    /// Registers a user with the password [`GOOD`], and logs in.
    pub async fn newcomer(&self) -> Person {
        let register =
            async |name: &str| self.nobody().post("/register", &json!({"username": name, "password": GOOD})).await;
        let mut name = new_name();
        let mut answer = register(&name).await;
        if answer.status == 409 {
            // The first attempt took effect although its response was a 503, so that the retry is a conflict.
            name = new_name();
            answer = register(&name).await;
        }
        let id = text(&answer.is(201).json()["user"]["id"]);
        Person { pair: self.log_in((&name, GOOD)).await, name, id }
    }

    /// The sessions of the user with this access token.
    pub async fn devices(&self, access: &str) -> Vec<Value> {
        self.bearer(access).get("/me/sessions").await.is(200).json().as_array().unwrap().clone()
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // This only requests the stop; the service's thread performs it.
        drop(self.server.stop(false));
        let ended = self.thread.take().map(JoinHandle::join);
        if !thread::panicking() {
            secrets::assert_kept();
        }
        assert!(thread::panicking() || matches!(ended, Some(Ok(()))), "the service failed: see its thread's panic");
    }
}

fn serve(settings: &[(String, String)], started: oneshot::Sender<(SocketAddr, ServerHandle)>) {
    System::new().block_on(async {
        let mut patience = 5;
        let running = loop {
            let config = config(settings);
            let known = config.revocations.empty_list();
            match app::start(config, known).await {
                Err(error) if patience > 0 && (error.is::<StoreError>() || error.is::<SeedError>()) => patience -= 1,
                started => break started.unwrap(),
            }
        };
        drop(started.send((running.addr(), running.handle())));
        running.wait().await.unwrap();
    });
}

fn config(settings: &[(String, String)]) -> Config {
    let mut settings = Settings::from_pairs(settings.iter().cloned());
    let config = Config::read(&mut settings);
    settings.finish().unwrap();
    config
}

fn own((name, value): (&str, &str)) -> (String, String) {
    (name.to_owned(), value.to_owned())
}

/// A new user name.
pub fn new_name() -> String {
    format!("u{}", &Uuid::new_v4().simple().to_string()[..24])
}

pub fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("not a string: {value}")).to_owned()
}
