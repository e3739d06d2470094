//! The rules of sessions, as clients observe them.

mod changes;
mod proof;
mod rights;

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use serde_json::json;
use shared_claims::RefreshClaims;

use crate::answer::{Answer, names};
use crate::forge::{parts, refresh_claims, refresh_token};
use crate::service::{ADMIN, MEMBER, Service, TokenPair, on_each_store};

impl Service {
    /// Refreshes with `pair`, and returns the next pair.
    async fn next(&self, pair: &TokenPair) -> TokenPair {
        self.refresh(&pair.refresh).await.is(200).pair()
    }

    /// Asserts that `token` is refused.
    async fn assert_refused(&self, token: &str) {
        self.refresh(token).await.refused();
    }
}

impl Answer {
    /// Asserts the response to an invalid token, which is always the same and does not reveal the reason.
    #[track_caller]
    fn refused(self) {
        let this = self.fails(403, "invalid_refresh_token");
        assert_eq!(this.json()["detail"], "The refresh token is not valid any more. Log in again.");
    }
}

#[tokio::test]
async fn each_use_gives_the_next_pair() {
    on_each_store([], async |service| {
        let first = service.log_in(MEMBER).await;
        let mut pair = first.clone();
        for (path, member, generation) in [
            ("/token", "token", 2),
            ("/token", "refreshToken", 3),
            ("/refresh", "token", 4),
            ("/refresh", "refreshToken", 5),
        ] {
            let answer = service.nobody().post(path, &json!({member: pair.refresh})).await.is(200);
            assert_eq!(answer.header("cache-control"), "no-store");
            let body = answer.json();
            assert_eq!(names(&body), ["accessToken", "expiresIn", "refreshToken", "tokenType"]);
            assert_eq!((&body["tokenType"], &body["expiresIn"]), (&json!("Bearer"), &json!(900)));
            let next = answer.pair();
            let [_, before] = parts(&first.access);
            let [_, access] = parts(&next.access);
            assert_eq!((&access["sid"], &access["sub"]), (&before["sid"], &before["sub"]));
            assert!(access["jti"] != parts(&pair.access)[1]["jti"]);
            assert_eq!(parts(&next.refresh)[1]["gen"], generation);
            service.bearer(&next.access).get("/me").await.is(200);
            pair = next;
        }
        assert_eq!(service.devices(&pair.access).await.len(), 1, "a refresh opens no session");
    })
    .await;
}

#[tokio::test]
async fn fifty_uses_of_one_token_have_one_successor() {
    // The grace is long enough for a slow machine.
    on_each_store([("REFRESH_GRACE", "1h")], async |service| {
        let first = service.log_in(MEMBER).await;
        let answers = join_all((0..50).map(|_| service.refresh(&first.refresh))).await;
        let mut successors: Vec<_> = answers.into_iter().map(|answer| answer.is(200).pair().refresh).collect();
        successors.dedup();
        let [successor] = &successors[..] else { panic!("{} successors", successors.len()) };
        assert_eq!(refresh_claims(successor).generation, 2);
        let newest = service.refresh(successor).await.is(200).pair();
        assert_eq!(refresh_claims(&newest.refresh).generation, 3);
    })
    .await;
}

#[tokio::test]
async fn refresh_reuse_ends_the_session() {
    on_each_store([], async |service| {
        let first = service.log_in(MEMBER).await;
        let second = service.next(&first).await;
        let newest = service.next(&second).await;
        service.assert_refused(&first.refresh).await;
        for (pair, why) in [(&newest, "the newest"), (&second, "one behind"), (&first, "the replayed one")] {
            println!("{why}");
            service.assert_refused(&pair.refresh).await;
        }
        let access = service.log_in(MEMBER).await.access;
        assert_eq!(service.devices(&access).await.len(), 1, "the ended session is not listed");
    })
    .await;
}

#[tokio::test]
async fn refresh_after_the_grace_is_reuse() {
    on_each_store([("REFRESH_GRACE", "1ms")], async |service| {
        let first = service.log_in(MEMBER).await;
        let newest = service.next(&first).await;
        tokio::time::sleep(Duration::from_millis(20)).await; // Longer than the grace.
        service.assert_refused(&first.refresh).await;
        service.assert_refused(&newest.refresh).await;
    })
    .await;
}

#[tokio::test]
async fn without_grace_second_use_is_reuse() {
    on_each_store([("REFRESH_GRACE", "0")], async |service| {
        let first = service.log_in(MEMBER).await;
        let newest = service.next(&first).await;
        service.assert_refused(&first.refresh).await;
        service.assert_refused(&newest.refresh).await;

        let first = service.log_in(MEMBER).await;
        let answers = join_all((0..8).map(|_| service.refresh(&first.refresh))).await;
        let (good, refused): (Vec<_>, Vec<_>) = answers.into_iter().partition(|answer| answer.status == 200);
        assert!(good.len() <= 1, "one use, or none if its response was lost");
        refused.into_iter().for_each(Answer::refused);
        for answer in good {
            service.assert_refused(&answer.pair().refresh).await;
        }
    })
    .await;
}

#[tokio::test]
async fn generation_ahead_of_the_store_is_reuse() {
    on_each_store([], async |service| {
        for ahead in [1, 2, 1 << 40, i64::MAX.unsigned_abs() - 1] {
            let pair = service.log_in(MEMBER).await;
            let claims = refresh_claims(&pair.refresh);
            let generation = claims.generation + ahead;
            service.assert_refused(&refresh_token(&RefreshClaims { generation, ..claims })).await;
            service.assert_refused(&pair.refresh).await;
        }
    })
    .await;
}

#[tokio::test]
async fn one_session_never_affects_another() {
    on_each_store([], async |service| {
        let mine = service.log_in(MEMBER).await;
        let phone = service.log_in(MEMBER).await;
        let other = service.log_in(ADMIN).await;
        let newest = service.next(&service.next(&mine).await).await;
        service.assert_refused(&mine.refresh).await;
        service.assert_refused(&newest.refresh).await;
        let third = service.log_in(MEMBER).await;
        service.log_out(&third.refresh).await.is(200);
        for (pair, why) in [(phone, "another device"), (other, "somebody else")] {
            println!("{why}");
            service.next(&service.next(&pair).await).await;
        }
    })
    .await;
}

/// Two instances share the stores while the setting changes.
#[tokio::test]
async fn changed_refresh_token_ttl_logs_no_session_out() {
    let old = Service::start([]).await;
    for ttl in ["14d", "1d"] {
        let new = Service::start_on(Arc::clone(&old.database), [("REFRESH_TOKEN_TTL", ttl)]).await;
        let first = old.log_in(MEMBER).await;
        let claims = refresh_claims(&first.refresh);
        let longer = refresh_token(&RefreshClaims { exp: claims.exp + 14 * 86400, ..claims });
        new.assert_refused(&longer).await;
        let second = new.next(&first).await;
        assert_eq!(new.next(&first).await.refresh, second.refresh, "{ttl}: a retry");
        new.next(&old.next(&second).await).await;
        new.assert_refused(&first.refresh).await;
    }
}
