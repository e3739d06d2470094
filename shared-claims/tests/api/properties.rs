use std::time::Duration;

use proptest::prelude::*;
use serde_json::Value;
use shared_claims::{AccessClaims, RefreshClaims, Signer, TokenError, Verifier, VerifierConfig, parse_object};

use crate::forge::{
    AUDIENCE, LIFE, NOW, PREVIOUS, SECRET, access, b64, header, secret, segments, signed, texts, token, verdict,
    verifier_config,
};
use crate::signer::{access_claims, sign};

/// A token of our signer and one of another signer.
fn honest() -> [String; 2] {
    [sign(&access_claims(), SECRET, &[AUDIENCE]), token(&header(), &access())]
}

fn verifier() -> Verifier<AccessClaims> {
    Verifier::new(&verifier_config(&secret(SECRET), Some(&secret(PREVIOUS)))).unwrap()
}

#[test]
fn every_single_bit_counts() {
    let verifier = verifier();
    for honest in honest() {
        assert!(verifier.verify(&honest, NOW).is_ok());
        for bit in 0..honest.len() * 8 {
            let mut bytes = honest.clone().into_bytes();
            bytes[bit / 8] ^= 1 << (bit % 8);
            // The header that carries a token is read as text, so a token is always valid UTF-8.
            let Ok(changed) = String::from_utf8(bytes) else { continue };
            assert!(verifier.verify(&changed, NOW).is_err(), "bit {bit}: {changed}");
        }
    }
}

#[test]
fn every_letter_counts() {
    let verifier = verifier();
    for honest in honest() {
        for place in 0..honest.len() {
            let (front, back) = honest.split_at(place);
            for (changed, why) in [
                (front.to_owned(), "cut off there"),
                (back[1..].to_owned(), "begun behind there"),
                (format!("{front}{}", &back[1..]), "one letter less"),
                (format!("{front}{}{back}", &back[..1]), "one letter twice"),
                (format!("{back}{front}"), "turned around"),
            ] {
                assert!(changed == honest || verifier.verify(&changed, NOW).is_err(), "{place}: {why}: {changed}");
            }
        }
    }
}

#[test]
fn segments_of_different_tokens_do_not_mix() {
    let verifier = verifier();
    let other = access_claims();
    let other = AccessClaims { role: "admin".to_owned(), ..other };
    let tokens = [&honest()[..], &[sign(&other, SECRET, &[AUDIENCE]), sign(&other, PREVIOUS, &[AUDIENCE])]].concat();
    for (a, first) in tokens.iter().enumerate() {
        for (b, second) in tokens.iter().enumerate() {
            for (c, third) in tokens.iter().enumerate() {
                let pick = |token: &str, n: usize| token.split('.').nth(n).unwrap().to_owned();
                let mixed = [pick(first, 0), pick(second, 1), pick(third, 2)].join(".");
                assert_eq!(verifier.verify(&mixed, NOW).is_ok(), tokens.contains(&mixed), "{a} {b} {c}");
            }
        }
    }
}

/// A non-empty text, as a claim may contain it.
fn some_text() -> impl Strategy<Value = String> {
    prop_oneof![prop::collection::vec(any::<char>(), 1..20).prop_map(String::from_iter), "[ -~]{1,20}"]
}

prop_compose! {
    fn some_claims()(
        sub in some_text(), jti in some_text(), sid in some_text(), username in some_text(), role in some_text(),
        iat in NOW - LIFE..=NOW + 5, life in 0..=LIFE,
    ) -> AccessClaims {
        AccessClaims { sub, exp: iat + life, iat, jti, sid, username, role }
    }
}

/// A text that is valid JSON in most cases.
fn some_json() -> impl Strategy<Value = String> {
    let names = prop::sample::select(vec![
        "alg", "typ", "kid", "crit", "iss", "aud", "exp", "iat", "nbf", "sub", "a", "\\u0061",
    ]);
    let leaf = prop_oneof![
        prop::sample::select(vec![
            r#""HS256""#,
            r#""at+jwt""#,
            "null",
            "-1",
            "1e999",
            "1.5",
            r#""\ud800""#,
            "{}",
            "[]"
        ])
        .prop_map(str::to_owned),
        any::<u64>().prop_map(|n| n.to_string()),
        some_text().prop_map(|text| Value::String(text).to_string()),
    ];
    leaf.prop_recursive(4, 40, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(|items| format!("[{}]", items.join(","))),
            prop::collection::vec((names.clone(), inner), 0..6).prop_map(|members| {
                let members: Vec<String> = members.iter().map(|(name, value)| format!(r#""{name}":{value}"#)).collect();
                format!("{{{}}}", members.join(","))
            }),
        ]
    })
}

proptest! {
    #[test]
    fn signed_claims_verify_to_the_same_claims(claims in some_claims(), issuer in some_text(), audience in some_text()) {
        let secret = secret(SECRET);
        let config = VerifierConfig { issuer: &issuer, audience: &audience, max_life: Duration::from_secs(LIFE), secret: &secret, previous: None };
        let token = Signer::new(&issuer, &["x".to_owned(), audience.clone()], &secret).unwrap().sign(&claims);
        prop_assert_eq!(Verifier::new(&config).unwrap().verify_expired_too(&token, NOW), Ok(claims));
    }

    #[test]
    fn every_generation_is_read(generation: u64, sid in some_text()) {
        let claims = RefreshClaims { generation, sid, ..crate::signer::refresh_claims() };
        let secret = secret(SECRET);
        let token = sign(&claims, SECRET, &[AUDIENCE]);
        prop_assert_eq!(Verifier::new(&verifier_config(&secret, None)).unwrap().verify(&token, NOW), Ok(claims));
    }

    #[test]
    fn inserted_text_invalidates_a_token(place in any::<prop::sample::Index>(), new in "\\PC{1,4}|[A-Za-z0-9._=-]{1,4}|[\\x00-\\x7f]") {
        for mut changed in honest() {
            changed.insert_str(place.index(changed.len() + 1), &new);
            prop_assert!(verdict(&changed).is_err(), "{changed}");
        }
    }

    #[test]
    fn replaced_text_invalidates_a_token(at in any::<prop::sample::Index>(), length in 1usize..60, new in "[A-Za-z0-9._-]{0,60}") {
        for honest in honest() {
            let at = at.index(honest.len());
            let mut changed = honest.clone();
            changed.replace_range(at..(at + length).min(honest.len()), &new);
            prop_assert!(changed == honest || verdict(&changed).is_err(), "{changed}");
        }
    }

    #[test]
    fn token_of_another_secret_is_refused(other in "[!-~]{32,80}") {
        let message = format!("{}.{}", b64(header().text()), b64(access().text()));
        prop_assert_eq!(verdict(&signed(&message, other)), Err(TokenError::Signature));
    }

    #[test]
    fn random_text_is_refused(text: String, dotted in "[A-Za-z0-9_-]{0,80}(\\.[A-Za-z0-9_-]{0,80}){0,5}") {
        prop_assert!(verdict(&text).is_err());
        prop_assert!(verdict(&dotted).is_err());
    }

    #[test]
    fn random_signed_bytes_are_refused(bytes: Vec<u8>, segment in "[A-Za-z0-9_-]{0,80}") {
        prop_assert!(verdict(&texts(&bytes, access().text())).is_err());
        prop_assert!(verdict(&texts(header().text(), &bytes)).is_err());
        prop_assert!(verdict(&segments(&segment, &segment)).is_err());
    }

    #[test]
    fn random_json_never_panics(json in some_json()) {
        // Any result is right: the verifier must return one.
        let _ = verdict(&texts(&json, access().text()));
        prop_assert!(verdict(&texts(header().text(), &json)).is_err());
    }

    #[test]
    fn accepted_object_is_valid_json(json in some_json(), bytes: Vec<u8>) {
        for text in [json.into_bytes(), bytes] {
            let Some(members) = parse_object(&text) else { continue };
            prop_assert_eq!(Some(Value::Object(members)), serde_json::from_slice(&text).ok());
        }
    }
}
