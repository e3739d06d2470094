use std::collections::HashMap;
use std::sync::Arc;
use std::time::SystemTime;

use reqwest::{Client, RequestBuilder, Response, StatusCode};
use serde_json::{Value, json};
use shared_claims::{AccessClaims, BearerAuth, Verifier};

#[cfg(feature = "axum")]
use crate::doors::axum;
use crate::doors::{actix, unguarded};
use crate::forge::{LIFE, Object, SECRET, access, header, secret, token, verifier_config};

/// A running service with a route for members and one for admins.
pub struct Service {
    framework: &'static str,
    url: String,
    client: Client,
}

/// A response, read to its end.
pub struct Answer {
    framework: &'static str,
    pub status: StatusCode,
    pub headers: HashMap<String, String>,
    pub body: Value,
}

impl Service {
    /// The service on every framework. It takes tokens from `Authorization` and, if there is one, from `extra_header`.
    pub fn on_each(extra_header: Option<&str>) -> Vec<Self> {
        Self::protected_by(&Arc::new(BearerAuth::new(verifier()).with_extra_header(extra_header)))
    }

    /// The service on every framework, protected by `auth`.
    pub fn protected_by(auth: &Arc<BearerAuth>) -> Vec<Self> {
        vec![
            Self::at("actix", actix(auth)),
            #[cfg(feature = "axum")]
            Self::at("axum", axum(auth)),
        ]
    }

    /// The same routes without a `BearerAuth`, which compiles only for actix-web.
    pub fn unguarded() -> Self {
        Self::at("actix", unguarded())
    }

    fn at(framework: &'static str, url: String) -> Self {
        Self { framework, url, client: Client::new() }
    }

    pub fn url(&self) -> &str {
        &self.url
    }

    pub fn get(&self, path: &str) -> RequestBuilder {
        self.client.get(format!("{}{path}", self.url))
    }

    /// The response to `GET {path}` with one header.
    pub async fn ask(&self, path: &str, name: &str, value: impl AsRef<[u8]>) -> Answer {
        self.send(self.get(path).header(name, value.as_ref())).await
    }

    /// The response to `GET {path}` with these values of `Authorization`, a header line each.
    pub async fn with_authorization(&self, path: &str, values: &[&str]) -> Answer {
        let request = self.get(path);
        let request = values.iter().fold(request, |request, value| request.header("Authorization", *value));
        self.send(request).await
    }

    pub async fn send(&self, request: RequestBuilder) -> Answer {
        Answer::read(self.framework, request.send().await.unwrap()).await
    }

    pub async fn with_bearer(&self, path: &str, token: &str) -> Answer {
        self.with_authorization(path, &[&format!("Bearer {token}")]).await
    }
}

impl Answer {
    async fn read(framework: &'static str, response: Response) -> Self {
        let status = response.status();
        let headers =
            response.headers().iter().map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()));
        let headers = headers.collect();
        Self { framework, status, headers, body: response.json().await.unwrap_or_default() }
    }

    /// Expects the problem `code` with this status and this challenge.
    #[track_caller]
    pub fn refuses(&self, status: u16, code: &str, challenge: Option<&str>, why: &str) {
        let why = format!("{}: {why}", self.framework);
        assert_eq!((self.status.as_u16(), &self.body["code"]), (status, &json!(code)), "{why}: {}", self.body);
        assert_eq!(self.headers.get("www-authenticate").map(String::as_str), challenge, "{why}");
        assert_eq!(self.headers["content-type"], "application/problem+json", "{why}");
        let members: Vec<&String> = self.body.as_object().unwrap().keys().collect();
        assert_eq!(members, ["code", "detail", "status", "title", "type"], "{why}");
        assert_eq!(self.body["status"], status, "{why}");
        assert_eq!(self.body["title"], self.status.canonical_reason().unwrap(), "{why}");
        assert_eq!(self.body["type"], "about:blank", "{why}");
        assert!(self.body["detail"].as_str().is_some_and(|detail| detail.ends_with('.')), "{why}");
    }

    #[track_caller]
    pub fn lets_in(&self, why: &str) {
        assert_eq!(self.status, 200, "{}: {why}: {}", self.framework, self.body);
        assert_eq!(self.body["username"], "anna", "{}: {why}", self.framework);
    }

    /// Expects 401 for a missing token: the challenge has no error code (RFC 6750 section 3.1).
    #[track_caller]
    pub fn asks_for_a_token(&self, why: &str) {
        self.refuses(401, "missing_token", Some(r#"Bearer realm="api""#), why);
    }

    /// Expects 401 for an invalid token.
    #[track_caller]
    pub fn refuses_the_token(&self, description: &str, why: &str) {
        let challenge = format!(r#"Bearer error="invalid_token", error_description="{description}""#);
        self.refuses(401, "invalid_token", Some(&challenge), why);
    }

    /// Expects 403 for a valid token of a role without rights.
    #[track_caller]
    pub fn refuses_the_role(&self, description: &str, why: &str) {
        let challenge = format!(r#"Bearer error="insufficient_scope", error_description="{description}""#);
        self.refuses(403, "insufficient_scope", Some(&challenge), why);
    }
}

pub fn verifier() -> Verifier<AccessClaims> {
    Verifier::new(&verifier_config(&secret(SECRET), None)).unwrap()
}

/// The claims of a user with this role who has just logged in.
pub fn claims_of(role: &str) -> Object {
    access().with("role", format!(r#""{role}""#)).with("iat", now()).with("exp", now() + LIFE)
}

pub fn token_of(role: &str) -> String {
    token(&header(), &claims_of(role))
}

#[expect(clippy::disallowed_methods, reason = "the server asks the same clock")]
pub fn now() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs()
}
