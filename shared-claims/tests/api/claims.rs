use shared_claims::Role;
use shared_claims::TokenError::{self, Claim, IssuedInFuture, LifeTooLong, MalformedClaims, NotYetValid};

use crate::forge::{LIFE, NOW, Object, access, check, header, refresh, refresh_verdict, token, verdict};

/// JSON values that are not a non-empty string.
const NO_TEXT: [&str; 9] = [r#""""#, "null", "1", "0", "true", "[]", r#"["anna"]"#, "{}", r#"{"anna":"anna"}"#];

/// JSON values that are not a non-negative integer.
const NO_SECONDS: [&str; 19] = [
    r#""1900000000""#,
    r#""""#,
    "null",
    "true",
    "[]",
    "[1900000000]",
    "{}",
    "-1",
    "-1900000000",
    "-0",
    "1900000000.0",
    "1900000000.5",
    "1.0",
    "1e3",
    "-0.0",
    "1.9e9",
    "19E8",
    "18446744073709551616",
    "1e300",
];

pub fn with(name: &str, value: impl ToString) -> String {
    token(&header(), &access().with(name, value))
}

fn refresh_says(claims: &Object) -> Result<(), TokenError> {
    refresh_verdict(&token(&header().with("typ", r#""rt+jwt""#), claims)).map(|_| ())
}

#[test]
fn every_claim_is_required() {
    let names = ["iss", "sub", "aud", "exp", "iat", "jti", "sid", "username", "role"];
    check(names.map(|name| (token(&header(), &access().without(name)), Err(Claim(name)), name)));
    for name in ["iss", "sub", "aud", "exp", "iat", "jti", "sid", "gen"] {
        assert_eq!(refresh_says(&refresh().without(name)), Err(Claim(name)), "refresh token: {name}");
    }
    assert_eq!(refresh_says(&refresh()), Ok(()));
}

#[test]
fn a_text_is_a_string_that_is_not_empty() {
    for name in ["iss", "sub", "jti", "sid", "username", "role"] {
        check(NO_TEXT.map(|value| (with(name, value), Err(Claim(name)), format!("{name}: {value}"))));
    }
    for name in ["iss", "sub", "jti", "sid"] {
        for value in NO_TEXT {
            assert_eq!(refresh_says(&refresh().with(name, value)), Err(Claim(name)), "refresh token: {name}: {value}");
        }
    }
}

#[test]
fn a_time_is_an_integer_in_seconds() {
    for name in ["exp", "iat", "nbf"] {
        check(NO_SECONDS.map(|value| (with(name, value), Err(Claim(name)), format!("{name}: {value}"))));
        let broken = ["NaN", "Infinity", "01900000000", "0x713fb300", "1e999", "+1900000000", "1900000000."];
        check(broken.map(|value| (with(name, value), Err(MalformedClaims), format!("{name}: {value}"))));
    }
    for value in NO_SECONDS {
        assert_eq!(refresh_says(&refresh().with("gen", value)), Err(Claim("gen")), "gen: {value}");
    }
    for value in [0, 1, u64::MAX] {
        let claims = refresh().with("gen", value);
        let read = refresh_verdict(&token(&header().with("typ", r#""rt+jwt""#), &claims));
        assert_eq!(read.map(|claims| claims.generation), Ok(value));
    }
}

#[test]
fn milliseconds_are_refused() {
    let milliseconds = access().with("iat", NOW * 1000).with("exp", (NOW + LIFE) * 1000);
    check([
        (with("exp", (NOW + LIFE) * 1000), Err(LifeTooLong), "exp"),
        (with("iat", NOW * 1000), Err(IssuedInFuture), "iat"),
        (token(&header(), &milliseconds), Err(IssuedInFuture), "both"),
        (with("nbf", NOW * 1000), Err(NotYetValid), "nbf"),
        (with("exp", u64::MAX), Err(LifeTooLong), "exp, as large as can be"),
        (with("iat", u64::MAX), Err(IssuedInFuture), "iat, as large as can be"),
        (with("nbf", u64::MAX), Err(NotYetValid), "nbf, as large as can be"),
    ]);
}

#[test]
fn unknown_claims_are_ignored() {
    for (name, value) in [
        ("x", r#"{"deep":[1,2.5,null,{"er":true}]}"#),
        ("", r#""""#),
        ("ISS", r#""evil""#),
        ("Role", r#""admin""#),
        ("role ", r#""admin""#),
        ("roles", r#"["admin"]"#),
        ("scope", r#""admin""#),
        ("admin", "true"),
        ("gen", "7"),
        ("client_id", "1"),
        ("auth_time", r#""x""#),
        ("cnf", r#"{"jkt":"x"}"#),
        ("__proto__", r#"{"role":"admin"}"#),
    ] {
        let claims = verdict(&with(name, value)).expect(name);
        assert_eq!((&*claims.role, claims.known_role()), ("member", Some(Role::Member)), "{name}");
    }
}

#[test]
fn claims_are_taken_as_they_stand() {
    for text in ["anna", " anna ", "ANNA", "анна", "😀", "a\\u0000b", "caf\\u00e9", "\\\"", "\\n", "<script>", "null"]
    {
        let token = with("username", format!(r#""{text}""#));
        let expected: String = serde_json::from_str(&format!(r#""{text}""#)).unwrap();
        assert_eq!(verdict(&token).map(|claims| claims.username), Ok(expected));
    }
}

#[test]
fn unknown_role_has_no_rights() {
    for (role, known) in [("member", Some(Role::Member)), ("admin", Some(Role::Admin))] {
        assert_eq!(verdict(&with("role", format!(r#""{role}""#))).unwrap().known_role(), known);
    }
    for role in
        ["Admin", "ADMIN", "admin ", " admin", "admin,member", "root", "librarian", "*", "аdmin", "admin\\u0000", "1"]
    {
        let claims = verdict(&with("role", format!(r#""{role}""#))).expect("the token itself is valid");
        assert_eq!(claims.known_role(), None, "{role}");
    }
}
