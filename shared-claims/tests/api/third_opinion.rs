use jsonwebtoken::{Algorithm, DecodingKey, Validation, get_current_timestamp};
use serde_json::Value;
use shared_claims::AccessClaims;

use crate::forge::{AUDIENCE, ISSUER, LIFE, SECRET, STRANGER, access, header, secret, signed, token, verifier_config};

/// The claims as the crate verifies them, with its own parser and clock, but with the verifier's HMAC.
fn third_opinion(token: &str) -> jsonwebtoken::errors::Result<Value> {
    shared_claims::self_test().unwrap();
    let mut validation = Validation::new(Algorithm::HS256);
    validation.leeway = shared_claims::LEEWAY;
    validation.validate_nbf = true;
    validation.set_issuer(&[ISSUER]);
    validation.set_audience(&[AUDIENCE]);
    validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
    jsonwebtoken::decode(token, &DecodingKey::from_secret(SECRET.as_bytes())?, &validation).map(|data| data.claims)
}

const MEMBERS: &str =
    r#"x=[{}] typ="application/at+jwt" typ="JWT" alg="HS384" alg="none" kid="x" kid=1 crit=["x"] b64=false"#;
const NAMES: &str = "iss aud sub exp iat nbf jti sid username role x";
const VALUES: &str =
    r#""books-service" ["books-service"] ["x","books-service"] ["x"] [] "auth-service" "" null 1 1.5 {} 1e400"#;

#[test]
fn accepted_token_is_accepted_by_jsonwebtoken() {
    let verifier = shared_claims::Verifier::<AccessClaims>::new(&verifier_config(&secret(SECRET), None)).unwrap();
    let now = get_current_timestamp();
    // Not near the limits of the leeway, because the crate reads the clock itself.
    let times =
        [now - 1_000_000, now - 800, now - 60, now + 60, now + 400, now + 1_000_000].map(|time| time.to_string());
    let values: Vec<&str> = VALUES.split(' ').chain(times.iter().map(|time| &**time)).collect();
    let mut accepted = 0;
    for (member, content) in MEMBERS.split(' ').map(|member| member.split_once('=').unwrap()) {
        for (name, value) in NAMES.split(' ').flat_map(|name| values.iter().map(move |value| (name, value))) {
            let claims = access().with("iat", now - 100).with("exp", now + LIFE - 100).with(name, value);
            let token = token(&header().with(member, content), &claims);
            if verifier.verify(&token, now).is_ok() {
                accepted += 1;
                third_opinion(&token).unwrap_or_else(|why| panic!("{why}: {member} {content}, {name} {value}"));
            }
        }
    }
    assert!(accepted > 100, "too few of the tokens are valid");
}

#[test]
fn jsonwebtoken_refuses_wrong_signatures() {
    let now = get_current_timestamp();
    let claims = access().with("iat", now - 100).with("exp", now + LIFE - 100);
    let token = token(&header(), &claims);
    assert_eq!(third_opinion(&token).unwrap()["username"], "anna");
    assert!(third_opinion(&signed(token.rsplit_once('.').unwrap().0, STRANGER)).is_err());
}
