use serde_json::{Value, json};
use shared_claims::{KeyError, PublicKey, PublicKeys, SigningKey};

use crate::algorithms::{PAIRS, Pair, openssl};
use crate::forge::b64;

/// The published key of `pair`, as JSON.
fn jwk(pair: &Pair) -> Value {
    let set: Value = serde_json::from_str(&PublicKeys::own(vec![pair.public()]).jwks()).unwrap();
    set["keys"][0].clone()
}

/// `jwk` with these members replaced; `null` removes a member.
fn with(mut jwk: Value, members: &[(&str, Value)]) -> Value {
    for (name, value) in members {
        jwk[name] = value.clone();
    }
    jwk.as_object_mut().unwrap().retain(|_, value| !value.is_null());
    jwk
}

#[test]
#[cfg_attr(not(feature = "all-tests"), ignore = "needs OpenSSL: ./test")]
fn published_key_has_its_public_members_alone() {
    for (pair, members) in PAIRS.iter().zip(["alg crv kid kty use x y", "alg crv kid kty use x", "alg e kid kty n use"])
    {
        let jwk = jwk(pair);
        let mut names: Vec<_> = jwk.as_object().unwrap().keys().cloned().collect();
        names.sort();
        assert_eq!(names.join(" "), members);
        assert_eq!((jwk["use"].as_str(), jwk["alg"].as_str()), (Some("sig"), Some(pair.name)));
    }
    assert_eq!(PublicKeys::own(Vec::new()).jwks(), r#"{"keys":[]}"#);
}

/// RFC 8037 appendix A.3.
#[test]
fn kid_is_the_thumbprint() {
    let pem = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n-----END PRIVATE KEY-----\n";
    let key = SigningKey::from_pem(pem).unwrap();
    assert_eq!(key.public().unwrap().key_id(), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
}

#[test]
#[cfg_attr(not(feature = "all-tests"), ignore = "needs OpenSSL: ./test")]
fn private_and_public_pem_are_the_same_key() {
    let mut all = String::new();
    for pair in &*PAIRS {
        let public = pair.public().pem().unwrap();
        assert_eq!(PublicKey::all_from_pem(&public).unwrap(), [pair.public()], "{}", pair.name);
        assert_eq!(PublicKey::all_from_pem(&pair.pem).unwrap(), [pair.public()], "{}", pair.name);
        assert_eq!(SigningKey::from_pem(&public).unwrap_err(), KeyError::Public, "{}", pair.name);
        all += &public;
    }
    let keys: Vec<_> = PAIRS.iter().map(Pair::public).collect();
    assert_eq!(PublicKey::all_from_pem(&all).unwrap(), keys, "several blocks");
    assert_eq!(PublicKey::all_from_pem("").unwrap(), [], "an empty file");
}

#[test]
#[cfg_attr(not(feature = "all-tests"), ignore = "needs OpenSSL: ./test")]
fn pem_that_cannot_be_used_is_named() {
    let cases = [
        (String::new(), KeyError::NotPem, "nothing"),
        ("pQ7vXk2mZ9sLr4tYw8bNc3hJf6dGa1eU".to_owned(), KeyError::NotPem, "a secret"),
        ("-----BEGIN ENCRYPTED PRIVATE KEY-----\nMII\n".to_owned(), KeyError::Encrypted, "a password on it"),
        ("-----BEGIN EC PRIVATE KEY-----\nMHc\n".to_owned(), KeyError::NotPkcs8, "SEC 1"),
        ("-----BEGIN RSA PRIVATE KEY-----\nMII\n".to_owned(), KeyError::NotPkcs8, "PKCS#1"),
        ("-----BEGIN PRIVATE KEY-----\nMC4C\n-----END PRIVATE KEY-----\n".to_owned(), KeyError::Unsupported, "cut off"),
        (openssl("-algorithm EC -pkeyopt ec_paramgen_curve:P-384"), KeyError::Unsupported, "another curve"),
        (openssl("-algorithm EC -pkeyopt ec_paramgen_curve:secp256k1"), KeyError::Unsupported, "Bitcoin's curve"),
        (openssl("-algorithm ED448"), KeyError::Unsupported, "Ed448"),
        (openssl("-algorithm X25519"), KeyError::Unsupported, "a key for key agreement"),
        (openssl("-algorithm RSA -pkeyopt rsa_keygen_bits:1024"), KeyError::Unsupported, "a short RSA key"),
    ];
    for (pem, expected, why) in cases {
        assert_eq!(SigningKey::from_pem(&pem).unwrap_err(), expected, "{why}");
    }
    for arguments in ["-algorithm EC -pkeyopt ec_paramgen_curve:P-256", "-algorithm ED25519"] {
        assert!(SigningKey::from_pem(&openssl(arguments)).is_ok(), "{arguments}");
    }
}

#[test]
#[cfg_attr(not(feature = "all-tests"), ignore = "needs OpenSSL: ./test")]
fn only_keys_that_fit_are_taken_from_a_set() {
    let [ec, ed, rsa] = PAIRS.each_ref().map(jwk);
    let alien = |value: &str| json!({"kty": "EC", "crv": "P-256", "x": value, "y": value, "alg": "ES256", "kid": "k"});
    let keys = PublicKeys::unknown(None);
    for (jwk, usable, why) in [
        (ec.clone(), 1, "as it is published"),
        (with(ec.clone(), &[("use", Value::Null)]), 1, "without use"),
        (with(ec.clone(), &[("key_ops", json!(["verify"]))]), 1, "to verify"),
        (with(ec.clone(), &[("kid", json!("other"))]), 1, "with a name of another stack's"),
        (with(ec.clone(), &[("x5c", json!(["MII"]))]), 1, "with a certificate, which is ignored"),
        (with(ec.clone(), &[("use", json!("enc"))]), 0, "to encrypt"),
        (with(ec.clone(), &[("key_ops", json!(["sign"]))]), 0, "to sign"),
        (with(ec.clone(), &[("kid", Value::Null)]), 0, "without a name"),
        (with(ec.clone(), &[("kid", json!(""))]), 0, "with an empty name"),
        (with(ec.clone(), &[("kid", json!(7))]), 0, "with a number for a name"),
        (with(ec.clone(), &[("alg", Value::Null)]), 0, "without an algorithm"),
        (with(ec.clone(), &[("alg", json!("HS256"))]), 0, "for HS256"),
        (with(ec.clone(), &[("alg", json!("EdDSA"))]), 0, "for another algorithm than its curve's"),
        (with(ec.clone(), &[("alg", json!("ES384"))]), 0, "for an algorithm that is not taken here"),
        (with(ec.clone(), &[("crv", json!("P-384"))]), 0, "on another curve"),
        (with(ec.clone(), &[("d", json!("AAAA"))]), 0, "with its private half"),
        (with(ec.clone(), &[("k", json!("AAAA"))]), 0, "with a secret"),
        (with(rsa.clone(), &[("p", json!("AAAA"))]), 0, "with a prime factor"),
        (with(rsa.clone(), &[("dq", json!("AAAA"))]), 0, "with a private exponent of a factor"),
        (alien(&b64([1; 31])), 0, "with short coordinates"),
        (alien(&b64([1; 33])), 0, "with long coordinates"),
        (alien("not base64url!"), 0, "with coordinates that are none"),
        (ed.clone(), 1, "Ed25519"),
        (with(ed.clone(), &[("x", json!(b64([7; 3])))]), 0, "with a short x"),
        (with(ed.clone(), &[("x", json!(b64([0; 32])))]), 0, "of order 4"),
        (with(ed.clone(), &[("x", json!(b64([&[1][..], &[0; 31]].concat())))]), 0, "of order 1"),
        (with(ed.clone(), &[("x", json!(b64([&[1][..], &[0; 30], &[0x80]].concat())))]), 0, "of order 1, with a sign"),
        (with(ed, &[("crv", json!("X25519"))]), 0, "for key agreement"),
        (rsa.clone(), 1, "RSA"),
        (with(rsa.clone(), &[("n", json!(b64([0xc1; 128])))]), 0, "a short RSA key"),
        (with(rsa.clone(), &[("n", json!(b64([0xc1; 1025])))]), 0, "a huge RSA key"),
        (with(rsa, &[("alg", json!("PS256"))]), 0, "RSA for another algorithm"),
        (json!({"kty": "oct", "k": "c2VjcmV0", "alg": "HS256", "kid": "k"}), 0, "a secret"),
        (json!({"kty": "AKP", "alg": "ML-DSA-44", "pub": "AA", "kid": "k"}), 0, "a key of tomorrow"),
        (json!("key"), 0, "no object"),
    ] {
        let unusable = keys.learn(json!({"keys": [jwk, {"kty": "oct"}]}).to_string().as_bytes()).unwrap();
        assert_eq!((keys.keys().len(), unusable), (usable, 2 - usable), "a key {why}");
    }
}

#[test]
#[cfg_attr(not(feature = "all-tests"), ignore = "needs OpenSSL: ./test")]
fn duplicate_kid_names_no_key() {
    let [ec, ed, rsa] = PAIRS.each_ref().map(jwk);
    let keys = PublicKeys::unknown(None);
    let twice = with(ed, &[("kid", ec["kid"].clone())]);
    assert_eq!(keys.learn(json!({"keys": [ec, twice, rsa]}).to_string().as_bytes()).unwrap(), 2);
    assert_eq!(keys.keys(), [PAIRS[2].public()]);
}

#[test]
#[cfg_attr(not(feature = "all-tests"), ignore = "needs OpenSSL: ./test")]
fn text_that_is_no_set_changes_nothing() {
    let ec = jwk(&PAIRS[0]);
    let keys = PublicKeys::unknown(None);
    keys.learn(json!({"keys": [ec]}).to_string().as_bytes()).unwrap();
    let many = |number: usize| json!({"keys": vec![ec.clone(); number]}).to_string();
    for (text, why) in [
        (String::new(), "nothing"),
        ("[]".to_owned(), "an array"),
        ("{}".to_owned(), "no keys"),
        (r#"{"keys":{}}"#.to_owned(), "keys that are no array"),
        (r#"{"keys":[],"keys":[]}"#.to_owned(), "keys twice"),
        (r#"{"keys":[{"kid":"a","kid":"b"}]}"#.to_owned(), "a member of a key twice"),
        (r#"{"keys":[]} "#.to_owned() + "{}", "two objects"),
        (format!(r#"{{"keys":[],"x":"{}"}}"#, "x".repeat(64 << 10)), "65 KiB"),
        (many(17), "17 keys"),
    ] {
        assert!(keys.learn(text.as_bytes()).is_err(), "{why}");
        assert_eq!(keys.keys(), [PAIRS[0].public()], "{why}");
    }
    assert_eq!(keys.learn(many(16).as_bytes()).unwrap(), 16, "16 times the same name");
    keys.learn(br#"{"keys":[]}"#).unwrap();
    assert!(keys.keys().is_empty(), "an empty set removes all keys");
}
