use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;
use shared_claims::Secret;
use shared_service::clock::now_ms;

use super::{Desk, Ended, Served};
use crate::service::{ACCESS_SECRET, GOOD, REFRESH_SECRET};

const OTHER_SECRET: &str = "another stack's secret, of 32 bytes and more";

/// A token with this header and these claims.
fn token(header: &Value, claims: &Value, secret: &str) -> String {
    let segment = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let message = format!("{}.{}", segment(header), segment(claims));
    let mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap().chain_update(&message);
    format!("{message}.{}", URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes()))
}

/// `base` with the members of `change`; null removes a member.
fn with(mut base: Value, change: &Value) -> Value {
    for (name, value) in change.as_object().unwrap() {
        if value.is_null() {
            base.as_object_mut().unwrap().remove(name);
        } else {
            base[name] = value.clone();
        }
    }
    base
}

fn header(typ: &str, secret: &str) -> Value {
    json!({"alg": "HS256", "typ": typ, "kid": Secret::parse(secret).unwrap().key_id()})
}

fn now() -> i64 {
    now_ms() / 1000
}

fn access_claims() -> Value {
    json!({
        "iss": "auth-service", "aud": ["auth-service", "books-service"], "sub": "u", "jti": "j", "sid": "s",
        "username": "anna", "role": "member", "iat": now(), "exp": now() + 900,
    })
}

/// The failed checks, in order.
fn failing(ended: &Ended) -> Vec<&str> {
    let lines = ended.out.lines().filter_map(|line| line.strip_prefix("FAIL  "));
    lines.map(|line| line.split_whitespace().next().unwrap()).collect()
}

#[test]
fn token_verify_agrees_with_the_verifier() {
    let desk = Desk::new();
    let access = |change: Value, more: Value| {
        token(&with(header("at+jwt", ACCESS_SECRET), &change), &with(access_claims(), &more), ACCESS_SECRET)
    };
    let good = access(json!({}), json!({}));
    let (none, now) = (json!({}), now());
    for (token, last, why) in [
        (good.clone(), "accepted", "good"),
        (format!("Bearer {good}"), "accepted", "copied with its scheme"),
        (good.replace('.', ":"), "not a JWS", "no points"),
        (format!("{good}="), "not a JWS", "padding"),
        (format!("{good}{}", "A".repeat(4096)), "longer than 4096", "too long"),
        (access(json!({"alg": "none"}), none.clone()), "algorithm is not accepted", "alg"),
        (access(json!({"typ": "JWT"}), none.clone()), "of another type", "typ"),
        (access(json!({"crit": ["b64"]}), none.clone()), "critical header", "crit"),
        (access(json!({"kid": 7}), none.clone()), "header is not", "kid is a number"),
        (access(json!({"kid": null}), none.clone()), "accepted", "no kid: every secret is tried"),
        (token(&header("at+jwt", OTHER_SECRET), &access_claims(), OTHER_SECRET), "signature", "theirs"),
        (access(none.clone(), json!({"sid": null})), "The claim sid", "a claim is missing"),
        (access(none.clone(), json!({"iss": "other"})), "another issuer", "iss"),
        (access(none.clone(), json!({"aud": ["x"]})), "another audience", "aud"),
        (access(none.clone(), json!({"iat": now + 60})), "issued in the future", "iat"),
        (access(none.clone(), json!({"nbf": now + 60})), "not valid yet", "nbf"),
        (access(none.clone(), json!({"iat": now - 900, "exp": now - 60})), "has expired", "exp"),
        (access(none.clone(), json!({"exp": now + 901})), "lives longer", "life"),
        (
            access(none.clone(), json!({"exp": now - 60, "iss": "x", "aud": "y"})),
            "another issuer",
            "more than one claim",
        ),
        (access(none, json!({"role": "owner"})), "its role has no rights", "a role that nobody knows"),
    ] {
        let code = i32::from(last != "accepted");
        let ended = desk.run(&["token", "verify", "-"], &format!("{token}\n")).is(code);
        assert!(ended.out.contains("  username  \"anna\"") || why == "no points", "the claims are shown: {ended:?}");
        let verdict = if code == 0 { &ended.out } else { &ended.err };
        assert!(verdict.lines().last().unwrap().contains(last), "{why}: {ended:?}");
        let signature = token.rsplit('.').next().unwrap();
        assert!(!format!("{ended:?}").contains(signature) || token.contains(':'), "the signature is shown: {why}");
        assert!(!desk.folder.join("auth.db").exists(), "the command creates no database");
    }
}

#[test]
fn token_verify_checks_the_audience() {
    let desk = Desk::new().set("ACCESS_TOKEN_SECRET_PREVIOUS", OTHER_SECRET);
    for (secret, code) in [(ACCESS_SECRET, 0), (OTHER_SECRET, 0), (REFRESH_SECRET, 1)] {
        let token = token(&header("at+jwt", secret), &access_claims(), secret);
        desk.run(&["token", "verify", &token], "").is(code);
    }
    let sid = "0192a3b4-0000-7000-8000-00000000000a";
    let refresh = |jti: &str| {
        let change = json!({"aud": "auth-service", "sub": sid, "sid": sid, "jti": jti, "gen": 0, "username": null, "role": null});
        token(&header("rt+jwt", REFRESH_SECRET), &with(access_claims(), &change), REFRESH_SECRET)
    };
    let good = refresh(&format!("{sid}.0"));
    desk.run(&["token", "verify", &good], "").is(0);
    let elsewhere = desk.run(&["token", "verify", &good, "--audience", "books-service"], "").is(1);
    assert!(elsewhere.err.ends_with("refused: The token is of another type\n"), "{elsewhere:?}");
    let forged = desk.run(&["token", "verify", &refresh("j")], "").is(1);
    assert!(forged.err.ends_with("refused: The claim jti is missing or of the wrong type\n"), "{forged:?}");
    let for_books = token(
        &header("at+jwt", ACCESS_SECRET),
        &with(access_claims(), &json!({"aud": "books-service"})),
        ACCESS_SECRET,
    );
    desk.run(&["token", "verify", &for_books], "").is(1);
    desk.run(&["token", "verify", &for_books, "--audience", "books-service"], "").is(0);
}

#[test]
fn a_token_is_shown_without_its_signature_and_without_settings() {
    let desk = Desk::bare();
    let claims = with(access_claims(), &json!({"exp": 1_769_860_800, "note": "\u{1b}[31m\u{9b}31m"}));
    let token = token(&header("at+jwt", ACCESS_SECRET), &claims, ACCESS_SECRET);
    let ended = desk.run(&["token", "inspect", "-"], &token).is(0);
    for part in ["  alg  \"HS256\"", "  exp       1769860800  2026-01-31T12:00:00Z, ", "32 bytes, not shown"] {
        assert!(ended.out.contains(part), "{part}: {}", ended.out);
    }
    assert!(!ended.out.contains(token.rsplit('.').next().unwrap()), "{}", ended.out);
    assert!(!ended.out.contains(['\u{1b}', '\u{9b}']), "no control characters: {:?}", ended.out);
    for (text, code, part) in [("", 1, ""), ("a.b", 1, "must have 3"), ("é.ü.ö", 1, "not base64url")] {
        let ended = desk.run(&["token", "inspect", "-"], text).is(code);
        assert!(ended.out.contains(part), "{text}: {ended:?}");
    }
}

async fn post(service: &Served, path: &str, body: Value) -> Value {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    client.post(service.url(path)).json(&body).send().await.unwrap().json().await.unwrap()
}

/// The two tokens of a login or a refresh.
fn pair(answer: &Value) -> [String; 2] {
    ["accessToken", "refreshToken"].map(|name| answer[name].as_str().unwrap().to_owned())
}

#[tokio::test]
async fn a_good_token_of_an_ended_session_is_refused() {
    let desk = Desk::new().set("REFRESH_GRACE", "0");
    desk.run(&["users", "add", "anna"], GOOD).is(0);
    let service = desk.serve();
    let verify = |token: &str| desk.run(&["token", "verify", "-"], token);
    let [access, first] = pair(&post(&service, "/login", json!({"username": "anna", "password": GOOD})).await);
    for token in [&access, &first] {
        let ended = verify(token).is(0);
        assert!(ended.out.contains("anna is member, enabled"), "{ended:?}");
    }
    let [_, second] = pair(&post(&service, "/token", json!({"token": first})).await);
    let ended = verify(&first).is(1);
    assert!(ended.err.ends_with("refused: the token was used before\n"), "{ended:?}");
    verify(&second).is(0);
    post(&service, "/logout", json!({"token": second})).await;
    for token in [&access, &second] {
        let ended = verify(token).is(1);
        assert_eq!(failing(&ended), ["session"]);
        assert!(ended.err.ends_with("refused: the session has ended\n"), "{ended:?}");
    }
}

#[tokio::test]
async fn sessions_are_listed_and_ended_beside_a_running_service() {
    let desk = Desk::new();
    desk.run(&["users", "add", "anna"], GOOD).is(0);
    desk.run(&["users", "add", "ben"], GOOD).is(0);
    let service = desk.serve();
    let mut refresh = Vec::new();
    for _ in 0..3 {
        let [_, token] = pair(&post(&service, "/login", json!({"username": "anna", "password": GOOD})).await);
        refresh.push(token);
    }
    let list = desk.run(&["sessions", "list", "anna"], "").is(0).out;
    assert!(list.starts_with("ID ") && list.ends_with("anna: 3 sessions\n") && list.lines().count() == 5, "{list}");
    let id = list.lines().nth(1).unwrap().split_whitespace().next().unwrap();
    for (arguments, code, said) in [
        (&["revoke", id, "ben"][..], 1, "ben has no living session"),
        (&["revoke", "first", "anna"], 1, "\"first\" is not the name of a session"),
        (&["revoke", id, "anna"], 0, "anna: session "),
        (&["revoke", id, "anna"], 1, "anna has no living session"),
        (&["list", "anna"], 0, "anna: 2 sessions"),
        (&["revoke-all", "anna"], 0, "anna: 2 sessions ended"),
        (&["revoke-all", "anna"], 0, "anna: 0 sessions ended"),
        (&["list", "anna"], 0, "anna: 0 sessions"),
        (&["list", "carl"], 1, "there is no user called \"carl\""),
    ] {
        let ended = desk.run(&[&["sessions"], arguments].concat(), "").is(code);
        assert!(format!("{}{}", ended.out, ended.err).contains(said), "{arguments:?}: {ended:?}");
    }
    let answer = post(&service, "/token", json!({"token": refresh[0]})).await;
    assert_eq!(answer["code"], "invalid_refresh_token", "{answer}");
}

#[test]
fn minted_token_is_signed_with_the_test_secret_alone() {
    let desk = Desk::new();
    let ended = desk.run(&["token", "mint", "zoe"], "").is(1);
    assert!(ended.err.starts_with("auth-service: TEST_TOKEN_SECRET is not set") && ended.out.is_empty(), "{ended:?}");
    let desk = desk.set("TEST_TOKEN_SECRET", OTHER_SECRET);
    let token = desk.run(&["token", "mint", "zoe", "--role", "admin", "--sub", "u-1"], "").is(0).out;
    desk.run(&["token", "verify", "-"], &token).is(1);
    let desk = desk.set("ACCESS_TOKEN_SECRET", OTHER_SECRET);
    let ended = desk.run(&["token", "verify", "-", "--audience", "books-service"], &token).is(0);
    for part in ["  sub       \"u-1\"", "  role      \"admin\"", "  username  \"zoe\""] {
        assert!(ended.out.contains(part), "{part}: {}", ended.out);
    }
}
