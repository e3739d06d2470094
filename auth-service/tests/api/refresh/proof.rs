//! Valid and invalid refresh tokens.

use futures_util::future::join_all;
use reqwest::Method;
use serde_json::json;
use shared_claims::RefreshClaims;
use uuid::Uuid;

use crate::answer::Answer;
use crate::database::Database;
use crate::forge::{expired_refresh, refresh_claims, refresh_token, signed, tampered};
use crate::service::{ACCESS_SECRET, ADMIN, MEMBER, REFRESH_SECRET, Service, TokenPair, on_each_store};

#[tokio::test]
async fn missing_refresh_token_is_401_with_a_challenge() {
    let service = Service::start([]).await;
    for body in
        [json!({}), json!({"token": null}), json!({"token": ""}), json!({"refreshToken": ""}), json!({"other": 1})]
    {
        let answer = service.nobody().post("/token", &body).await.fails(401, "missing_refresh_token");
        assert_eq!(answer.header("www-authenticate"), r#"Bearer realm="api""#);
    }
    let access = service.log_in(MEMBER).await.access;
    let answer = service.bearer(&access).call(Method::POST, "/refresh", None).await;
    answer.fails(401, "missing_refresh_token");
}

#[tokio::test]
async fn both_names_at_once_must_mean_one_token() {
    let service = Service::start([]).await;
    let (one, other) = (service.log_in(MEMBER).await.refresh, service.log_in(MEMBER).await.refresh);
    let twice = json!({"token": one, "refreshToken": one});
    service.nobody().post("/token", &twice).await.is(200);
    let two = json!({"token": one, "refreshToken": other});
    service.nobody().post("/token", &two).await.refuses(&["refreshToken"]);
    service.refresh(&other).await.is(200);
}

/// Invalid refresh tokens, each with the reason why.
fn forgeries(pair: &TokenPair) -> Vec<(String, &'static str)> {
    let token = &pair.refresh;
    let claims = refresh_claims(token);
    let with = |change: fn(&mut RefreshClaims)| {
        let mut claims = claims.clone();
        change(&mut claims);
        refresh_token(&claims)
    };
    let with_jti = |jti: &str| signed(&RefreshClaims { jti: jti.to_owned(), ..claims.clone() }, REFRESH_SECRET);
    let (rest, _) = token.rsplit_once('.').unwrap();
    vec![
        ("garbage".into(), "garbage"),
        ("..".into(), "three empty segments"),
        (pair.access.clone(), "an access token"),
        (tampered(token), "another signature"),
        (format!("{rest}."), "no signature"),
        (format!("{token}="), "padding"),
        (format!(" {token}"), "white space"),
        (signed(&claims, ACCESS_SECRET), "signed with the access secret"),
        (signed(&claims, "some other secret that has 32 bytes and more"), "signed with a secret of somebody's own"),
        (expired_refresh(token), "expired"),
        (with(|claims| claims.iat += 60), "made in the future"),
        (with(|claims| claims.exp += 60), "a life longer than allowed"),
        (with(|claims| claims.sid.clear()), "no session"),
        (with_jti(""), "an empty jti"),
        (with_jti(&claims.sid), "a jti without a generation"),
        (with_jti(&format!("{}.{}", claims.sid, claims.generation + 1)), "the jti of another generation"),
        (with_jti(&format!("{}.0{}", claims.sid, claims.generation)), "another spelling of the generation"),
        (with_jti(&Uuid::new_v4().to_string()), "the jti of an access token"),
        (with(|claims| claims.sid = claims.sid.to_uppercase()), "another spelling of the session"),
        (with(|claims| claims.generation = u64::MAX), "a generation out of range"),
        ("x".repeat(5000), "too long"),
        ("e30.e30.\u{1F600}".into(), "not ASCII"),
    ]
}

#[tokio::test]
async fn unverified_token_changes_nothing() {
    on_each_store([], async |service| {
        let pair = service.log_in(MEMBER).await;
        let forgeries = forgeries(&pair);
        for (token, why) in &forgeries {
            println!("{why}");
            service.assert_refused(token).await;
        }
        for _ in 0..1000 / 3 / forgeries.len() {
            join_all(forgeries.iter().map(|(token, _)| service.refresh(token)))
                .await
                .into_iter()
                .for_each(Answer::refused);
        }
        assert_eq!(refresh_claims(&service.next(&pair).await.refresh).generation, 2);
    })
    .await;
}

#[tokio::test]
async fn refresh_token_is_valid_for_its_own_session_only() {
    on_each_store([], async |service| {
        let (mine, other) = (service.log_in(MEMBER).await, service.log_in(ADMIN).await);
        let (claims, others) = (refresh_claims(&mine.refresh), refresh_claims(&other.refresh));
        let stolen = RefreshClaims { sid: others.sid, ..claims.clone() };
        let unknown = RefreshClaims { sid: Uuid::new_v4().to_string(), ..claims.clone() };
        let nobody = RefreshClaims { sub: Uuid::now_v7().to_string(), ..claims };
        for (claims, why) in [(stolen, "another's"), (unknown, "of no session"), (nobody, "of nobody")] {
            println!("{why}");
            service.assert_refused(&refresh_token(&claims)).await;
        }
        service.next(&mine).await;
        service.next(&other).await;
    })
    .await;
}

#[tokio::test]
async fn a_session_outlives_the_service_and_its_secrets() {
    let database = Database::sqlite();
    let service = Service::start_on(database, []).await;
    let pair = service.log_in(MEMBER).await;
    let new = "another refresh secret of the tests, made today";
    let restart =
        async |settings: &[(&str, &str)]| Service::start_on(service.database.clone(), settings.iter().copied()).await;
    let pair = restart(&[]).await.next(&pair).await;
    restart(&[("REFRESH_TOKEN_SECRET", new)]).await.assert_refused(&pair.refresh).await;
    let both = [("REFRESH_TOKEN_SECRET", new), ("REFRESH_TOKEN_SECRET_PREVIOUS", REFRESH_SECRET)];
    let renewed = restart(&both).await.next(&pair).await;
    let renewed = restart(&both[..1]).await.next(&renewed).await;
    restart(&both[..1]).await.log_out(&renewed.refresh).await.is(200);
    restart(&both[..1]).await.assert_refused(&renewed.refresh).await;
}
