use std::fmt::Display;
use std::time::Duration;

use reqwest::{Method, RequestBuilder, Response, StatusCode, header::HeaderMap};
use serde_json::Value;
use tokio::time::{sleep, timeout};

use crate::process::PATIENCE;
use crate::stack::{Stack, Tokens};

/// A client of one of the services.
#[derive(Clone)]
pub struct Caller<'a> {
    stack: &'a Stack,
    base: &'a str,
    headers: Vec<(&'static str, String)>,
}

/// The response.
#[derive(Debug)]
pub struct Answer {
    #[expect(dead_code, reason = "shown when a test fails")]
    asked: String,
    status: StatusCode,
    headers: HeaderMap,
    pub body: String,
}

impl<'a> Caller<'a> {
    pub fn new(stack: &'a Stack, base: &'a str) -> Self {
        Self { stack, base, headers: Vec::new() }
    }

    pub fn with(mut self, name: &'static str, value: impl Display) -> Self {
        self.headers.push((name, value.to_string()));
        self
    }

    /// Adds `token` as a bearer token (RFC 6750).
    pub fn bearer(self, token: impl Display) -> Self {
        self.with("Authorization", format!("Bearer {token}"))
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.call(Method::GET, path, None).await
    }

    pub async fn post(&self, path: &str, body: Value) -> Answer {
        self.call(Method::POST, path, Some(body)).await
    }

    pub async fn put(&self, path: &str, body: Value) -> Answer {
        self.call(Method::PUT, path, Some(body)).await
    }

    pub async fn patch(&self, path: &str, body: Value) -> Answer {
        self.call(Method::PATCH, path, Some(body)).await
    }

    pub async fn delete(&self, path: &str) -> Answer {
        self.call(Method::DELETE, path, None).await
    }

    /// Repeats the request until the response is not 503. Only an outside service may be unreachable meanwhile, because
    /// it may be killed.
    pub async fn insist(&self, method: Method, path: &str, body: Option<&Value>) -> Answer {
        let answer = async {
            loop {
                match self.try_call(method.clone(), path, body.cloned()).await {
                    Ok(answer) if answer.is_unavailable() => {}
                    Ok(answer) => return answer,
                    Err(_) if self.stack.name == "outside" => sleep(Duration::from_millis(50)).await,
                    Err(error) => panic!("{}: {error:?}", self.stack.name),
                }
            }
        };
        timeout(PATIENCE, answer).await.unwrap_or_else(|_| panic!("{path} stays unavailable"))
    }

    /// Sends a `POST`; an error means that there is no response.
    pub async fn try_post(&self, path: &str, body: Value) -> reqwest::Result<Answer> {
        self.try_call(Method::POST, path, Some(body)).await
    }

    pub async fn call(&self, method: Method, path: &str, body: Option<Value>) -> Answer {
        let answer = self.try_call(method, path, body).await;
        answer.unwrap_or_else(|error| panic!("{}: {error:?}", self.stack.name))
    }

    /// Sends a request; an error means that there is no response.
    pub async fn try_call(&self, method: Method, path: &str, body: Option<Value>) -> reqwest::Result<Answer> {
        let asked = format!("{}: {method} {}{path}", self.stack.name, self.base);
        let request = self.stack.client.request(method, format!("{}{path}", self.base));
        let request = self.headers.iter().fold(request, |request, (name, value)| request.header(*name, value));
        let request = body.iter().fold(request, RequestBuilder::json);
        Answer::of(asked, request.send().await?).await
    }
}

impl Answer {
    /// Reads `response`, which belongs to the request `asked`.
    pub async fn of(asked: String, response: Response) -> reqwest::Result<Self> {
        let (status, headers) = (response.status(), response.headers().clone());
        Ok(Self { asked, status, headers, body: response.text().await? })
    }

    /// Returns this response. Fails if its status is not `status`.
    #[track_caller]
    pub fn is(self, status: u16) -> Self {
        assert_eq!(self.status.as_u16(), status, "{self:#?}");
        self
    }

    pub fn is_ok(&self) -> bool {
        self.status.is_success()
    }

    /// True for a 503. Fails if a 503 has no `Retry-After`.
    #[track_caller]
    pub fn is_unavailable(&self) -> bool {
        let unavailable = self.status == StatusCode::SERVICE_UNAVAILABLE;
        assert!(!unavailable || !self.header("retry-after").is_empty(), "{self:#?}");
        unavailable
    }

    /// Returns this response. Fails if it is not the problem `code` with the status `status`.
    #[track_caller]
    pub fn refused(self, status: u16, code: &str) -> Self {
        let this = self.is(status);
        assert_eq!(this.header("content-type"), "application/problem+json", "{this:#?}");
        assert_eq!(this.json()["code"], code, "{this:#?}");
        this
    }

    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:#?}"))
    }

    /// The string `name` of the body.
    #[track_caller]
    pub fn text(&self, name: &str) -> String {
        self.json()[name].as_str().unwrap_or_else(|| panic!("no string {name}: {self:#?}")).to_owned()
    }

    /// The two tokens of a login or a refresh.
    #[track_caller]
    pub fn tokens(self) -> Tokens {
        let this = self.is(200);
        assert_eq!(this.header("cache-control"), "no-store", "{this:#?}");
        assert_eq!(this.text("tokenType"), "Bearer");
        let expires_in = this.json()["expiresIn"].as_u64().expect("expiresIn is a number of seconds");
        Tokens { access: this.text("accessToken"), refresh: this.text("refreshToken"), expires_in }
    }

    /// The header `name`, or "" if there is none.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}
