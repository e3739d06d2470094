//! Missing and invalid access tokens, and the configured header and secrets with which a token is valid.

use shared_claims::AccessClaims;

use super::{ROWS, SETTINGS};
use crate::caller::Caller;
use crate::forge::{access_claims, access_token, expired_access, signed, tampered};
use crate::service::{ACCESS_SECRET, MEMBER, Person, REFRESH_SECRET, Service};

/// Callers whose access token is missing, invalid or of an unknown role, though each was made from an admin's token.
fn strangers<'a>(service: &'a Service, admin: &Person) -> Vec<(Caller<'a>, u16, &'static str, &'static str)> {
    let good = &admin.pair.access;
    let claims = access_claims(good);
    let bearer = |token: &str| service.bearer(token);
    let unsigned = format!("eyJhbGciOiJub25lIiwidHlwIjoiYXQrand0In0.{}.", good.split('.').nth(1).unwrap());
    let owner = access_token(&AccessClaims { role: "owner".to_owned(), ..claims.clone() });
    let both = bearer(good).with("Authorization", format!("Bearer {good}"));
    vec![
        (service.nobody().with("Authorization", "Basic am9objpwYXNzd29yZA=="), 401, "missing_token", "Basic"),
        (service.nobody().with("x-access-token", good), 401, "missing_token", "a header that is not set up"),
        (service.nobody().with("Cookie", format!("access_token={good}")), 401, "missing_token", "a cookie"),
        (service.nobody().with("Authorization", good), 401, "missing_token", "no scheme"),
        (bearer(""), 401, "invalid_token", "an empty token"),
        (bearer("garbage"), 401, "invalid_token", "garbage"),
        (bearer(&expired_access(good)), 401, "invalid_token", "expired"),
        (bearer(&tampered(good)), 401, "invalid_token", "tampered"),
        (bearer(&unsigned), 401, "invalid_token", "alg none"),
        (bearer(&admin.pair.refresh), 401, "invalid_token", "a refresh token"),
        (bearer(&signed(&claims, REFRESH_SECRET)), 401, "invalid_token", "signed with the refresh secret"),
        (both, 401, "invalid_token", "twice"),
        (bearer(&owner), 403, "insufficient_scope", "a role that nobody knows"),
    ]
}

#[tokio::test]
async fn invalid_access_token_is_401_on_every_route() {
    let service = Service::start(SETTINGS).await;
    let admin = service.new_admin(&service.admin().await).await;
    // The user whose values fill the calls that need no access token.
    let member = service.newcomer().await;
    for row in ROWS {
        let (method, _, _, [nobody, ..]) = row;
        for (caller, status, code, why) in strangers(&service, &admin) {
            let person = if nobody == 401 { &admin } else { &member };
            let answer = service.try_row(row, &caller, person, &member.id).await;
            println!("{why}: {}", answer.asked);
            if nobody != 401 {
                answer.is(nobody);
                continue;
            }
            let answer = answer.is(status);
            let challenge = answer.header("www-authenticate");
            if code == "missing_token" {
                assert_eq!(challenge, r#"Bearer realm="api""#);
            } else {
                let error = format!(r#"Bearer error="{code}", error_description=""#);
                assert!(challenge.starts_with(&error), "{challenge}");
            }
            if method != "HEAD" {
                answer.fails(status, code);
            }
        }
    }
    // The refused calls changed nothing.
    service.bearer(&admin.pair.access).get("/users").await.is(200);
    service.refresh(&admin.pair.refresh).await.is(200);
}

#[tokio::test]
async fn access_token_in_the_configured_header_is_accepted() {
    let service = Service::start([("ACCESS_TOKEN_HEADER", "x-access-token")]).await;
    let good = service.log_in(MEMBER).await.access;
    let nobody = service.nobody();
    nobody.clone().with("x-access-token", &good).get("/me").await.is(200);
    nobody.clone().with("Authorization", format!("bEARER {good}")).get("/me").await.is(200);
    nobody.clone().with("x-access-token", tampered(&good)).get("/me").await.fails(401, "invalid_token");
    service.bearer(&good).with("x-access-token", &good).get("/me").await.fails(401, "invalid_token");
    nobody.get(&format!("/me?access_token={good}")).await.fails(401, "missing_token");
}

#[tokio::test]
async fn the_access_secret_can_be_replaced() {
    let service = Service::start([]).await;
    let pair = service.log_in(MEMBER).await;
    let new = "another access secret of the tests, made today";
    let settings = [("ACCESS_TOKEN_SECRET", new)];
    let other = Service::start_on(service.database.clone(), settings).await;
    other.bearer(&pair.access).get("/me").await.fails(401, "invalid_token");
    let settings = [("ACCESS_TOKEN_SECRET", new), ("ACCESS_TOKEN_SECRET_PREVIOUS", ACCESS_SECRET)];
    let other = Service::start_on(service.database.clone(), settings).await;
    other.bearer(&pair.access).get("/me").await.is(200);
    let next = other.refresh(&pair.refresh).await.is(200).pair();
    other.bearer(&next.access).get("/me").await.is(200);
    service.bearer(&next.access).get("/me").await.fails(401, "invalid_token");
}
