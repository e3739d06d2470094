use std::sync::Arc;
use std::time::{Duration, Instant};

use shared_claims::{BearerAuth, Revocation, Revocations, TokenError};

use crate::forge::{LIFE, STRANGER, header, signed, token};
use crate::server::{Service, claims_of, now, token_of, verifier};
use crate::wire::{session, subject};

const CHALLENGE: &str = r#"Bearer error="invalid_token", error_description="The session has ended or the role has changed: refresh, or log in""#;

/// The service on every framework, with `entries` added to its revocation list.
fn behind(list: &Revocations, entries: &[Revocation]) -> Vec<Service> {
    list.add(entries, now());
    Service::protected_by(&Arc::new(BearerAuth::new(verifier()).with_revocations(list.clone())))
}

/// A stale list: it has a maximum age, and was never complete.
fn stale() -> Revocations {
    Revocations::new(Some(Duration::from_mins(1)))
}

#[actix_web::test]
async fn a_revoked_token_is_refused_and_told_why() {
    let until = now() + 1000;
    for service in behind(&Revocations::new(None), &[session("s-7", until), subject("u-7", now() - 10, until)]) {
        let of = |sid, sub, age| {
            let iat = now() - age;
            let claims = claims_of("admin").with("iat", iat).with("exp", iat + LIFE);
            token(&header(), &claims.with("sid", sid).with("sub", sub))
        };
        for path in ["/member", "/admin"] {
            for (sid, sub, age, why) in [
                (r#""s-7""#, r#""u-1""#, 0, "its session"),
                (r#""s-1""#, r#""u-7""#, 20, "its user"),
                (r#""s-7""#, r#""u-7""#, 20, "both"),
            ] {
                let answer = service.with_bearer(path, &of(sid, sub, age)).await;
                answer.refuses(401, "invalid_token", Some(CHALLENGE), why);
            }
            service.with_bearer(path, &of(r#""s-1""#, r#""u-1""#, 20)).await.lets_in("neither");
            service.with_bearer(path, &of(r#""s-8""#, r#""u-7""#, 0)).await.lets_in("signed in since");
        }
    }
}

#[actix_web::test]
async fn a_revocation_counts_at_once() {
    let list = Revocations::new(None);
    for service in behind(&list, &[]) {
        let sid = format!("s-{}", list.len());
        let token = token(&header(), &claims_of("member").with("sid", format!(r#""{sid}""#)));
        service.with_bearer("/member", &token).await.lets_in("before");
        list.add(&[session(&sid, now() + 1000)], now());
        service
            .with_bearer("/member", &token)
            .await
            .refuses_the_token("The session has ended or the role has changed: refresh, or log in", "after");
    }
}

#[actix_web::test]
async fn stale_list_is_503_and_still_revokes() {
    let list = stale();
    for service in behind(&list, &[]) {
        for path in ["/member", "/admin"] {
            let answer = service.with_bearer(path, &token_of("admin")).await;
            answer.refuses(503, "unavailable", None, "never complete");
            assert_eq!(answer.headers["retry-after"], "1");
        }
    }
    list.confirm(Instant::now());
    for service in behind(&list, &[]) {
        service.with_bearer("/member", &token_of("member")).await.lets_in("complete by now");
    }
}

#[actix_web::test]
async fn the_first_reason_is_told() {
    let forged = |token: String| signed(token.rsplit_once('.').unwrap().0, STRANGER);
    let expired = token(&header(), &claims_of("member").with("iat", now() - 100).with("exp", now() - 50));
    let revoked = [session("s-1", now() + 1000)];
    for service in behind(&stale(), &revoked) {
        service.with_authorization("/member", &[]).await.asks_for_a_token("no token");
        let answer = service.with_bearer("/member", &forged(token_of("root"))).await;
        answer.refuses_the_token(&TokenError::Signature.to_string(), "bad before revoked");
        let answer = service.with_bearer("/member", &expired).await;
        answer.refuses_the_token(&TokenError::Expired.to_string(), "expired before revoked");
        let answer = service.with_bearer("/member", &token_of("root")).await;
        answer.refuses_the_token(
            "The session has ended or the role has changed: refresh, or log in",
            "revoked before stale and role",
        );
    }
    for service in behind(&stale(), &[]) {
        let answer = service.with_bearer("/member", &token_of("root")).await;
        answer.refuses(503, "unavailable", None, "stale before role");
    }
    for service in behind(&Revocations::new(None), &[]) {
        let answer = service.with_bearer("/member", &token_of("root")).await;
        answer.refuses_the_role("The role in the token has no rights here", "the role at last");
    }
}
