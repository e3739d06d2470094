use futures_util::future::join_all;
use reqwest::Method;
use serde_json::json;
use shared_claims::RefreshClaims;

use crate::forge::{access_claims, expired_access, expired_refresh, refresh_claims, refresh_token, signed, tampered};
use crate::service::{ACCESS_SECRET, MEMBER, REFRESH_SECRET, Service, on_each_store};

#[tokio::test]
async fn logout_ends_the_session_and_is_200_again_and_again() {
    on_each_store([], async |service| {
        for member in ["token", "refreshToken"] {
            let pair = service.log_in(MEMBER).await;
            let phone = service.log_in(MEMBER).await;
            for why in ["once", "twice", "three times"] {
                println!("{why}");
                let answer = service.nobody().post("/logout", &json!({member: pair.refresh})).await.is(200);
                assert_eq!(answer.json(), json!({"message": "Logout successful"}));
                service.refresh(&pair.refresh).await.fails(403, "invalid_refresh_token");
            }
            let phone = service.refresh(&phone.refresh).await.is(200).pair();
            let devices = service.devices(&phone.access).await;
            assert!(devices.iter().all(|device| device["id"] != refresh_claims(&pair.refresh).sid));
        }
    })
    .await;
}

#[tokio::test]
async fn used_and_expired_tokens_end_their_session() {
    on_each_store([], async |service| {
        let ahead = |newest: &str| {
            let claims = refresh_claims(newest);
            refresh_token(&RefreshClaims { generation: claims.generation + 7, ..claims })
        };
        let longer = |newest: &str| {
            let claims = refresh_claims(newest);
            refresh_token(&RefreshClaims { exp: claims.exp + 1_000_000, ..claims })
        };
        let cases =
            ["the newest", "rotated twice", "expired", "rotated and expired", "of a longer life", "ahead of the store"];
        for why in cases {
            println!("{why}");
            let first = service.log_in(MEMBER).await.refresh;
            let second = service.refresh(&first).await.is(200).pair().refresh;
            let newest = service.refresh(&second).await.is(200).pair().refresh;
            let token = match why {
                "the newest" => newest.clone(),
                "rotated twice" => first,
                "expired" => expired_refresh(&newest),
                "rotated and expired" => expired_refresh(&first),
                "of a longer life" => longer(&newest),
                _ => ahead(&newest),
            };
            service.log_out(&token).await.is(200);
            service.refresh(&newest).await.fails(403, "invalid_refresh_token");
        }
    })
    .await;
}

#[tokio::test]
async fn logout_with_a_foreign_token_ends_nothing() {
    on_each_store([], async |service| {
        let pair = service.log_in(MEMBER).await;
        let claims = refresh_claims(&pair.refresh);
        for (token, why) in [
            ("garbage".to_owned(), "garbage"),
            (tampered(&pair.refresh), "another signature"),
            (tampered(&pair.access), "an access token with another signature"),
            (signed(&claims, ACCESS_SECRET), "signed with the access secret"),
            (signed(&access_claims(&pair.access), REFRESH_SECRET), "an access token signed with the refresh secret"),
            (signed(&RefreshClaims { jti: "x".to_owned(), ..claims.clone() }, REFRESH_SECRET), "a jti of no session"),
        ] {
            println!("{why}");
            service.log_out(&token).await.is(200);
            service.bearer(&token).call(Method::POST, "/logout", None).await.is(200);
        }
        service.refresh(&pair.refresh).await.is(200);
    })
    .await;
}

#[tokio::test]
async fn logout_without_a_token_is_401_and_ends_nothing() {
    let service = Service::start([("ACCESS_TOKEN_HEADER", "x-access-token")]).await;
    let pair = service.log_in(MEMBER).await;
    for (body, why) in [
        (None, "no body"),
        (Some(json!({})), "no token"),
        (Some(json!({"token": null})), "null"),
        (Some(json!({"token": ""})), "an empty token"),
        (Some(json!({"refresh_token": pair.refresh})), "a member of another name"),
        (Some(json!({"accessToken": pair.access})), "an access token under another name"),
    ] {
        println!("{why}");
        let body = body.map(|body| body.to_string());
        for (name, value) in [("Accept", ""), ("Authorization", "Bearer"), ("Authorization", "Basic YW5uYTp4")] {
            let caller = service.nobody().with(name, value);
            let answer = caller.call(Method::POST, "/logout", body.clone()).await.fails(401, "missing_refresh_token");
            assert_eq!(answer.header("www-authenticate"), r#"Bearer realm="api""#);
        }
    }
    service.refresh(&pair.refresh).await.is(200);
}

#[tokio::test]
async fn an_access_token_ends_its_session() {
    on_each_store([("ACCESS_TOKEN_HEADER", "x-access-token")], async |service| {
        let places = ["Authorization", "x-access-token", "token", "refreshToken", "beside garbage"];
        for (place, state) in places.into_iter().flat_map(|place| [(place, "valid"), (place, "expired")]) {
            println!("{state} in {place}");
            let [pair, other] = [service.log_in(MEMBER).await, service.log_in(MEMBER).await];
            let token = if state == "valid" { pair.access.clone() } else { expired_access(&pair.access) };
            let bearer = service.bearer(&token);
            for why in ["once", "twice"] {
                println!("{why}");
                match place {
                    "Authorization" => bearer.call(Method::POST, "/logout", None).await.is(200),
                    "beside garbage" => bearer.post("/logout", &json!({"token": "garbage"})).await.is(200),
                    "x-access-token" => service
                        .nobody()
                        .with("x-access-token", &token)
                        .call(Method::POST, "/logout", None)
                        .await
                        .is(200),
                    member => service.nobody().post("/logout", &json!({member: token})).await.is(200),
                };
            }
            service.refresh(&pair.refresh).await.fails(403, "invalid_refresh_token");
            service.refresh(&other.refresh).await.is(200);
        }
    })
    .await;
}

#[tokio::test]
async fn a_refresh_token_decides_which_session_ends() {
    let service = Service::start([]).await;
    let [named, caller] = [service.log_in(MEMBER).await, service.log_in(MEMBER).await];
    service.bearer(&caller.access).post("/logout", &json!({"token": named.refresh})).await.is(200);
    service.refresh(&named.refresh).await.fails(403, "invalid_refresh_token");
    service.refresh(&caller.refresh).await.is(200);
}

#[tokio::test]
async fn logout_with_two_different_tokens_ends_nothing() {
    let service = Service::start([]).await;
    let (one, other) = (service.log_in(MEMBER).await.refresh, service.log_in(MEMBER).await.refresh);
    let body = json!({"token": one, "refreshToken": other});
    service.nobody().post("/logout", &body).await.refuses(&["refreshToken"]);
    service.refresh(&one).await.is(200);
    service.refresh(&other).await.is(200);
}

#[tokio::test]
async fn logout_wins_over_concurrent_refreshes() {
    on_each_store([], async |service| {
        for round in 0..10 {
            let first = service.log_in(MEMBER).await.refresh;
            let refreshes = |count| join_all((0..count).map(|_| service.refresh(&first)));
            // `round` refreshes are sent before the logout, and the others after it.
            let (before, ended, after) = tokio::join!(refreshes(round), service.log_out(&first), refreshes(10 - round));
            ended.is(200);
            for answer in before.into_iter().chain(after) {
                if answer.status == 200 {
                    service.refresh(&answer.pair().refresh).await.fails(403, "invalid_refresh_token");
                } else {
                    answer.fails(403, "invalid_refresh_token");
                }
            }
            service.refresh(&first).await.fails(403, "invalid_refresh_token");
        }
    })
    .await;
}
