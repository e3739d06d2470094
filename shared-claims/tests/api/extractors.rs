use serde_json::json;
use shared_claims::TokenError;

use crate::forge::{LIFE, STRANGER, header, signed, token};
use crate::server::{Service, claims_of, now, token_of};

const NO_RIGHTS: &str = "The role in the token has no rights here";
const NO_ADMIN: &str = "This needs the role admin";

#[actix_web::test]
async fn without_a_token_the_challenge_says_no_more() {
    for service in Service::on_each(None) {
        for path in ["/member", "/admin"] {
            service.with_authorization(path, &[]).await.asks_for_a_token(path);
        }
    }
}

#[actix_web::test]
async fn member_has_the_claims_of_the_token() {
    for service in Service::on_each(None) {
        let iat = now() - 60;
        let claims = claims_of("member").with("iat", iat).with("exp", iat + LIFE);
        let answer = service.with_bearer("/member", &token(&header(), &claims)).await;
        let expected = json!({
            "userId": "u-1", "username": "anna", "role": "member", "sessionId": "s-1", "issuedAt": iat, "expiresAt": iat + LIFE,
        });
        assert_eq!((answer.status.as_u16(), answer.body), (200, expected));
    }
}

#[actix_web::test]
async fn the_role_decides_who_is_let_in() {
    for service in Service::on_each(None) {
        service.with_bearer("/member", &token_of("member")).await.lets_in("a member");
        service.with_bearer("/member", &token_of("admin")).await.lets_in("an admin is a member too");
        service.with_bearer("/admin", &token_of("admin")).await.lets_in("an admin");
        service.with_bearer("/admin", &token_of("member")).await.refuses_the_role(NO_ADMIN, "a member");
        for role in ["Admin", "admin ", "root", "librarian", "member,admin", "аdmin"] {
            for path in ["/member", "/admin"] {
                service.with_bearer(path, &token_of(role)).await.refuses_the_role(NO_RIGHTS, role);
            }
        }
    }
}

#[actix_web::test]
async fn a_bad_token_is_refused_and_the_description_says_why() {
    for service in Service::on_each(None) {
        let good = token_of("admin");
        let (message, _) = good.rsplit_once('.').unwrap();
        let none = header().with("alg", r#""none""#);
        let at = |iat, exp| token(&header(), &claims_of("admin").with("iat", iat).with("exp", exp));
        for (bad, error) in [
            (signed(message, STRANGER), TokenError::Signature),
            (message.to_owned(), TokenError::Malformed),
            (format!("{good}="), TokenError::Malformed),
            ("x".repeat(4097), TokenError::TooLong),
            ("x".repeat(65_536), TokenError::TooLong),
            (token(&none, &claims_of("admin")), TokenError::Algorithm),
            (token(&header().with("typ", r#""rt+jwt""#), &claims_of("admin")), TokenError::Type),
            (token(&header().with("crit", "[]"), &claims_of("admin")), TokenError::Critical),
            (token(&header().and("alg", "1"), &claims_of("admin")), TokenError::MalformedHeader),
            (token(&header(), &claims_of("admin").and("role", "1")), TokenError::MalformedClaims),
            (token(&header(), &claims_of("admin").without("sid")), TokenError::Claim("sid")),
            (token(&header(), &claims_of("admin").with("iss", r#""x""#)), TokenError::Issuer),
            (token(&header(), &claims_of("admin").with("aud", r#""x""#)), TokenError::Audience),
            (at(now() - LIFE, now() - 60), TokenError::Expired),
            (at(now() + 600, now() + 700), TokenError::IssuedInFuture),
            (at(now(), now() + 1_000_000), TokenError::LifeTooLong),
            (token(&header(), &claims_of("admin").with("nbf", now() + 600)), TokenError::NotYetValid),
        ] {
            for path in ["/member", "/admin"] {
                service
                    .with_bearer(path, &bad)
                    .await
                    .refuses_the_token(&error.to_string(), &format!("{path}: {error:?}"));
            }
        }
    }
}

#[actix_web::test]
async fn a_bad_token_with_an_unknown_role_is_a_bad_token() {
    for service in Service::on_each(None) {
        let good = token_of("root");
        let forged = signed(good.rsplit_once('.').unwrap().0, STRANGER);
        service.with_bearer("/member", &forged).await.refuses_the_token(&TokenError::Signature.to_string(), "forged");
    }
}

#[actix_web::test]
async fn every_description_is_fit_for_a_header() {
    for error in [
        TokenError::TooLong,
        TokenError::Malformed,
        TokenError::MalformedHeader,
        TokenError::Algorithm,
        TokenError::Type,
        TokenError::Critical,
        TokenError::Signature,
        TokenError::MalformedClaims,
        TokenError::Claim("iss"),
        TokenError::Issuer,
        TokenError::Audience,
        TokenError::Expired,
        TokenError::NotYetValid,
        TokenError::IssuedInFuture,
        TokenError::LifeTooLong,
        TokenError::Revoked,
    ] {
        // RFC 6750 section 3: %x20-21 / %x23-5B / %x5D-7E.
        let text = error.to_string();
        assert!(text.bytes().all(|b| (0x20..0x7f).contains(&b) && b != b'"' && b != b'\\'), "{text}");
    }
}

#[actix_web::test]
async fn missing_bearer_auth_is_500() {
    let service = Service::unguarded();
    for path in ["/member", "/admin"] {
        let answer = service.with_bearer(path, &token_of("admin")).await;
        assert_eq!((answer.status.as_u16(), &answer.body["code"]), (500, &json!("internal_error")), "{path}");
        assert!(!answer.body.to_string().contains("BearerAuth"), "only the log gives the cause");
    }
}
