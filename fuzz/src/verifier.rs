use std::fmt::Debug;
use std::sync::LazyLock;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::Value;
use sha2::Sha256;
use shared_claims::{AccessClaims, Claims, LEEWAY, RefreshClaims, Secret, TokenError, Verifier, VerifierConfig};

/// Separates header and claims in an input that has both as texts. This byte never occurs in UTF-8.
const SEPARATOR: u8 = 0xff;

const NOW: u64 = 1_900_000_000;
const LIFE: u64 = 900;
const ISSUER: &str = "auth-service";
const AUDIENCE: &str = "books-service";
const SECRET: &str = "the secret of the tests, 32 bytes and more";
const STRANGER: &str = "a secret that no verifier here was ever told";

/// The forms of one input that were accepted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Accepted {
    /// The input itself.
    pub as_it_is: bool,
    /// The header and claims of the input with a valid signature.
    pub signed: bool,
}

static ACCESS: LazyLock<Verifier<AccessClaims>> = LazyLock::new(verifier);
static REFRESH: LazyLock<Verifier<RefreshClaims>> = LazyLock::new(verifier);

fn verifier<C: Claims>() -> Verifier<C> {
    let secret = Secret::parse(SECRET).unwrap();
    let max_life = Duration::from_secs(LIFE);
    let config = VerifierConfig { issuer: ISSUER, audience: AUDIENCE, max_life, secret: &secret, previous: None };
    Verifier::new(&config).unwrap()
}

/// Passes `bytes` to the verifiers: as a token, as a token with a valid signature instead of its own, and as header and
/// claims, encoded and signed. Panics if a verifier accepts what it must refuse.
pub fn run(bytes: &[u8]) -> Accepted {
    let mut accepted = Accepted::default();
    if let Ok(token) = std::str::from_utf8(bytes) {
        accepted.as_it_is = is_accepted(token);
        if let Some((message, _)) = token.rsplit_once('.') {
            accepted.signed = is_accepted_signed(message);
        }
    }
    if let Some(end) = bytes.iter().position(|byte| *byte == SEPARATOR) {
        let [header, claims] = [&bytes[..end], &bytes[end + 1..]].map(|text| URL_SAFE_NO_PAD.encode(text));
        accepted.signed |= is_accepted_signed(&format!("{header}.{claims}"));
    }
    accepted
}

fn is_accepted_signed(message: &str) -> bool {
    let forged = format!("{message}.{}", signature(message, STRANGER));
    assert!(!is_accepted(&forged), "a signature with another secret was accepted: {forged}");
    is_accepted(&format!("{message}.{}", signature(message, SECRET)))
}

fn signature(message: &str, secret: &str) -> String {
    let mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap().chain_update(message);
    URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes())
}

fn is_accepted(token: &str) -> bool {
    let access = verdict(&ACCESS, token);
    let refresh = verdict(&REFRESH, token);
    if let Ok(claims) = &access {
        assert!(refresh.is_err(), "accepted as both kinds: {token}");
        let read = check_accepted(token, claims);
        assert_eq!(read["username"], claims.username);
        assert_eq!(read["role"], claims.role);
        assert_eq!((&read["sub"], &read["sid"]), (&claims.sub.as_str().into(), &claims.sid.as_str().into()));
    }
    if let Ok(claims) = &refresh {
        let read = check_accepted(token, claims);
        assert_eq!(read["gen"], claims.generation);
        assert_eq!((&read["sub"], &read["sid"]), (&claims.sub.as_str().into(), &claims.sid.as_str().into()));
    }
    access.is_ok() || refresh.is_ok()
}

fn verdict<C: Claims + Debug + PartialEq>(verifier: &Verifier<C>, token: &str) -> Result<C, TokenError> {
    let said = verifier.verify(token, NOW);
    assert_eq!(said, verifier.verify(token, NOW), "a second verification differs: {token}");
    if let Ok(claims) = &said {
        assert_eq!(verifier.verify_expired_too(token, NOW).as_ref(), Ok(claims), "verify_expired_too differs: {token}");
    }
    said
}

/// Checks an accepted token again, with code separate from the verifier's, and returns its claims.
fn check_accepted<C: Claims>(token: &str, claims: &C) -> Value {
    assert!(token.len() <= 4096, "the token is too long");
    let (message, proof) = token.rsplit_once('.').unwrap();
    assert_eq!(proof, signature(message, SECRET), "the signature is wrong: {token}");
    let (header, body) = message.split_once('.').unwrap();
    let [header, body] = [header, body].map(|segment| {
        let text = URL_SAFE_NO_PAD.decode(segment).unwrap();
        serde_json::from_slice::<Value>(&text).unwrap()
    });
    assert_eq!(header["alg"], "HS256");
    let typ = header["typ"].as_str().unwrap();
    assert_eq!(typ.strip_prefix("application/").unwrap_or(typ), C::TYP);
    assert_eq!(header.get("crit"), None, "an extension that the verifiers do not support");

    assert_eq!(body["iss"], ISSUER);
    let names_us = |name: &Value| name == AUDIENCE;
    assert!(names_us(&body["aud"]) || body["aud"].as_array().is_some_and(|all| all.iter().any(names_us)));
    let [exp, iat] = ["exp", "iat"].map(|name| body[name].as_u64().unwrap());
    assert_eq!((exp, iat), (claims.expires_at(), claims.issued_at()));
    assert!(exp >= NOW - LEEWAY && iat <= NOW + LEEWAY && exp >= iat && exp - iat <= LIFE, "iat {iat}, exp {exp}");
    assert!(body.get("nbf").is_none_or(|nbf| nbf.as_u64().unwrap() <= NOW + LEEWAY));
    body
}
