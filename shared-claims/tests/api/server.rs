use std::collections::HashMap;
use std::time::SystemTime;

use actix_web::{App, HttpResponse, HttpServer, rt, web};
use reqwest::{Client, RequestBuilder, Response, StatusCode};
use serde_json::{Value, json};
use shared_claims::{AccessClaims, Admin, Guard, Member, Verifier};

use crate::forge::{LIFE, Object, SECRET, access, header, secret, token, trust};

/// A service with a door for members and one for admins.
pub struct Service {
    url: String,
    client: Client,
}

/// An answer, read to its end.
pub struct Answer {
    pub status: StatusCode,
    pub headers: HashMap<String, String>,
    pub body: Value,
}

async fn member_door(member: Member) -> HttpResponse {
    HttpResponse::Ok().json(json!({
        "userId": member.user_id, "username": member.username, "role": member.role, "sessionId": member.session_id,
        "issuedAt": member.issued_at, "expiresAt": member.expires_at,
    }))
}

async fn admin_door(admin: Admin) -> HttpResponse {
    HttpResponse::Ok().json(json!({"username": admin.username}))
}

impl Service {
    /// Tokens are taken from `Authorization` and, where it has a name, from one more header.
    pub fn start(extra_header: Option<&'static str>) -> Self {
        let guard = web::Data::new(Guard::new(verifier()).also_from(extra_header.map(actix_header)));
        Self::serve(move |config| {
            config.app_data(guard.clone());
        })
    }

    /// The same doors, but nobody thought of a guard.
    pub fn unguarded() -> Self {
        Self::serve(|_| ())
    }

    fn serve(configure: impl Fn(&mut web::ServiceConfig) + Clone + Send + 'static) -> Self {
        let app = move || {
            let doors =
                App::new().route("/member", web::get().to(member_door)).route("/admin", web::get().to(admin_door));
            doors.configure(configure.clone())
        };
        let server = HttpServer::new(app).workers(1).disable_signals().bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", server.addrs()[0]);
        rt::spawn(server.run());
        Self { url, client: Client::new() }
    }

    pub fn get(&self, path: &str) -> RequestBuilder {
        self.client.get(format!("{}{path}", self.url))
    }

    /// The answer to `path` with one header.
    pub async fn ask(&self, path: &str, name: &str, value: impl AsRef<[u8]>) -> Answer {
        Answer::read(self.get(path).header(name, value.as_ref()).send().await.unwrap()).await
    }

    /// The answer to `path` with these values of `Authorization`, a header line each.
    pub async fn with_authorization(&self, path: &str, values: &[&str]) -> Answer {
        let request = self.get(path);
        let request = values.iter().fold(request, |request, value| request.header("Authorization", *value));
        Answer::read(request.send().await.unwrap()).await
    }

    pub async fn with_bearer(&self, path: &str, token: &str) -> Answer {
        self.with_authorization(path, &[&format!("Bearer {token}")]).await
    }
}

impl Answer {
    pub async fn read(response: Response) -> Self {
        let status = response.status();
        let headers =
            response.headers().iter().map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()));
        let headers = headers.collect();
        Self { status, headers, body: response.json().await.unwrap_or_default() }
    }

    /// The body is the problem `code`, of this status, and the challenge is this one.
    #[track_caller]
    pub fn refuses(&self, status: u16, code: &str, challenge: &str, why: &str) {
        assert_eq!((self.status.as_u16(), &self.body["code"]), (status, &json!(code)), "{why}: {}", self.body);
        assert_eq!(self.headers.get("www-authenticate").map(String::as_str), Some(challenge), "{why}");
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
        assert_eq!(self.status, 200, "{why}: {}", self.body);
        assert_eq!(self.body["username"], "anna", "{why}");
    }

    /// No token: the challenge says nothing of an error (RFC 6750 section 3.1).
    #[track_caller]
    pub fn asks_for_a_token(&self, why: &str) {
        self.refuses(401, "missing_token", r#"Bearer realm="api""#, why);
    }

    /// A bad token.
    #[track_caller]
    pub fn refuses_the_token(&self, description: &str, why: &str) {
        let challenge = format!(r#"Bearer error="invalid_token", error_description="{description}""#);
        self.refuses(401, "invalid_token", &challenge, why);
    }

    /// A good token of somebody who may not.
    #[track_caller]
    pub fn refuses_the_role(&self, description: &str, why: &str) {
        let challenge = format!(r#"Bearer error="insufficient_scope", error_description="{description}""#);
        self.refuses(403, "insufficient_scope", &challenge, why);
    }
}

fn verifier() -> Verifier<AccessClaims> {
    Verifier::new(&trust(&secret(SECRET), None)).unwrap()
}

fn actix_header(name: &'static str) -> actix_web::http::header::HeaderName {
    actix_web::http::header::HeaderName::from_static(name)
}

/// The claims of somebody with this role who signed in just now.
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
