//! Callers as values.

use std::fmt::Display;
use std::time::Duration;

use reqwest::Method;
use serde_json::Value;
use tokio::time::sleep;

use crate::answer::Answer;
use crate::service::Service;

/// A client of a service.
#[derive(Clone)]
pub struct Caller<'a> {
    pub service: &'a Service,
    pub headers: Vec<(&'static str, String)>,
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

    pub async fn delete_with(&self, path: &str, body: &Value) -> Answer {
        self.call(Method::DELETE, path, Some(body.to_string())).await
    }

    /// Sends `body` as JSON, unless the caller has set a `Content-Type`, and retries a 503 after its `Retry-After`.
    pub async fn call(&self, method: Method, path: &str, body: Option<String>) -> Answer {
        for _ in 0..self.service.patience {
            let answer = self.call_once(method.clone(), path, body.clone()).await;
            if answer.status != 503 {
                return answer;
            }
            sleep(Duration::from_secs(answer.header("retry-after").parse().unwrap())).await;
        }
        self.call_once(method, path, body).await
    }

    async fn call_once(&self, method: Method, path: &str, body: Option<String>) -> Answer {
        let asked = format!("{method} {path} {}", body.as_deref().unwrap_or_default());
        let mut request = self.service.client.request(method, format!("http://{}{path}", self.service.addr));
        if let Some(body) = body {
            request = request.body(body);
            if self.headers.iter().all(|(name, _)| *name != "Content-Type") {
                request = request.header("Content-Type", "application/json");
            }
        }
        let request = self.headers.iter().fold(request, |request, (name, value)| request.header(*name, value));
        let response = request.send().await.unwrap();
        let (status, headers) = (response.status(), response.headers().clone());
        Answer { asked, status, headers, body: response.text().await.unwrap() }.sound()
    }
}
