use reqwest::{Client, Method};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::caller::{Answer, Caller};

/// A password that is accepted everywhere.
pub const PASSWORD: &str = "seven quiet owls read maps";

/// A stack that a journey runs through.
pub struct Stack {
    /// Its name, in failures.
    pub name: &'static str,
    /// The URL of auth-service.
    pub auth: String,
    /// The URL of books-service.
    pub books: String,
    pub client: Client,
}

/// The tokens of a login.
#[derive(Clone, Debug)]
pub struct Tokens {
    pub access: String,
    pub refresh: String,
    /// The access token's life in seconds.
    pub expires_in: u64,
}

impl Stack {
    pub fn new(name: &'static str, auth: String, books: String) -> Self {
        // Both services are local, whatever proxy the environment names.
        Self { name, auth, books, client: Client::builder().no_proxy().build().unwrap() }
    }

    /// A client of auth-service without a token.
    pub fn auth(&self) -> Caller<'_> {
        Caller::new(self, &self.auth)
    }

    /// A client of books-service without a token.
    pub fn books(&self) -> Caller<'_> {
        Caller::new(self, &self.books)
    }

    pub async fn log_in(&self, username: &str, password: &str) -> Tokens {
        self.auth().post("/login", json!({"username": username, "password": password})).await.tokens()
    }

    /// Logs in the demo users' admin.
    pub async fn john(&self) -> Tokens {
        self.log_in("john", "password123admin").await
    }

    /// Logs in the demo users' member.
    pub async fn anna(&self) -> Tokens {
        self.log_in("anna", "password123member").await
    }

    /// The response of auth-service to `POST {path}`, repeated until it is not 503.
    pub async fn insist(&self, path: &str, body: &Value) -> Answer {
        self.auth().insist(Method::POST, path, Some(body)).await
    }

    /// The response of `POST /token` to `refresh_token`.
    pub async fn refresh(&self, refresh_token: &str) -> Answer {
        self.auth().post("/token", json!({"token": refresh_token})).await
    }
}

/// `word` with a random suffix, unique in this and in earlier runs.
pub fn unique(word: &str) -> String {
    let random = Uuid::new_v4().simple().to_string();
    format!("{word}-{}", &random[..12])
}

/// A valid book with this title.
pub fn a_book(title: &str) -> Value {
    json!({
        "author": "Jane Austen",
        "country": "United Kingdom",
        "language": "English",
        "pages": 226,
        "title": title,
        "year": 1813,
    })
}
