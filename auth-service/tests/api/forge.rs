//! Tokens signed with the service's secrets, with other claims.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;
use shared_claims::{AccessClaims, Claims, RefreshClaims, Secret, Signer, Verifier, VerifierConfig};
use shared_service::clock::now_ms;

use crate::service::{ACCESS_SECRET, REFRESH_SECRET};

const DAY: u64 = 24 * 60 * 60;

pub fn access_claims(token: &str) -> AccessClaims {
    claims(token, ACCESS_SECRET)
}

pub fn refresh_claims(token: &str) -> RefreshClaims {
    claims(token, REFRESH_SECRET)
}

pub fn access_token(claims: &AccessClaims) -> String {
    signed(claims, ACCESS_SECRET)
}

/// Signs `claims`, with the `jti` that the service would write.
pub fn refresh_token(claims: &RefreshClaims) -> String {
    let jti = format!("{}.{}", claims.sid, claims.generation);
    signed(&RefreshClaims { jti, ..claims.clone() }, REFRESH_SECRET)
}

/// The header of `token`.
pub fn header(token: &str) -> Value {
    let segment = token.split('.').next().unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(segment).unwrap()).unwrap()
}

/// `token` with `iat` and `exp` a day earlier, so that it has expired.
pub fn expired_access(token: &str) -> String {
    let claims = access_claims(token);
    access_token(&AccessClaims { iat: claims.iat - DAY, exp: claims.exp - DAY, ..claims })
}

/// A refresh token with `iat` and `exp` ten days earlier, so that it has expired.
pub fn expired_refresh(token: &str) -> String {
    let claims = refresh_claims(token);
    refresh_token(&RefreshClaims { iat: claims.iat - 10 * DAY, exp: claims.exp - 10 * DAY, ..claims })
}

/// `token` with another signature.
pub fn tampered(token: &str) -> String {
    let (rest, signature) = token.rsplit_once('.').unwrap();
    let first = if signature.starts_with('A') { 'B' } else { 'A' };
    format!("{rest}.{first}{}", &signature[1..])
}

pub fn signed<C: Claims>(claims: &C, secret: &str) -> String {
    let audience = ["auth-service", "books-service"].map(str::to_owned);
    Signer::new("auth-service", &audience, &Secret::parse(secret).unwrap()).unwrap().sign(claims)
}

fn claims<C: Claims>(token: &str, secret: &str) -> C {
    let config = VerifierConfig {
        issuer: "auth-service",
        audience: "auth-service",
        max_life: Duration::from_hours(24 * 365),
        secret: &Secret::parse(secret).unwrap(),
        previous: None,
    };
    Verifier::new(&config).unwrap().verify_expired_too(token, u64::try_from(now_ms() / 1000).unwrap()).unwrap()
}

/// The header and the claims of `token`, which is not verified.
pub fn parts(token: &str) -> [Value; 2] {
    let [header, claims, _] = token.split('.').collect::<Vec<_>>().try_into().unwrap();
    [header, claims].map(|part| serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap())
}
