//! Every route for every role.

mod strangers;

use reqwest::Method;
use serde_json::json;

use crate::answer::Answer;
use crate::caller::Caller;
use crate::forge::access_claims;
use crate::mail::TO_LOG;
use crate::service::{GOOD, Person, Service, new_name, text};

/// A call, and its status without a token, for a member, and for an admin. Path and body may contain the caller's name
/// `{me}`, refresh token `{refresh}` and session `{session}`; `{id}` is another user, and `{new}` a free name.
type Row = (&'static str, &'static str, &'static str, [u16; 3]);

const ROWS: [Row; 51] = [
    ("POST", "/register", r#"{"username":"{new}","password":"vK7#qz!Lw2"}"#, [201, 201, 201]),
    ("POST", "/login", r#"{"username":"{me}","password":"vK7#qz!Lw2"}"#, [200, 200, 200]),
    ("POST", "/token", r#"{"token":"{refresh}"}"#, [200, 200, 200]),
    ("POST", "/refresh", r#"{"token":"{refresh}"}"#, [200, 200, 200]),
    ("POST", "/logout", r#"{"token":"{refresh}"}"#, [200, 200, 200]),
    ("POST", "/password/forgot", r#"{"email":"nobody@example.org"}"#, [202, 202, 202]),
    ("POST", "/password/reset", r#"{"token":"x","newPassword":"Mz4?tuRnip-9"}"#, [403, 403, 403]),
    ("POST", "/email/verify", r#"{"token":"x"}"#, [401, 403, 403]),
    ("GET", "/reset", "", [200, 200, 200]),
    ("HEAD", "/reset", "", [200, 200, 200]),
    ("GET", "/verify", "", [200, 200, 200]),
    ("HEAD", "/verify", "", [200, 200, 200]),
    ("GET", "/me", "", [401, 200, 200]),
    ("HEAD", "/me", "", [401, 200, 200]),
    ("PUT", "/me/password", r#"{"currentPassword":"vK7#qz!Lw2","newPassword":"Mz4?tuRnip-9"}"#, [401, 204, 204]),
    ("PUT", "/me/email", r#"{"email":"new@example.org","currentPassword":"vK7#qz!Lw2"}"#, [401, 202, 202]),
    ("GET", "/me/sessions", "", [401, 200, 200]),
    ("HEAD", "/me/sessions", "", [401, 200, 200]),
    ("DELETE", "/me/sessions/{session}", "", [401, 204, 204]),
    ("DELETE", "/me/sessions", "", [401, 204, 204]),
    ("DELETE", "/me", r#"{"currentPassword":"vK7#qz!Lw2"}"#, [401, 204, 204]),
    ("GET", "/users", "", [401, 403, 200]),
    ("HEAD", "/users", "", [401, 403, 200]),
    ("POST", "/users", r#"{"username":"{new}","password":"vK7#qz!Lw2"}"#, [401, 403, 201]),
    ("GET", "/users/{id}", "", [401, 403, 200]),
    ("HEAD", "/users/{id}", "", [401, 403, 200]),
    ("PATCH", "/users/{id}", r#"{"role":"admin"}"#, [401, 403, 200]),
    ("DELETE", "/users/{id}", "", [401, 403, 204]),
    ("DELETE", "/users/{id}/sessions", "", [401, 403, 204]),
    ("POST", "/users/{id}/reset-link", "{}", [401, 403, 201]),
    ("GET", "/revocations", "", [200, 200, 200]),
    ("HEAD", "/revocations", "", [200, 200, 200]),
    ("GET", "/.well-known/jwks.json", "", [200, 200, 200]),
    ("HEAD", "/.well-known/jwks.json", "", [200, 200, 200]),
    ("GET", "/.well-known/oauth-authorization-server", "", [404, 404, 404]),
    ("HEAD", "/.well-known/oauth-authorization-server", "", [404, 404, 404]),
    ("GET", "/.well-known/openid-configuration", "", [404, 404, 404]),
    ("HEAD", "/.well-known/openid-configuration", "", [404, 404, 404]),
    ("POST", "/revoke", "token={refresh}", [200, 200, 200]),
    ("POST", "/introspect", "token={refresh}", [404, 404, 404]),
    ("GET", "/livez", "", [200, 200, 200]),
    ("HEAD", "/livez", "", [200, 200, 200]),
    ("GET", "/readyz", "", [200, 200, 200]),
    ("HEAD", "/readyz", "", [200, 200, 200]),
    ("GET", "/openapi.json", "", [200, 200, 200]),
    ("HEAD", "/openapi.json", "", [200, 200, 200]),
    ("GET", "/docs", "", [200, 200, 200]),
    ("HEAD", "/docs", "", [200, 200, 200]),
    ("GET", "/docs/start.js", "", [200, 200, 200]),
    ("HEAD", "/docs/start.js", "", [200, 200, 200]),
    ("GET", "/nowhere", "", [404, 404, 404]),
];

/// Paths that every service has, and one that does not exist.
const BESIDE_THE_TABLE: [&str; 6] = ["/livez", "/readyz", "/openapi.json", "/docs", "/docs/start.js", "/nowhere"];

/// Mail is enabled. The grace lets more than one call present the same refresh token.
const SETTINGS: [(&str, &str); 4] = [("REFRESH_GRACE", "1h"), TO_LOG[0], TO_LOG[1], TO_LOG[2]];

impl Service {
    pub async fn new_admin(&self, root: &Caller<'_>) -> Person {
        let name = new_name();
        let admin = json!({"username": name, "password": GOOD, "role": "admin"});
        let id = text(&root.post("/users", &admin).await.is(201).json()["user"]["id"]);
        Person { pair: self.log_in((&name, GOOD)).await, name, id }
    }

    /// Makes the call of `row` as `caller`, with the values of `person` and the id `other`.
    async fn try_row(&self, row: Row, caller: &Caller<'_>, person: &Person, other: &str) -> Answer {
        let (method, path, body, _) = row;
        let fill = |text: &str| {
            let session = access_claims(&person.pair.access).sid;
            text.replace("{me}", &person.name)
                .replace("{refresh}", &person.pair.refresh)
                .replace("{session}", &session)
                .replace("{id}", other)
                .replace("{new}", &new_name())
        };
        let body = Some(fill(body)).filter(|body| !body.is_empty());
        let is_form = body.as_ref().is_some_and(|body| !body.starts_with('{'));
        let typ = is_form.then_some(("Content-Type", "application/x-www-form-urlencoded".to_owned()));
        let caller = Caller { headers: caller.headers.iter().cloned().chain(typ).collect(), ..*caller };
        caller.call(method.parse::<Method>().unwrap(), &fill(path), body).await
    }
}

#[tokio::test]
async fn every_route_checks_the_role() {
    let service = Service::start(SETTINGS).await;
    let root = service.admin().await;
    for row in ROWS {
        let (_, _, _, [nobody, member, admin]) = row;
        let (anna, john) = (service.newcomer().await, service.new_admin(&root).await);
        let other = service.newcomer().await.id;
        service.try_row(row, &service.nobody(), &anna, &other).await.is(nobody);
        service.try_row(row, &service.bearer(&anna.pair.access), &anna, &other).await.is(member);
        service.try_row(row, &service.bearer(&john.pair.access), &john, &other).await.is(admin);
    }
}

#[tokio::test]
async fn authorization_table_covers_every_route() {
    let service = Service::start([]).await;
    let table = include_str!("../../src/routes/mod.rs");
    let mut paths: Vec<_> = table.split("at(\"").skip(1).map(|rest| rest.split('"').next().unwrap()).collect();
    assert!(paths.len() > 10, "too few routes found in the URL table");
    paths.extend(BESIDE_THE_TABLE);
    for path in paths {
        let allowed = service.nobody().call(Method::OPTIONS, path, None).await;
        let methods = if path == "/nowhere" { "GET" } else { allowed.header("allow") };
        for method in methods.split(", ").filter(|method| *method != "OPTIONS") {
            let template = path.replace("/me/sessions/{id}", "/me/sessions/{session}");
            assert!(ROWS.iter().any(|row| (row.0, row.1) == (method, &template)), "no row for {method} {path}");
        }
    }
}
