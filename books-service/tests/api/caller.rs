use std::fmt::Display;

use reqwest::{Method, StatusCode, header::HeaderMap};
use serde_json::Value;

use crate::library::Library;

/// A client of a library.
#[derive(Clone)]
pub struct Caller<'a> {
    pub library: &'a Library,
    pub headers: Vec<(&'static str, String)>,
}

/// The response.
#[derive(Debug)]
pub struct Answer {
    pub asked: String,
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: String,
}

impl Caller<'_> {
    pub fn with(mut self, name: &'static str, value: impl Display) -> Self {
        self.headers.push((name, value.to_string()));
        self
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.call(Method::GET, path, None).await
    }

    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        self.call(Method::POST, path, Some(body.to_string())).await
    }

    pub async fn put(&self, path: &str, body: &Value) -> Answer {
        self.call(Method::PUT, path, Some(body.to_string())).await
    }

    pub async fn patch(&self, path: &str, body: &Value) -> Answer {
        self.call(Method::PATCH, path, Some(body.to_string())).await
    }

    pub async fn delete(&self, path: &str) -> Answer {
        self.call(Method::DELETE, path, None).await
    }

    /// Sends `body` as JSON, unless the caller has set a `Content-Type`.
    pub async fn call(&self, method: Method, path: &str, body: Option<String>) -> Answer {
        let asked = format!("{method} {path} {}", body.as_deref().unwrap_or_default());
        let mut request = self.library.client.request(method, format!("{}{path}", self.library.url));
        if let Some(body) = body {
            request = request.body(body);
            if self.headers.iter().all(|(name, _)| *name != "Content-Type") {
                request = request.header("Content-Type", "application/json");
            }
        }
        let request = self.headers.iter().fold(request, |request, (name, value)| request.header(*name, value));
        let response = request.send().await.unwrap();
        let (status, headers) = (response.status(), response.headers().clone());
        Answer { asked, status, headers, body: response.text().await.unwrap() }
    }
}

impl Answer {
    /// Returns this response. Fails if its status is not `status`.
    #[track_caller]
    pub fn is(self, status: u16) -> Self {
        assert_eq!(self.status.as_u16(), status, "{self:?}");
        self
    }

    /// Returns this response. Fails if it is not the problem `code` with the status `status`.
    #[track_caller]
    pub fn problem(self, status: u16, code: &str) -> Self {
        let this = self.is(status);
        assert_eq!(this.header("content-type"), "application/problem+json", "{this:?}");
        assert_eq!(this.json()["code"], code, "{this:?}");
        assert_eq!(this.json()["status"], status, "{this:?}");
        assert_eq!(this.json()["requestId"], this.header("x-request-id"), "{this:?}");
        this
    }

    /// The fields in `errors`.
    pub fn wrong_fields(&self) -> Vec<String> {
        let errors = self.json()["errors"].as_array().cloned().unwrap_or_default();
        errors.iter().map(|error| error["field"].as_str().unwrap().to_owned()).collect()
    }

    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The members `name` of an array of objects.
    pub fn each(&self, name: &str) -> Vec<Value> {
        self.json().as_array().unwrap().iter().map(|item| item[name].clone()).collect()
    }

    /// The header `name`, or "" if there is none.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// The URL of the next page in `Link`.
    pub fn next(&self) -> Option<String> {
        let link = self.headers.get("link")?.to_str().unwrap();
        let path = link.strip_prefix('<').and_then(|link| link.strip_suffix(r#">; rel="next""#));
        Some(path.unwrap_or_else(|| panic!("{link}")).to_owned())
    }
}
