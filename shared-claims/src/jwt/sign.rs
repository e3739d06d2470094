use std::marker::PhantomData;

use jsonwebtoken::{EncodingKey, Header, encode};
use serde::Serialize;
use serde_json::{Value, json};

use super::{Claims, Secret, SetupError, SigningKey, self_test};

/// Signs one kind of token, for a fixed issuer and audience.
pub struct Signer<C> {
    header: Header,
    key: EncodingKey,
    issuer: String,
    /// A string for one recipient, an array for several (RFC 7519 section 4.1.3).
    audience: Value,
    kind: PhantomData<fn(C)>,
}

#[derive(Serialize)]
struct Signed<'a, C> {
    iss: &'a str,
    aud: &'a Value,
    #[serde(flatten)]
    claims: &'a C,
}

impl<C: Claims> Signer<C> {
    /// A signer for `issuer` and `audience` with HS256 and `secret`.
    ///
    /// # Errors
    /// The issuer or an audience is empty, there is no audience, or the crypto fails its self-test.
    pub fn new(issuer: &str, audience: &[String], secret: &Secret) -> Result<Self, SetupError> {
        Self::with_key(issuer, audience, SigningKey::from_secret(secret)?)
    }

    /// A signer for `issuer` and `audience` with `key`.
    ///
    /// # Errors
    /// As [`Signer::new`].
    pub fn with_key(issuer: &str, audience: &[String], key: SigningKey) -> Result<Self, SetupError> {
        self_test()?;
        if issuer.is_empty() {
            return Err(SetupError::NoIssuer);
        }
        if audience.is_empty() || audience.iter().any(String::is_empty) {
            return Err(SetupError::NoAudience);
        }
        let mut header = Header::new(key.algorithm);
        header.typ = Some(C::TYP.to_owned());
        header.kid = Some(key.kid);
        let audience = if let [one] = audience { json!(one) } else { json!(audience) };
        Ok(Self { header, key: key.signing, issuer: issuer.to_owned(), audience, kind: PhantomData })
    }

    /// Signs `claims`; returns the token in compact serialization. If signing fails, returns an empty string, which no
    /// verifier accepts, and logs the error.
    #[must_use]
    pub fn sign(&self, claims: &C) -> String {
        let signed = Signed { iss: &self.issuer, aud: &self.audience, claims };
        // Serializing strings and integers cannot fail, and the key was checked when it was read.
        encode(&self.header, &signed, &self.key).unwrap_or_else(|error| {
            log::error!("a token cannot be signed: {error}");
            String::new()
        })
    }
}
