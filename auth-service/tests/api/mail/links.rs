use serde_json::json;

use super::{NEW, PUBLIC_URL, address, server, start, ticket};
use crate::service::{ADMIN, GOOD, Service, new_name, text};

#[tokio::test]
#[cfg_attr(not(feature = "all-tests"), ignore = "needs a mail server: ./test")]
async fn link_is_never_built_from_the_host_of_a_request() {
    let service = Service::start([("PUBLIC_URL", PUBLIC_URL)]).await;
    let person = service.newcomer().await;
    let admin = service.admin().await.with("Host", "evil.example").with("X-Forwarded-Host", "evil.example");
    let link = admin.post(&format!("/users/{}/reset-link", person.id), &json!({})).await.is(201);
    assert!(link.body.contains(PUBLIC_URL) && !link.body.contains("evil"), "{link:?}");

    let service = start(&[]).await;
    let email = address("anna");
    service.member_with(&email).await;
    let visitor = service.nobody().with("Host", "evil.example").with("X-Forwarded-Host", "evil.example");
    visitor.post("/password/forgot", &json!({"email": email})).await.is(202);
    let mail = &server().mails(&email, 1).await[0];
    ticket(mail, "reset");
    assert!(!mail.to_string().contains("evil"), "{mail}");
}

#[tokio::test]
#[cfg_attr(not(feature = "all-tests"), ignore = "needs a mail server: ./test")]
async fn line_break_in_a_name_or_an_address_is_refused_and_adds_no_header() {
    let service = start(&[]).await;
    let (admin, victim) = (service.admin().await, address("victim"));
    for line_break in ["\r\n", "\n", "\r", "\u{2028}", "\0"] {
        let (name, email) = (new_name(), address("anna"));
        for email in [
            format!("{email}{line_break}Bcc: {victim}"),
            format!("{line_break}{email}"),
            format!("a{line_break}{email}"),
            format!("{email},{victim}"),
            format!("{email}>{line_break}RCPT TO:<{victim}"),
        ] {
            let body = json!({"username": name, "password": GOOD, "email": email});
            service.nobody().post("/register", &body).await.refuses(&["email"]);
            admin.post("/users", &body).await.refuses(&["email"]);
            service.nobody().post("/password/forgot", &json!({"email": email})).await.refuses(&["email"]);
        }
        let body = json!({"username": format!("{name}{line_break}Bcc: {victim}"), "password": GOOD, "email": email});
        service.nobody().post("/register", &body).await.refuses(&["username"]);
    }
    server().mails(&victim, 0).await;
}

#[tokio::test]
async fn admin_gets_a_link_also_without_mail() {
    let service = Service::start([("PUBLIC_URL", PUBLIC_URL)]).await;
    let (admin, person) = (service.admin().await, service.newcomer().await);
    let path = format!("/users/{}/reset-link", person.id);
    let link = admin.post(&path, &json!({})).await.is(201).json();
    assert!(text(&link["expiresAt"]).ends_with('Z'), "{link}");
    let found = ticket(&json!({"body": link["url"]}), "reset");
    service.reset(&found, NEW).await.is(204);
    service.log_in((&person.name, NEW)).await;
    service.refresh(&person.pair.refresh).await.is(403);
    admin.post("/users/no-id/reset-link", &json!({})).await.fails(404, "not_found");

    let without = Service::start([]).await;
    let nowhere = format!("/users/{}/reset-link", without.newcomer().await.id);
    without.admin().await.post(&nowhere, &json!({})).await.fails(409, "public_url_not_configured");
}

#[tokio::test]
async fn link_ends_with_the_sessions_or_the_role_of_the_admin_who_made_it() {
    let service = Service::start([("PUBLIC_URL", PUBLIC_URL)]).await;
    let (admin, person) = (service.admin().await, service.newcomer().await);
    let link = format!("/users/{}/reset-link", person.id);
    for (method, path, body) in [
        ("PATCH", "/users/{id}", json!({"role": "member"})),
        ("PATCH", "/users/{id}", json!({"disabled": true})),
        ("PATCH", "/users/{id}", json!({"password": NEW})),
        ("DELETE", "/users/{id}", json!({})),
        ("DELETE", "/users/{id}/sessions", json!({})),
        ("DELETE", "/me/sessions", json!({})),
        ("PUT", "/me/password", json!({"currentPassword": GOOD, "newPassword": NEW})),
        ("POST", "/logout", json!({})),
    ] {
        let name = new_name();
        let body_of_maker = json!({"username": name, "password": GOOD, "role": "admin"});
        let id = text(&admin.post("/users", &body_of_maker).await.is(201).json()["user"]["id"]);
        let maker = service.bearer(&service.log_in((&name, GOOD)).await.access);
        let made = maker.post(&link, &json!({})).await.is(201).json();
        let caller = if path.starts_with("/users") { &admin } else { &maker };
        let done = caller.call(method.parse().unwrap(), &path.replace("{id}", &id), Some(body.to_string())).await;
        assert!(done.status.is_success(), "{method} {path}: {done:?}");
        let reset = service.reset(&ticket(&json!({"body": made["url"]}), "reset"), NEW).await;
        if path == "/logout" {
            reset.is(204);
        } else {
            reset.fails(403, "invalid_reset_token");
        }
    }
}

#[tokio::test]
async fn link_ends_when_a_refresh_token_of_its_maker_is_reused() {
    let service = Service::start([("PUBLIC_URL", PUBLIC_URL)]).await;
    let person = service.newcomer().await;
    let maker = service.log_in(ADMIN).await;
    let path = format!("/users/{}/reset-link", person.id);
    let made = service.bearer(&maker.access).post(&path, &json!({})).await.is(201).json();
    let next = service.refresh(&maker.refresh).await.is(200).pair();
    service.refresh(&next.refresh).await.is(200);
    service.refresh(&maker.refresh).await.fails(403, "invalid_refresh_token");
    service.reset(&ticket(&json!({"body": made["url"]}), "reset"), NEW).await.fails(403, "invalid_reset_token");
}

#[tokio::test]
async fn user_added_without_a_password_sets_one_by_a_link() {
    let service = Service::start([("PUBLIC_URL", PUBLIC_URL)]).await;
    let (admin, name) = (service.admin().await, new_name());
    let user = admin.post("/users", &json!({"username": name})).await.is(201).json()["user"].clone();
    service.try_log_in((&name, "")).await.is(401);
    let link = admin.post(&format!("/users/{}/reset-link", text(&user["id"])), &json!({})).await.is(201).json();
    service.reset(&ticket(&json!({"body": link["url"]}), "reset"), GOOD).await.is(204);
    service.log_in((&name, GOOD)).await;
    let without = Service::start([]).await;
    without.admin().await.post("/users", &json!({"username": name})).await.refuses(&["password"]);
    service.nobody().post("/register", &json!({"username": new_name()})).await.refuses(&["password"]);
}

#[tokio::test]
async fn calls_about_mail_are_404_where_it_is_off() {
    let service = Service::start([]).await;
    let member = service.member().await;
    let email = json!({"email": "ann@example.org", "currentPassword": "x"});
    service.nobody().post("/password/forgot", &email).await.fails(404, "mail_not_configured");
    member.put("/me/email", &email).await.fails(404, "mail_not_configured");
    member.post("/email/verify", &json!({"token": "A"})).await.fails(404, "mail_not_configured");
    service.reset("A", NEW).await.fails(403, "invalid_reset_token");
    assert_eq!(member.get("/me").await.is(200).json().get("emailVerified"), None);
}
