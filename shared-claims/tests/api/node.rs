use std::fs::File;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use shared_claims::{AccessClaims, Claims, LEEWAY, RefreshClaims, TokenError, Verifier};

use crate::forge::{AUDIENCE, ISSUER, LIFE, NOW, SECRET, STRANGER, secret, verifier_config};
use crate::signer::{access_claims, refresh_claims, sign};

/// Secrets as operators set them: both sides use the raw bytes of the text.
const SECRETS: [&str; 6] = [
    SECRET,
    "pässwörter sind keine schlüssel, ключи 鍵 🔑",
    "c2VjcmV0IHRoYXQgbG9va3MgbGlrZSBiYXNlNjQgYnV0IGlzIHRha2VuIGFzIGl0IHN0YW5kcw==",
    "0x000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
    "longer than the block of SHA-256, so that HMAC hashes the key first: ééééééééééééééééééééééééééééé",
    "with \"quotes\", \\backslashes\\, $dollars and a\u{0}NUL inside of it",
];

const NAMES: [&str; 5] = ["anna", "Ånna Öst", "анна 😀", "\u{0}\u{1f}\"\\/\u{2028}", "e\u{301}"];

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/node")
}

/// Installs the packages of `package-lock.json` once, in the first test or process. npm writes its own record last.
fn install() {
    let lock = File::create(PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("npm.lock")).unwrap();
    lock.lock().unwrap();
    let changed = |name: &str| folder().join(name).metadata().and_then(|file| file.modified()).ok();
    if changed("node_modules/.package-lock.json") < changed("package-lock.json") {
        let npm = Command::new("npm").args(["ci", "--no-audit", "--no-fund"]).current_dir(folder()).output();
        let npm = npm.expect("npm does not start: run ./test");
        assert!(npm.status.success(), "npm ci failed: {}", String::from_utf8_lossy(&npm.stderr));
    }
}

/// Node's result for each question.
fn ask(questions: &Value) -> Vec<Value> {
    install();
    let mut node = Command::new("node");
    node.arg("interop.js").current_dir(folder()).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut node = node.spawn().expect("node does not start: run ./test");
    node.stdin.take().unwrap().write_all(questions.to_string().as_bytes()).unwrap();
    let output = node.wait_with_output().unwrap();
    assert!(output.status.success(), "node failed");
    serde_json::from_slice(&output.stdout).unwrap()
}

fn verdict<C: Claims>(text: &str, token: &Value) -> Result<C, TokenError> {
    let token = token["value"].as_str().unwrap_or_else(|| panic!("Node signed nothing: {token}"));
    Verifier::new(&verifier_config(&secret(text), None)).unwrap().verify(token, NOW)
}

/// The claims as an Express service would write them.
fn as_node_writes(claims: &impl Claims) -> Value {
    let mut json = serde_json::to_value(claims).unwrap();
    json["iss"] = json!(ISSUER);
    json["aud"] = json!(["auth-service", AUDIENCE]);
    json
}

fn options(typ: &str) -> Value {
    json!({"algorithm": "HS256", "header": {"typ": typ}})
}

fn to_sign(claims: &Value, secret: &str, options: &Value) -> Value {
    json!({"ask": "sign", "claims": claims, "secret": secret, "options": options})
}

fn to_verify(token: &str, secret: &str, audience: &str) -> Value {
    let options = json!({"algorithms": ["HS256"], "issuer": ISSUER, "audience": audience, "clockTimestamp": NOW});
    json!({"ask": "verify", "token": token, "secret": secret, "options": options})
}

fn claims(name: &str) -> AccessClaims {
    AccessClaims { username: name.to_owned(), ..access_claims() }
}

/// Every secret with every name.
fn cases() -> Vec<(&'static str, &'static str)> {
    SECRETS.iter().flat_map(|secret| NAMES.map(|name| (*secret, name))).collect()
}

#[test]
#[cfg_attr(not(feature = "all-tests"), ignore = "needs Node: ./test")]
fn we_accept_what_node_signs() {
    let question = |(secret, name)| to_sign(&as_node_writes(&claims(name)), secret, &options("at+jwt"));
    let answers = ask(&cases().into_iter().map(question).collect());
    for ((secret, name), token) in cases().into_iter().zip(&answers) {
        assert_eq!(verdict(secret, token), Ok(claims(name)), "{name} by {secret}");
        assert_eq!(verdict::<AccessClaims>(STRANGER, token), Err(TokenError::Signature), "{name} by {secret}");
    }
}

#[test]
#[cfg_attr(not(feature = "all-tests"), ignore = "needs Node: ./test")]
fn we_accept_a_refresh_token_that_node_signs() {
    let answers = ask(&json!([to_sign(&as_node_writes(&refresh_claims()), SECRET, &options("rt+jwt"))]));
    assert_eq!(verdict::<RefreshClaims>(SECRET, &answers[0]), Ok(refresh_claims()));
}

#[test]
#[cfg_attr(not(feature = "all-tests"), ignore = "needs Node: ./test")]
fn we_accept_what_node_writes_by_itself() {
    let question = |left_out: &[&str], more: Value| {
        let (mut claims, mut options) = (as_node_writes(&access_claims()), options("at+jwt"));
        claims.as_object_mut().unwrap().retain(|name, _| !left_out.contains(&&**name));
        options.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        to_sign(&claims, SECRET, &options)
    };
    let parties = json!({"issuer": ISSUER, "audience": AUDIENCE, "subject": "u-1", "jwtid": "t-1"});
    let answers = ask(&json!([
        question(&["exp"], json!({"expiresIn": LIFE})),
        question(&["exp"], json!({"expiresIn": "15m", "notBefore": "0s"})),
        question(&["iss", "aud", "sub", "jti"], parties),
        question(&[], json!({"keyid": "key-1"})),
    ]));
    for token in answers {
        assert_eq!(verdict(SECRET, &token), Ok(access_claims()), "{token}");
    }
}

#[test]
#[cfg_attr(not(feature = "all-tests"), ignore = "needs Node: ./test")]
fn we_refuse_what_node_signs_otherwise() {
    let question = |secret, options| to_sign(&as_node_writes(&access_claims()), secret, &options);
    let with = |algorithm| json!({"algorithm": algorithm, "header": {"typ": "at+jwt"}});
    let answers = ask(&json!([
        question(SECRET, json!({})),
        question(SECRET, options("rt+jwt")),
        question(SECRET, with("HS384")),
        question(SECRET, with("HS512")),
        question("", with("none")),
    ]));
    let other = TokenError::Malformed; // Its signature is longer than any of ours.
    let expected = [TokenError::Type, TokenError::Type, other, other, TokenError::Algorithm];
    for (token, error) in answers.iter().zip(expected) {
        assert_eq!(verdict::<AccessClaims>(SECRET, token), Err(error), "{token}");
    }
}

#[test]
#[cfg_attr(not(feature = "all-tests"), ignore = "needs Node: ./test")]
fn node_accepts_what_we_sign() {
    let token = |secret, name| sign(&claims(name), secret, &["auth-service", AUDIENCE]);
    let answers =
        ask(&cases().into_iter().map(|(secret, name)| to_verify(&token(secret, name), secret, AUDIENCE)).collect());
    for ((secret, name), answer) in cases().into_iter().zip(&answers) {
        assert_eq!(answer["value"], as_node_writes(&claims(name)), "{name} by {secret}: {answer}");
    }
}

#[test]
#[cfg_attr(not(feature = "all-tests"), ignore = "needs Node: ./test")]
fn node_refuses_what_is_not_for_it() {
    let token = sign(&access_claims(), SECRET, &["auth-service", AUDIENCE]);
    let refresh = sign(&refresh_claims(), SECRET, &["auth-service"]);
    let answers = ask(&json!([
        to_verify(&token, STRANGER, AUDIENCE),
        to_verify(&token, SECRET, "orders-service"),
        to_verify(&refresh, SECRET, AUDIENCE),
        to_verify(&refresh, SECRET, "auth-service"),
    ]));
    assert_eq!(answers[0], json!({"error": "invalid signature"}));
    assert_eq!(answers[1], json!({"error": "jwt audience invalid. expected: orders-service"}));
    assert_eq!(answers[2], json!({"error": "jwt audience invalid. expected: books-service"}));
    assert_eq!(answers[3]["value"]["gen"], 7);
}

#[test]
#[cfg_attr(not(feature = "all-tests"), ignore = "needs Node: ./test")]
fn node_ends_a_token_in_the_same_second() {
    let token = sign(&access_claims(), SECRET, &[AUDIENCE]);
    let clocks = NOW + LIFE - 2..NOW + LIFE + LEEWAY + 3;
    let question = |now: u64| {
        let options = json!({"algorithms": ["HS256"], "clockTimestamp": now, "clockTolerance": LEEWAY});
        json!({"ask": "verify", "token": token, "secret": SECRET, "options": options})
    };
    let answers = ask(&clocks.clone().map(question).collect());
    let ours = Verifier::<AccessClaims>::new(&verifier_config(&secret(SECRET), None)).unwrap();
    for (now, answer) in clocks.zip(&answers) {
        assert_eq!(ours.verify(&token, now).is_ok(), answer.get("value").is_some(), "{now}: {answer}");
    }
}
