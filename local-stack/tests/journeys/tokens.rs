use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD as BASE64URL};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;

/// The claims of `token`, which is signed but not encrypted.
pub fn claims(token: &str) -> Value {
    read(token.split('.').nth(1).unwrap())
}

/// The header of `token`.
pub fn header(token: &str) -> Value {
    read(token.split('.').next().unwrap())
}

/// `object` with the members of `others` replaced or added.
pub fn with(mut object: Value, others: &Value) -> Value {
    object.as_object_mut().unwrap().extend(others.as_object().unwrap().clone());
    object
}

/// A token of `claims`, signed with `secret` as Node's `jsonwebtoken` does.
pub fn signed(header: &Value, claims: &Value, secret: &str) -> String {
    let input = format!("{}.{}", write(header), write(claims));
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(input.as_bytes());
    format!("{input}.{}", BASE64URL.encode(mac.finalize().into_bytes()))
}

/// `token` with other claims under its old signature.
pub fn tampered(token: &str, others: &Value) -> String {
    let [header, _, signature] = token.split('.').collect::<Vec<_>>()[..] else { panic!("{token}") };
    format!("{header}.{}.{signature}", write(&with(claims(token), others)))
}

/// The claims of `token` with `alg: none` and no signature.
pub fn unsigned(token: &str) -> String {
    format!("{}.{}.", write(&with(header(token), &json!({"alg": "none"}))), write(&claims(token)))
}

fn read(segment: &str) -> Value {
    serde_json::from_slice(&BASE64URL.decode(segment).unwrap()).unwrap()
}

fn write(json: &Value) -> String {
    BASE64URL.encode(json.to_string())
}
