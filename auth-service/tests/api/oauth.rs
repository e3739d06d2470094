//! The calls of OAuth 2.0: a refresh as a form, revocation, introspection, metadata.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use reqwest::Method;
use serde_json::{Value, json};

use crate::answer::{Answer, names};
use crate::caller::Caller;
use crate::database::{Database, server};
use crate::forge::{access_claims, access_token, expired_access, refresh_claims, signed, tampered};
use crate::redis_server::Redis;
use crate::service::{ACCESS_SECRET, MEMBER, REFRESH_SECRET, Service, TokenPair, on_each_store};

const FORM: &str = "application/x-www-form-urlencoded";
const SECRET: &str = "an introspection secret of the tests, of 32 bytes";
const INTROSPECTION: (&str, &str) = ("INTROSPECTION_SECRET", SECRET);

impl Caller<'_> {
    async fn form(&self, path: &str, body: &str) -> Answer {
        self.clone().with("Content-Type", FORM).call(Method::POST, path, Some(body.to_owned())).await
    }
}

impl Answer {
    #[track_caller]
    fn errs(self, status: u16, error: &str) -> Self {
        let this = self.is(status);
        assert_eq!(this.json()["error"], error, "{this:?}");
        this
    }
}

impl Service {
    fn books(&self) -> Caller<'_> {
        self.basic("books-service", SECRET)
    }

    fn basic(&self, name: &str, secret: &str) -> Caller<'_> {
        self.nobody().with("Authorization", format!("Basic {}", STANDARD.encode(format!("{name}:{secret}"))))
    }

    async fn introspect(&self, token: &str) -> Value {
        self.books().form("/introspect", &format!("token={token}")).await.is(200).json()
    }
}

fn refresh_form(token: &str) -> String {
    format!("grant_type=refresh_token&refresh_token={token}")
}

#[tokio::test]
async fn form_of_a_refresh_is_answered_in_the_names_of_rfc_6749() {
    on_each_store([], async |service| {
        let first = service.log_in(MEMBER).await;
        let mut refresh = first.refresh;
        for path in ["/token", "/refresh"] {
            let answer = service.nobody().form(path, &refresh_form(&refresh)).await.is(200);
            assert_eq!(answer.header("pragma"), "no-cache");
            let tokens = answer.json();
            assert_eq!(names(&tokens), ["access_token", "expires_in", "refresh_token", "token_type"]);
            assert_eq!((&tokens["token_type"], &tokens["expires_in"]), (&json!("Bearer"), &json!(900)));
            service.bearer(tokens["access_token"].as_str().unwrap()).get("/me").await.is(200);
            refresh = tokens["refresh_token"].as_str().unwrap().to_owned();
        }
        service.refresh(&refresh).await.is(200);
    })
    .await;
}

#[tokio::test]
async fn form_of_a_refresh_that_is_wrong_is_an_error_of_rfc_6749() {
    let service = Service::start([]).await;
    let TokenPair { access, refresh } = service.log_in(MEMBER).await;
    let (good, forged) = (refresh_form(&refresh), refresh_form(&tampered(&refresh)));
    for (body, error, why) in [
        ("", "invalid_request", "empty"),
        ("grant_type=refresh_token", "invalid_request", "no token"),
        ("grant_type=refresh_token&refresh_token=", "invalid_request", "an empty token"),
        (&*format!("refresh_token={refresh}"), "invalid_request", "no grant type"),
        ("grant_type=refresh_token&refresh_token=%FF", "invalid_request", "a token that is not UTF-8"),
        (&*format!("{good}&grant_type=refresh_token"), "invalid_request", "a grant type twice"),
        (&*format!("{good}&refresh_token={refresh}"), "invalid_request", "a token twice"),
        (&*good.replace("grant_type=refresh_token", "grant_type=password"), "unsupported_grant_type", "a password"),
        (&*format!("{good}&scope=admin"), "invalid_scope", "a scope"),
        (&*forged, "invalid_grant", "forged"),
        (&*refresh_form(&access), "invalid_grant", "an access token"),
        (&*refresh_form("x"), "invalid_grant", "no token at all"),
        (r#"{"token":"x"}"#, "invalid_request", "JSON that is called a form"),
    ] {
        println!("{why}");
        let answer = service.nobody().form("/token", body).await.errs(400, error);
        assert!(!answer.body.contains(&refresh), "the response reveals the token");
    }
    let bytes = service.client.post(format!("http://{}/token", service.addr)).header("Content-Type", FORM);
    assert_eq!(bytes.body(b"refresh_token=\xff".to_vec()).send().await.unwrap().status(), 400);
    // None of the refused calls consumed the refresh token.
    let page = service.nobody().with("Cookie", format!("__Host-refresh_token={refresh}")).with("Origin", "http://x");
    page.form("/token", "grant_type=refresh_token").await.errs(400, "invalid_request");
    let charset = service.nobody().with("Content-Type", format!("{FORM}; charset=UTF-8"));
    let body = format!("{good}&client_id=app&scope=&unknown=1&unknown=2");
    charset.call(Method::POST, "/token", Some(body)).await.is(200);
    let long = format!("{good}&x={}", "x".repeat(64 << 10));
    service.nobody().form("/token", &long).await.fails(413, "content_too_large");
    service.log_out(&refresh).await.is(200);
    service.nobody().form("/token", &good).await.errs(400, "invalid_grant");
}

#[tokio::test]
async fn forms_are_the_only_bodies_of_revocation_and_introspection() {
    let service = Service::start([INTROSPECTION]).await;
    for path in ["/revoke", "/introspect"] {
        let json = service.books().call(Method::POST, path, Some(r#"{"token":"x"}"#.to_owned())).await;
        assert_eq!(json.fails(415, "unsupported_media_type").header("accept"), FORM);
        service.books().call(Method::POST, path, None).await.fails(415, "unsupported_media_type");
        service.books().with("Content-Encoding", "gzip").form(path, "token=x").await.is(415);
        for body in ["", "token=", "token=%FF", "token=a&token=b", "token_type_hint=access_token"] {
            service.books().form(path, body).await.errs(400, "invalid_request");
        }
        service.books().form(path, &format!("token={}", "x".repeat(65 << 10))).await.fails(413, "content_too_large");
        service.books().get(path).await.fails(405, "method_not_allowed");
    }
}

#[tokio::test]
async fn revoked_token_ends_its_session() {
    on_each_store([], async |service| {
        for kind in ["access", "refresh", "used"] {
            let (one, other) = (service.log_in(MEMBER).await, service.log_in(MEMBER).await);
            let token = if kind == "access" { &one.access } else { &one.refresh };
            if kind == "used" {
                service.refresh(token).await.is(200);
            }
            let body = format!("token={token}&token_type_hint=pigeon");
            let answer = service.nobody().form("/revoke", &body).await.is(200);
            assert_eq!(answer.body, "");
            service.refresh(&one.refresh).await.fails(403, "invalid_refresh_token");
            service.refresh(&other.refresh).await.is(200);
            service.nobody().form("/revoke", &body).await.is(200);
        }
    })
    .await;
}

#[tokio::test]
async fn revocation_of_a_worthless_token_is_200() {
    let service = Service::start([]).await;
    let pair = service.log_in(MEMBER).await;
    for token in ["x", "a.b.c", &tampered(&pair.access), &tampered(&pair.refresh)] {
        service.nobody().form("/revoke", &format!("token={token}")).await.is(200);
    }
    service.refresh(&pair.refresh).await.is(200);
}

#[tokio::test]
#[cfg_attr(not(feature = "all-tests"), ignore = "needs Redis: ./test")]
async fn revocation_without_its_store_is_503() {
    let redis = Redis::start().await;
    let settings = [("REDIS_URL", &*redis.url()), INTROSPECTION].map(|(name, value)| (name, value.to_owned()));
    let settings = settings.each_ref().map(|(name, value)| (*name, value.as_str()));
    let mut service = Service::start(settings).await;
    let pair = service.log_in(MEMBER).await;
    drop(redis);
    service.patience = 0;
    service.nobody().form("/revoke", &format!("token={}", pair.refresh)).await.fails(503, "unavailable");
    service.nobody().form("/token", &refresh_form(&pair.refresh)).await.fails(503, "unavailable");
    service.books().form("/introspect", &format!("token={}", pair.access)).await.fails(503, "unavailable");
}

#[tokio::test]
async fn introspection_tells_what_the_token_says() {
    let service = Service::start([INTROSPECTION]).await;
    let token = service.log_in(MEMBER).await.access;
    let claims = access_claims(&token);
    let expected = json!({
        "active": true, "iss": "auth-service", "aud": "books-service", "token_type": "Bearer", "sub": claims.sub,
        "username": "anna", "role": "member", "sid": claims.sid, "jti": claims.jti, "iat": claims.iat, "exp": claims.exp,
    });
    assert_eq!(service.introspect(&token).await, expected);
    let auth = service.basic("auth-service", SECRET).form("/introspect", &format!("token={token}")).await.is(200);
    assert_eq!(auth.json()["aud"], "auth-service");
}

#[tokio::test]
async fn introspection_of_a_worthless_token_is_inactive() {
    let service = Service::start([INTROSPECTION]).await;
    let TokenPair { access, refresh } = service.log_in(MEMBER).await;
    let refresh_by_access_secret = signed(&refresh_claims(&refresh), ACCESS_SECRET);
    let claims = access_claims(&access);
    let nobody = access_token(&shared_claims::AccessClaims { sub: "nobody".to_owned(), ..claims.clone() });
    for (token, why) in [
        ("x", "no token"),
        (&*refresh, "a refresh token"),
        (&*refresh_by_access_secret, "a refresh token by the wrong secret"),
        (&*signed(&claims, REFRESH_SECRET), "an access token by the wrong secret"),
        (&*tampered(&access), "forged"),
        (&*expired_access(&access), "expired"),
        (&*nobody, "of no account"),
    ] {
        assert_eq!(service.introspect(token).await, json!({"active": false}), "{why}");
    }
    let alone = Service::start([INTROSPECTION, ("ACCESS_TOKEN_AUDIENCE", "auth-service,orders")]).await;
    let orders = alone.basic("orders", SECRET).form("/introspect", &format!("token={access}")).await.is(200);
    assert_eq!(orders.json(), json!({"active": false}), "the audience is another service");
}

#[tokio::test]
async fn introspection_asks_for_the_name_and_secret_of_a_service() {
    let off = Service::start([]).await;
    off.books().form("/introspect", "token=x").await.fails(404, "not_found");
    off.nobody().call(Method::POST, "/introspect", None).await.fails(404, "not_found");
    let service = Service::start([("INTROSPECTION_SECRET", "a secret with 100% of + and & and = and more")]).await;
    for (secret, why) in [
        ("a secret with 100% of + and & and = and more", "as it is"),
        ("a+secret+with+100%25+of+%2B+and+%26+and+%3D+and+more", "as RFC 6749 section 2.3.1 has it"),
    ] {
        println!("{why}");
        service.basic("books-service", secret).form("/introspect", "token=x").await.is(200);
        service.basic("books%2Dservice", secret).form("/introspect", "token=x").await.is(200);
        service.basic("orders", secret).form("/introspect", "token=x").await.errs(401, "invalid_client");
    }
    let token = service.log_in(MEMBER).await.access;
    for (caller, why) in [
        (service.nobody(), "nobody"),
        (service.bearer(&token), "a bearer"),
        (service.books(), "another secret"),
        (service.basic("books-service", ""), "no secret"),
        (service.books().with("Authorization", "Basic eDp5"), "two headers"),
        (service.nobody().with("Authorization", "Basic *"), "no base64"),
        (service.nobody().with("Authorization", "Basic eA=="), "no colon"),
    ] {
        println!("{why}");
        let refused = caller.form("/introspect", &format!("token={token}")).await.errs(401, "invalid_client");
        assert_eq!(refused.header("www-authenticate"), r#"Basic realm="introspection""#);
        caller.call(Method::POST, "/introspect", Some("{}".to_owned())).await.errs(401, "invalid_client");
    }
}

#[tokio::test]
#[cfg_attr(not(feature = "all-tests"), ignore = "needs Postgres and Redis: ./test")]
async fn introspection_knows_ended_sessions_and_disabled_accounts_at_once() {
    on_each_store([INTROSPECTION], async |service| {
        let admin = service.admin().await;
        for source in ["logout", "disable", "role", "delete", "elsewhere"] {
            let person = service.newcomer().await;
            let token = &person.pair.access;
            assert_eq!(service.introspect(token).await["active"], true, "{source}");
            let user = format!("/users/{}", person.id);
            match source {
                "logout" => service.log_out(&person.pair.refresh).await.is(200),
                "disable" => admin.patch(&user, &json!({"disabled": true})).await.is(200),
                "role" => admin.patch(&user, &json!({"role": "admin"})).await.is(200),
                "delete" => admin.delete(&user).await.is(204),
                _ => service.bearer(token).delete("/me/sessions").await.is(204),
            };
            assert_eq!(service.introspect(token).await, json!({"active": false}), "{source}");
        }
    })
    .await;
    // Another instance ended the session, and this one has not polled since.
    let database = std::sync::Arc::new(Database::postgres().await);
    let redis = server("TEST_REDIS_URL");
    let settings = [INTROSPECTION, ("REDIS_URL", redis.as_str())];
    let one = Service::start_on(database.clone(), settings).await;
    let other = Service::start_on(database, settings).await;
    let pair = one.log_in(MEMBER).await;
    assert_eq!(other.introspect(&pair.access).await["active"], true);
    one.log_out(&pair.refresh).await.is(200);
    assert_eq!(other.introspect(&pair.access).await, json!({"active": false}));
}

#[tokio::test]
async fn metadata_is_true() {
    let places = ["/.well-known/oauth-authorization-server", "/.well-known/openid-configuration"];
    for issuer in ["https://auth.example.com", "http://localhost:3000/auth/"] {
        let service = Service::start([("TOKEN_ISSUER", issuer), INTROSPECTION]).await;
        let first = service.nobody().get(places[0]).await.is(200);
        assert_eq!(first.header("cache-control"), "public, max-age=300");
        assert_eq!(service.nobody().get(places[1]).await.is(200).body, first.body);
        let metadata = first.json();
        assert_eq!(metadata["issuer"], issuer);
        assert_eq!(metadata["grant_types_supported"], json!(["refresh_token"]));
        assert_eq!(metadata["response_types_supported"], json!([]));
        let token = service.log_in(MEMBER).await;
        let place = |name: &str| {
            let url = metadata[name].as_str().unwrap();
            url.strip_prefix(issuer.trim_end_matches('/')).unwrap().to_owned()
        };
        service.nobody().get(&place("jwks_uri")).await.is(200);
        service.books().form(&place("introspection_endpoint"), &format!("token={}", token.access)).await.is(200);
        service.nobody().form(&place("token_endpoint"), &refresh_form(&token.refresh)).await.is(200);
        service.nobody().form(&place("revocation_endpoint"), &format!("token={}", token.refresh)).await.is(200);
        let listed = names(&metadata);
        assert!(!listed.contains(&"authorization_endpoint") && !listed.contains(&"userinfo_endpoint"));
    }
    let service = Service::start([("TOKEN_ISSUER", "https://auth.example.com")]).await;
    let metadata = service.nobody().get(places[0]).await.is(200).json();
    assert!(names(&metadata).iter().all(|name| !name.starts_with("introspection")));
    for issuer in ["auth-service", "urn:auth", "https://", "https://auth.example.com/?x", "https://a@b", "https://a/#x"]
    {
        let service = Service::start([("TOKEN_ISSUER", issuer)]).await;
        for place in places {
            service.nobody().get(place).await.fails(404, "not_found");
        }
    }
}
