use std::path::PathBuf;

use books_service::{Config, start};
use reqwest::Client;
use serde_json::{Value, json};
use shared_claims::{AccessClaims, Revocations, Role, Secret, Signer};
use shared_service::Settings;
use shared_service::clock::now_ms;
use sqlx::{AnyConnection, AssertSqlSafe, Connection};
use uuid::Uuid;

use crate::caller::Caller;

pub const SECRET: &str = "a secret of the tests, of 32 bytes and more";

/// A running service.
pub struct Library {
    pub url: String,
    pub client: Client,
}

/// A new, empty database.
pub struct Database {
    pub url: String,
    place: Place,
}

enum Place {
    Folder(PathBuf),
    Server { url: String, name: String },
}

/// Runs `test` against a fresh library on each kind of database.
pub async fn on_each_database(test: impl AsyncFn(Library)) {
    on_each(async |database| test(Library::start(&database.url, []).await).await).await;
}

/// Runs `test` with a fresh database on `SQLite` and, with the feature `all-tests`, on Postgres.
pub async fn on_each(test: impl AsyncFn(&Database)) {
    let mut each = vec![Database::sqlite()];
    if cfg!(feature = "all-tests") {
        each.push(Database::postgres().await);
    }
    for database in each {
        // Shown when the test fails.
        println!("on {}", database.url.split(':').next().unwrap());
        test(&database).await;
        database.remove().await;
    }
}

impl Database {
    pub fn sqlite() -> Self {
        let folder = std::env::temp_dir().join(format!("books-{}", Uuid::new_v4().simple()));
        std::fs::create_dir(&folder).unwrap();
        Self { url: format!("sqlite://{}/books.db?mode=rwc", folder.display()), place: Place::Folder(folder) }
    }

    #[expect(clippy::disallowed_methods, reason = "where the test's server is, is no setting of the service")]
    pub async fn postgres() -> Self {
        let url = std::env::var("TEST_POSTGRES_URL")
            .expect("TEST_POSTGRES_URL is not set: run ./test, or see CONTRIBUTING.md");
        let name = format!("books_{}", Uuid::new_v4().simple());
        execute(&url, format!("CREATE DATABASE {name}")).await;
        let (server, _) = url.rsplit_once('/').unwrap();
        Self { url: format!("{server}/{name}"), place: Place::Server { url, name } }
    }

    pub async fn remove(self) {
        match self.place {
            Place::Folder(folder) => std::fs::remove_dir_all(folder).unwrap(),
            Place::Server { url, name } => execute(&url, format!("DROP DATABASE {name} WITH (FORCE)")).await,
        }
    }

    /// The database file of `SQLite`, or `None`.
    pub fn file(&self) -> Option<PathBuf> {
        match &self.place {
            Place::Folder(folder) => Some(folder.join("books.db")),
            Place::Server { .. } => None,
        }
    }

    /// The number that the query `sql` returns.
    pub async fn count(&self, sql: &'static str) -> i64 {
        sqlx::any::install_default_drivers();
        let mut connection = AnyConnection::connect(&self.url).await.unwrap();
        let count = sqlx::query_scalar(sql).fetch_one(&mut connection).await.unwrap();
        connection.close().await.unwrap();
        count
    }

    /// Runs `sql` directly on the database, without the service.
    pub async fn execute(&self, sql: &str) {
        execute(&self.url, sql.to_owned()).await;
    }
}

async fn execute(url: &str, sql: String) {
    sqlx::any::install_default_drivers();
    let mut connection = AnyConnection::connect(url).await.unwrap();
    sqlx::query(AssertSqlSafe(sql)).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
}

impl Library {
    /// Starts the real service on a free port, with these settings and the required ones.
    pub async fn start<const N: usize>(database: &str, settings: [(&str, &str); N]) -> Self {
        Self::start_knowing(database, settings, None).await
    }

    /// Starts the service with the revocation list `known`.
    pub async fn start_knowing<const N: usize>(
        database: &str,
        settings: [(&str, &str); N],
        known: Option<Revocations>,
    ) -> Self {
        let fixed = [
            ("BOOKS_ADDR", "127.0.0.1:0"),
            ("BOOKS_DATABASE_URL", database),
            ("ACCESS_TOKEN_SECRET", SECRET),
            ("WORKERS", "2"),
        ];
        let mut settings = Settings::from_pairs(fixed.into_iter().chain(settings));
        let config = Config::read(&mut settings);
        settings.finish().unwrap();
        let running = start(&config, known).await.unwrap();
        let url = format!("http://{}", running.addr());
        tokio::spawn(running.wait());
        Self { url, client: Client::new() }
    }

    pub fn admin(&self) -> Caller<'_> {
        self.bearer(token(&claims(Role::Admin)))
    }

    pub fn member(&self) -> Caller<'_> {
        self.bearer(token(&claims(Role::Member)))
    }

    pub fn nobody(&self) -> Caller<'_> {
        Caller { library: self, headers: Vec::new() }
    }

    pub fn bearer(&self, token: impl std::fmt::Display) -> Caller<'_> {
        self.nobody().with("Authorization", format!("Bearer {token}"))
    }

    /// Adds a book as an admin; returns the book of the response.
    pub async fn add(&self, book: Value) -> Value {
        self.admin().post("/books", &book).await.is(201).json()["book"].clone()
    }
}

/// A valid book.
pub fn a_book() -> Value {
    json!({
        "author": "Jane Austen",
        "country": "United Kingdom",
        "language": "English",
        "pages": 226,
        "title": "Pride and Prejudice",
        "year": 1813,
    })
}

/// [`a_book`] with the members of `other` replaced or added.
pub fn book_with(other: &Value) -> Value {
    let mut book = a_book();
    book.as_object_mut().unwrap().extend(other.as_object().unwrap().clone());
    book
}

/// The claims of an access token issued now.
pub fn claims(role: Role) -> AccessClaims {
    let now = u64::try_from(now_ms()).unwrap() / 1000;
    AccessClaims {
        sub: Uuid::now_v7().to_string(),
        exp: now + 900,
        iat: now,
        jti: Uuid::new_v4().to_string(),
        sid: Uuid::new_v4().to_string(),
        username: "john".to_owned(),
        role: role.to_string(),
    }
}

/// A token as the auth-service signs it.
pub fn token(claims: &AccessClaims) -> String {
    let audience = ["auth-service", "books-service"].map(str::to_owned);
    Signer::new("auth-service", &audience, &Secret::parse(SECRET).unwrap()).unwrap().sign(claims)
}
