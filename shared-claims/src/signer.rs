use std::marker::PhantomData;

use serde::{Serialize, Serializer};

use crate::jws::Keys;
use crate::{Claims, Secret, SetupError, self_test};

/// Makes one kind of token, always from the same issuer for the same audience.
pub struct Signer<C> {
    keys: Keys,
    issuer: String,
    audience: Audience,
    kind: PhantomData<fn(C)>,
}

/// One recipient is written as a string, several as an array (RFC 7519 section 4.1.3).
struct Audience(Vec<String>);

impl Serialize for Audience {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.0[..] {
            [one] => one.serialize(serializer),
            all => all.serialize(serializer),
        }
    }
}

#[derive(Serialize)]
struct Signed<'a, C> {
    iss: &'a str,
    aud: &'a Audience,
    #[serde(flatten)]
    claims: &'a C,
}

impl<C: Claims> Signer<C> {
    /// A signer that speaks as `issuer` to `audience`, with `secret`.
    ///
    /// # Errors
    /// A name is empty, there is no audience, or the crypto fails its self-test.
    pub fn new(issuer: &str, audience: &[String], secret: &Secret) -> Result<Self, SetupError> {
        self_test()?;
        if issuer.is_empty() {
            return Err(SetupError::NoIssuer);
        }
        if audience.is_empty() || audience.iter().any(String::is_empty) {
            return Err(SetupError::NoAudience);
        }
        let keys = Keys::new(C::TYP, secret, None).ok_or(SetupError::Key)?;
        Ok(Self { keys, issuer: issuer.to_owned(), audience: Audience(audience.to_vec()), kind: PhantomData })
    }

    /// `claims` as a token.
    #[must_use]
    pub fn sign(&self, claims: &C) -> String {
        let signed = Signed { iss: &self.issuer, aud: &self.audience, claims };
        // Strings and integers always have a JSON form; were it not so, the empty token is one that nobody accepts.
        serde_json::to_vec(&signed).map_or_else(|_| String::new(), |json| self.keys.sign(&json))
    }
}
