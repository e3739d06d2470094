//! Responses, and the properties that every response has.

use reqwest::{StatusCode, header::HeaderMap};
use serde_json::Value;

use crate::service::{TokenPair, text};

/// A response.
#[derive(Debug)]
pub struct Answer {
    pub asked: String,
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: String,
}

impl Answer {
    /// Checks the properties of every response.
    #[track_caller]
    pub fn sound(self) -> Self {
        assert!(!self.header("x-request-id").is_empty(), "{self:?}");
        assert_eq!(self.header("x-content-type-options"), "nosniff", "{self:?}");
        let told = ["$2b$", "fixed:", "asswordHash", "password_hash"].iter().any(|secret| self.body.contains(secret));
        assert!(!told, "the response reveals a password or its hash: {self:?}");
        let kept =
            ["/revocations", "/.well-known/", "/docs", "/openapi.json"].iter().any(|path| self.asked.contains(path));
        assert!(kept || self.header("cache-control") == "no-store", "{self:?}");
        if self.status.as_u16() >= 400 && !self.asked.starts_with("HEAD") { self.problem() } else { self }
    }

    /// Asserts that this error response has a documented body (RFC 9457, or OAuth 2.0's own), and returns it.
    #[track_caller]
    fn problem(self) -> Self {
        assert_eq!(self.header("cache-control"), "no-store", "{self:?}");
        if self.header("content-type") == "application/json" {
            // The errors of OAuth 2.0 have a body of their own (RFC 6749 section 5.2).
            assert!(["/token", "/refresh", "/revoke", "/introspect"].iter().any(|path| self.asked.contains(path)));
            assert_eq!(names(&self.json()), ["error", "error_description"], "{self:?}");
            return self;
        }
        assert_eq!(self.header("content-type"), "application/problem+json", "{self:?}");
        let problem = self.json();
        let mut expected = vec!["code", "detail", "requestId", "status", "title", "type"];
        if let Some(errors) = problem["errors"].as_array() {
            expected.insert(2, "errors");
            assert!(errors.iter().all(|error| names(error) == ["field", "message"]), "{self:?}");
        }
        assert_eq!(names(&problem), expected, "{self:?}");
        assert_eq!(problem["type"], "about:blank", "{self:?}");
        assert_eq!(problem["title"].as_str(), title(self.status.as_u16()), "{self:?}");
        assert_eq!(problem["status"], self.status.as_u16(), "{self:?}");
        assert_eq!(problem["requestId"], self.header("x-request-id"), "{self:?}");
        self
    }

    /// Asserts the status, and returns the response.
    #[track_caller]
    pub fn is(self, status: u16) -> Self {
        assert_eq!(self.status.as_u16(), status, "{self:?}");
        self
    }

    /// Asserts the status and the problem's `code`, and returns the response.
    #[track_caller]
    pub fn fails(self, status: u16, code: &str) -> Self {
        let this = self.is(status);
        assert_eq!(this.json()["code"], code, "{this:?}");
        this
    }

    /// Asserts a 422 that rejects these fields of the body, in this order, and returns the response.
    #[track_caller]
    pub fn refuses(self, fields: &[&str]) -> Self {
        let this = self.fails(422, "validation_failed");
        assert_eq!(this.wrong_fields(), fields, "{this:?}");
        this
    }

    /// The fields that `errors` names.
    pub fn wrong_fields(&self) -> Vec<String> {
        let errors = self.json()["errors"].as_array().cloned().unwrap_or_default();
        errors.iter().map(|error| text(&error["field"])).collect()
    }

    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The value of the header `name`, or "" without one.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    pub fn header_count(&self, name: &str) -> usize {
        self.headers.get_all(name).iter().count()
    }

    /// The access token and the refresh token in the body.
    pub fn pair(&self) -> TokenPair {
        let body = self.json();
        TokenPair { access: text(&body["accessToken"]), refresh: text(&body["refreshToken"]) }
    }

    /// The URL of the next page in `Link`.
    pub fn next(&self) -> Option<String> {
        let link = self.headers.get("link")?.to_str().unwrap();
        let path = link.strip_prefix('<').and_then(|link| link.strip_suffix(r#">; rel="next""#));
        Some(path.unwrap_or_else(|| panic!("{link}")).to_owned())
    }
}

/// The names of an object's members, sorted.
pub fn names(object: &Value) -> Vec<&str> {
    let mut names: Vec<_> =
        object.as_object().unwrap_or_else(|| panic!("{object}")).keys().map(String::as_str).collect();
    names.sort_unstable();
    names
}

/// The reason phrase of a status code (RFC 9110 section 15).
fn title(status: u16) -> Option<&'static str> {
    Some(match status {
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        409 => "Conflict",
        413 => "Content Too Large",
        415 => "Unsupported Media Type",
        422 => "Unprocessable Content",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        503 => "Service Unavailable",
        _ => return None,
    })
}
