use std::slice::from_ref;

use jsonwebtoken::{Algorithm, DecodingKey};

use super::key::VerifyingKey;
use super::public_keys::PublicKeys;
use super::{Secret, SetupError};
use crate::TokenError;

/// The keys that a verifier accepts. The key determines the algorithm, never the token (RFC 8725 section 3.1).
#[derive(Clone, Debug)]
pub struct Keyring {
    secrets: Vec<VerifyingKey>,
    public: Option<PublicKeys>,
}

impl Keyring {
    /// Builds a keyring of the secrets for HS256, the current one first, and the public keys for the other algorithms.
    ///
    /// # Errors
    /// There is no key, or a key cannot be used.
    pub fn new<'a>(
        secrets: impl IntoIterator<Item = &'a Secret>,
        public: Option<PublicKeys>,
    ) -> Result<Self, SetupError> {
        let key = |secret: &Secret| {
            let verifying = DecodingKey::from_secret(secret.bytes()).map_err(|_| SetupError::Key)?;
            Ok(VerifyingKey { kid: secret.key_id(), algorithm: Algorithm::HS256, verifying })
        };
        let secrets = secrets.into_iter().map(key).collect::<Result<Vec<_>, SetupError>>()?;
        if secrets.is_empty() && public.is_none() {
            return Err(SetupError::NoKey);
        }
        Ok(Self { secrets, public })
    }

    /// The secrets that may have signed a token with this `kid`. The `kid` is only a hint (RFC 7515 section 4.1.4):
    /// with an unknown `kid` all secrets are tried, because another signer may name the same secret differently. A
    /// token with the `kid` of a public key is refused before any computation.
    pub(super) fn secrets(&self, kid: Option<&str>) -> Result<&[VerifyingKey], TokenError> {
        let is_public = kid.zip(self.public.as_ref()).is_some_and(|(kid, public)| public.find(kid).is_some());
        if self.secrets.is_empty() || is_public {
            return Err(TokenError::Algorithm);
        }
        Ok(self.secrets.iter().find(|key| Some(&*key.kid) == kid).map_or(&self.secrets, from_ref))
    }

    /// The public key with this `kid`. A token without a `kid` is refused before any computation.
    pub(super) fn public_key(&self, algorithm: Algorithm, kid: Option<&str>) -> Result<VerifyingKey, TokenError> {
        let public = self.public.as_ref().ok_or(TokenError::Algorithm)?;
        if public.is_stale() {
            return Err(TokenError::KeysUnknown);
        }
        let key = kid.and_then(|kid| public.find(kid)).ok_or(TokenError::UnknownKey)?;
        if key.algorithm == algorithm { Ok(key) } else { Err(TokenError::Algorithm) }
    }

    /// The longest possible signature in bytes: that of the largest RSA key, or of HS256.
    pub(super) const fn longest_signature(&self) -> usize {
        if self.public.is_some() { 1024 } else { 32 }
    }

    /// A number that changes with the key set; `None` while the set is stale, so that nothing is cached.
    pub(super) fn generation(&self) -> Option<u64> {
        match &self.public {
            None => Some(0),
            Some(public) if public.is_stale() => None,
            Some(public) => Some(public.generation()),
        }
    }
}
