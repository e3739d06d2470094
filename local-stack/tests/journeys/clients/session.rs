//! The Rust example of docs/clients.md, which a test compares with this file, and a helper for the test.

use reqwest::{Client, Response, StatusCode};
use serde_json::{Value, json};

pub struct Session {
    http: Client,
    auth: String,
    access: String,
    refresh: String,
}

impl Session {
    pub async fn log_in(http: Client, auth: &str, username: &str, password: &str) -> reqwest::Result<Self> {
        let mut session = Self { http, auth: auth.to_owned(), access: String::new(), refresh: String::new() };
        session.keep("/login", json!({"username": username, "password": password})).await?;
        Ok(session)
    }

    pub async fn get(&mut self, url: &str) -> reqwest::Result<Response> {
        let answer = self.call(url).await?;
        if answer.status() != StatusCode::UNAUTHORIZED {
            return answer.error_for_status();
        }
        self.keep("/token", json!({"refreshToken": self.refresh})).await?;
        self.call(url).await?.error_for_status()
    }

    pub async fn log_out(self) -> reqwest::Result<()> {
        self.post("/logout", &json!({"refreshToken": self.refresh})).await.map(drop)
    }

    async fn call(&self, url: &str) -> reqwest::Result<Response> {
        self.http.get(url).bearer_auth(&self.access).send().await
    }

    async fn post(&self, path: &str, body: &Value) -> reqwest::Result<Response> {
        self.http.post(format!("{}{path}", self.auth)).json(body).send().await?.error_for_status()
    }

    async fn keep(&mut self, path: &str, body: Value) -> reqwest::Result<()> {
        let pair: Value = self.post(path, &body).await?.json().await?;
        let token = |name: &str| pair[name].as_str().unwrap_or_default().to_owned();
        (self.access, self.refresh) = (token("accessToken"), token("refreshToken"));
        Ok(())
    }
}

impl Session {
    /// Makes the access token invalid, as if it had expired.
    pub fn spoil(&mut self) {
        "expired".clone_into(&mut self.access);
    }
}
