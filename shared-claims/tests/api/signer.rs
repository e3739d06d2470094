use serde_json::{Value, json};
use shared_claims::{AccessClaims, Claims, RefreshClaims, SetupError, Signer, TokenError, Verifier};

use crate::forge::{
    AUDIENCE, ISSUER, LIFE, NOW, PREVIOUS, SECRET, STRANGER, parts, secret, signed, unb64, verifier_config,
};

/// The claims issued at a login.
pub fn access_claims() -> AccessClaims {
    AccessClaims {
        sub: "u-1".to_owned(),
        exp: NOW + LIFE,
        iat: NOW,
        jti: "t-1".to_owned(),
        sid: "s-1".to_owned(),
        username: "anna".to_owned(),
        role: "member".to_owned(),
    }
}

pub fn refresh_claims() -> RefreshClaims {
    RefreshClaims {
        sub: "u-1".to_owned(),
        exp: NOW + LIFE,
        iat: NOW,
        jti: "t-1".to_owned(),
        sid: "s-1".to_owned(),
        generation: 7,
    }
}

/// `claims`, signed with the secret `text` for the services `audience`.
pub fn sign<C: Claims>(claims: &C, text: &str, audience: &[&str]) -> String {
    let audience: Vec<String> = audience.iter().map(|&name| name.to_owned()).collect();
    Signer::new(ISSUER, &audience, &secret(text)).unwrap().sign(claims)
}

/// The `kid` of the signer with the secret `text`.
pub fn kid_of(text: &str) -> String {
    let [header, ..] = parts(&sign(&access_claims(), text, &[AUDIENCE])).map(unb64);
    serde_json::from_slice::<Value>(&header).unwrap()["kid"].as_str().unwrap().to_owned()
}

/// The header and claims of `token`. Fails if its signature differs from one made by hand.
fn read(token: &str) -> [Value; 2] {
    let [header, claims, _] = parts(token);
    assert_eq!(token, signed(&format!("{header}.{claims}"), SECRET));
    [header, claims].map(|segment| serde_json::from_slice(&unb64(segment)).unwrap())
}

#[test]
fn an_access_token_says_what_the_design_says() {
    let [header, claims] = read(&sign(&access_claims(), SECRET, &["auth-service", "books-service"]));
    assert_eq!(header, json!({"alg": "HS256", "typ": "at+jwt", "kid": header["kid"]}));
    assert!(header["kid"].as_str().is_some_and(|kid| !kid.is_empty()));
    let expected = json!({
        "iss": "auth-service", "aud": ["auth-service", "books-service"], "sub": "u-1", "exp": NOW + LIFE, "iat": NOW,
        "jti": "t-1", "sid": "s-1", "username": "anna", "role": "member",
    });
    assert_eq!(claims, expected);
}

#[test]
fn a_refresh_token_says_what_the_design_says() {
    let [header, claims] = read(&sign(&refresh_claims(), SECRET, &["auth-service"]));
    assert_eq!(header, json!({"alg": "HS256", "typ": "rt+jwt", "kid": header["kid"]}));
    let expected = json!({
        "iss": "auth-service", "aud": "auth-service", "sub": "u-1", "exp": NOW + LIFE, "iat": NOW, "jti": "t-1",
        "sid": "s-1", "gen": 7,
    });
    assert_eq!(claims, expected);
}

#[test]
fn the_same_claims_make_the_same_token() {
    let once = sign(&refresh_claims(), SECRET, &["auth-service"]);
    assert_eq!(once, sign(&refresh_claims(), SECRET, &["auth-service"]));
}

#[test]
fn a_kid_names_a_secret_and_does_not_show_it() {
    assert_eq!(kid_of(SECRET), kid_of(SECRET));
    assert_ne!(kid_of(SECRET), kid_of(PREVIOUS));
    let shown = unb64(&kid_of(SECRET));
    assert!(shown.len() <= 8 && !SECRET.as_bytes().windows(shown.len()).any(|part| part == shown));
}

#[test]
fn replacing_the_secret_logs_nobody_out() {
    let before = sign(&access_claims(), PREVIOUS, &[AUDIENCE]);
    let after = sign(&access_claims(), SECRET, &[AUDIENCE]);
    let (secret, previous) = (secret(SECRET), secret(PREVIOUS));
    for (config, expected, why) in [
        (verifier_config(&previous, None), [Ok(()), Err(TokenError::Signature)], "before the change"),
        (verifier_config(&secret, Some(&previous)), [Ok(()), Ok(())], "while both are told"),
        (
            verifier_config(&secret, None),
            [Err(TokenError::Signature), Ok(())],
            "after the last token of the secret before",
        ),
    ] {
        let verifier = Verifier::<AccessClaims>::new(&config).unwrap();
        let said = [&before, &after].map(|token| verifier.verify(token, NOW).map(|_| ()));
        assert_eq!(said, expected, "{why}");
    }
    let strange = sign(&access_claims(), STRANGER, &[AUDIENCE]);
    let verifier = Verifier::<AccessClaims>::new(&verifier_config(&secret, Some(&previous))).unwrap();
    assert_eq!(verifier.verify(&strange, NOW), Err(TokenError::Signature));
}

#[test]
fn signer_needs_an_issuer_and_an_audience() {
    let of = |issuer: &str, audience: &[&str]| {
        let audience: Vec<String> = audience.iter().map(|&name| name.to_owned()).collect();
        Signer::<AccessClaims>::new(issuer, &audience, &secret(SECRET)).map(|_| ())
    };
    assert!(matches!(of("", &[AUDIENCE]), Err(SetupError::NoIssuer)));
    assert!(matches!(of(ISSUER, &[]), Err(SetupError::NoAudience)));
    assert!(matches!(of(ISSUER, &[AUDIENCE, ""]), Err(SetupError::NoAudience)));
    assert!(of(ISSUER, &[AUDIENCE]).is_ok());
}
