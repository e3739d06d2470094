use std::fmt::Write;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use shared_claims::{AccessClaims, RefreshClaims, Secret, TokenError, Verifier, VerifierConfig};

pub const SECRET: &str = "the secret of the tests, 32 bytes and more";
pub const PREVIOUS: &str = "the secret before it, also 32 bytes and more";
pub const STRANGER: &str = "a secret that no verifier here was ever told";

pub const ISSUER: &str = "auth-service";
pub const AUDIENCE: &str = "books-service";

/// The clock of the tests, and the longest life of a token, in seconds.
pub const NOW: u64 = 1_900_000_000;
pub const LIFE: u64 = 900;

/// A JSON object as a list of members with values as JSON text, so that it can be invalid in any way.
#[derive(Clone)]
pub struct Object(Vec<(String, String)>);

#[expect(clippy::needless_pass_by_value, reason = "a number or a text, written where it is needed")]
impl Object {
    fn new(members: &[(&str, &str)]) -> Self {
        Self(members.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect())
    }

    /// Replaces the value of the member `name`, or adds the member.
    pub fn with(mut self, name: &str, value: impl ToString) -> Self {
        match self.0.iter_mut().find(|(known, _)| known == name) {
            Some((_, old)) => *old = value.to_string(),
            None => self.0.push((name.to_owned(), value.to_string())),
        }
        self
    }

    /// Adds a member, even if one of this name exists. `name` is JSON text without its quotes.
    pub fn and(mut self, name: &str, value: impl ToString) -> Self {
        self.0.push((name.to_owned(), value.to_string()));
        self
    }

    pub fn without(mut self, name: &str) -> Self {
        self.0.retain(|(known, _)| known != name);
        self
    }

    pub fn names(&self) -> Vec<String> {
        self.0.iter().map(|(name, _)| name.clone()).collect()
    }

    pub fn text(&self) -> String {
        let members: Vec<String> = self.0.iter().map(|(name, value)| format!(r#""{name}":{value}"#)).collect();
        format!("{{{}}}", members.join(","))
    }
}

/// The header of an access token without a `kid`.
pub fn header() -> Object {
    Object::new(&[("alg", r#""HS256""#), ("typ", r#""at+jwt""#)])
}

/// The claims of a valid access token.
pub fn access() -> Object {
    Object::new(&[("iss", r#""auth-service""#), ("aud", r#"["auth-service","books-service"]"#), ("sub", r#""u-1""#)])
        .with("exp", NOW + LIFE)
        .with("iat", NOW)
        .with("jti", r#""t-1""#)
        .with("sid", r#""s-1""#)
        .with("username", r#""anna""#)
        .with("role", r#""member""#)
}

/// The claims of a valid refresh token.
pub fn refresh() -> Object {
    access().without("username").without("role").with("gen", 7)
}

pub fn b64(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

pub fn unb64(segment: &str) -> Vec<u8> {
    URL_SAFE_NO_PAD.decode(segment).unwrap()
}

/// `message`, followed by its HMAC-SHA-256.
pub fn signed(message: &str, secret: impl AsRef<[u8]>) -> String {
    let mac = Hmac::<Sha256>::new_from_slice(secret.as_ref()).unwrap().chain_update(message);
    format!("{message}.{}", b64(mac.finalize().into_bytes()))
}

/// A token of two segments, correctly signed but not encoded.
pub fn segments(header: &str, claims: &str) -> String {
    signed(&format!("{header}.{claims}"), SECRET)
}

/// A token of two texts, correctly encoded and signed.
pub fn texts(header: impl AsRef<[u8]>, claims: impl AsRef<[u8]>) -> String {
    segments(&b64(header), &b64(claims))
}

/// A token of `header` and valid claims, signed with `secret`.
pub fn by(secret: impl AsRef<[u8]>, header: &str) -> String {
    signed(&format!("{}.{}", b64(header), b64(access().text())), secret)
}

/// A token, correctly encoded and signed.
pub fn token(header: &Object, claims: &Object) -> String {
    texts(header.text(), claims.text())
}

/// The three segments of `token`.
pub fn parts(token: &str) -> [&str; 3] {
    token.split('.').collect::<Vec<_>>().try_into().unwrap()
}

/// A text of `length` letters, for an unknown member.
pub fn filler(length: usize) -> String {
    format!(r#""{}""#, "x".repeat(length))
}

/// `{"0":0,"1":0,…}`, without its braces.
pub fn crowd(members: usize) -> String {
    let mut text = String::new();
    for n in 0..members {
        let comma = if n == 0 { "" } else { "," };
        write!(text, r#"{comma}"{n}":0"#).unwrap();
    }
    text
}

pub fn secret(text: &str) -> Secret {
    Secret::parse(text).unwrap()
}

pub fn verifier_config<'a>(secret: &'a Secret, previous: Option<&'a Secret>) -> VerifierConfig<'a> {
    VerifierConfig { issuer: ISSUER, audience: AUDIENCE, max_life: Duration::from_secs(LIFE), secret, previous }
}

/// The result of the access token verifier.
pub fn verdict(token: &str) -> Result<AccessClaims, TokenError> {
    let verifier = Verifier::new(&verifier_config(&secret(SECRET), Some(&secret(PREVIOUS)))).unwrap();
    verifier.verify(token, NOW)
}

/// The result of the refresh token verifier.
pub fn refresh_verdict(token: &str) -> Result<RefreshClaims, TokenError> {
    let verifier = Verifier::new(&verifier_config(&secret(SECRET), Some(&secret(PREVIOUS)))).unwrap();
    verifier.verify(token, NOW)
}

/// Verifies each access token and compares the result with the expected one.
#[track_caller]
pub fn check<W: std::fmt::Display>(cases: impl IntoIterator<Item = (String, Result<(), TokenError>, W)>) {
    let wrong: Vec<String> = cases
        .into_iter()
        .filter_map(|(token, expected, why)| {
            let said = verdict(&token).map(|_| ());
            (said != expected).then(|| format!("{why}: {said:?} instead of {expected:?}"))
        })
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}
