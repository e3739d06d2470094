use futures_util::future::join_all;
use reqwest::Method;
use serde_json::json;
use shared_claims::RefreshClaims;

use crate::forge::{expired_refresh, refresh_claims, refresh_token, signed, tampered};
use crate::service::{ACCESS_SECRET, MEMBER, Service, on_each_store};

#[tokio::test]
async fn a_logout_ends_the_session_and_says_so_always() {
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
async fn any_token_that_was_ever_the_sessions_ends_it() {
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
async fn what_is_no_token_of_the_session_ends_nothing() {
    on_each_store([], async |service| {
        let pair = service.log_in(MEMBER).await;
        let claims = refresh_claims(&pair.refresh);
        for (body, why) in [
            (None, "no body"),
            (Some(json!({})), "no token"),
            (Some(json!({"token": null})), "null"),
            (Some(json!({"token": ""})), "an empty token"),
            (Some(json!({"token": "garbage"})), "garbage"),
            (Some(json!({"token": tampered(&pair.refresh)})), "another signature"),
            (Some(json!({"token": pair.access})), "an access token"),
            (Some(json!({"token": signed(&claims, ACCESS_SECRET)})), "signed with the access secret"),
            (Some(json!({"accessToken": pair.access})), "another name"),
        ] {
            println!("{why}");
            let body = body.map(|body| body.to_string());
            let answer = service.bearer(&pair.access).call(Method::POST, "/logout", body).await.is(200);
            assert_eq!(answer.json(), json!({"message": "Logout successful"}));
        }
        service.refresh(&pair.refresh).await.is(200);
    })
    .await;
}

#[tokio::test]
async fn two_different_tokens_end_nothing() {
    let service = Service::start([]).await;
    let (one, other) = (service.log_in(MEMBER).await.refresh, service.log_in(MEMBER).await.refresh);
    let body = json!({"token": one, "refreshToken": other});
    service.nobody().post("/logout", &body).await.refuses(&["refreshToken"]);
    service.refresh(&one).await.is(200);
    service.refresh(&other).await.is(200);
}

#[tokio::test]
async fn a_logout_wins_over_every_refresh_beside_it() {
    on_each_store([], async |service| {
        for round in 0..10 {
            let first = service.log_in(MEMBER).await.refresh;
            let refreshes = |count| join_all((0..count).map(|_| service.refresh(&first)));
            // As many before as after it in the queue, or all of them.
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
