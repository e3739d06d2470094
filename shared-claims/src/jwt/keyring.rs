use std::slice::from_ref;

use jsonwebtoken::{Algorithm, DecodingKey};

use super::public_keys::PublicKeys;
use super::{Secret, SetupError};
use crate::TokenError;

/// A key and its name.
#[derive(Clone, Debug)]
pub(super) struct Key {
    pub(super) kid: String,
    pub(super) algorithm: Algorithm,
    pub(super) verifying: DecodingKey,
}

/// The keys that a verifier accepts. The key decides on the algorithm, never the token (RFC 8725 section 3.1).
#[derive(Clone, Debug)]
pub struct Keyring {
    secrets: Vec<Key>,
    public: Option<PublicKeys>,
}

impl Keyring {
    /// The secrets of HS256, the one in use first, and the public keys of the other algorithms.
    ///
    /// # Errors
    /// There is no key at all, or the crypto does not take it.
    pub fn new<'a>(
        secrets: impl IntoIterator<Item = &'a Secret>,
        public: Option<PublicKeys>,
    ) -> Result<Self, SetupError> {
        let key = |secret: &Secret| {
            let verifying = DecodingKey::from_secret(secret.bytes()).map_err(|_| SetupError::Key)?;
            Ok(Key { kid: secret.key_id(), algorithm: Algorithm::HS256, verifying })
        };
        let secrets = secrets.into_iter().map(key).collect::<Result<Vec<_>, SetupError>>()?;
        if secrets.is_empty() && public.is_none() {
            return Err(SetupError::NoKey);
        }
        Ok(Self { secrets, public })
    }

    /// The secrets that may have signed a token of this `kid`. It is a hint (RFC 7515 section 4.1.4): one that is not known here
    /// may be another signer's name for the same secret.
    pub(super) fn secrets(&self, kid: Option<&str>) -> Result<&[Key], TokenError> {
        if self.secrets.is_empty() {
            return Err(TokenError::Algorithm);
        }
        Ok(self.secrets.iter().find(|key| Some(&*key.kid) == kid).map_or(&self.secrets, from_ref))
    }

    /// The public key that is called `kid`. A token that names none is refused without a computation.
    pub(super) fn public_key(&self, algorithm: Algorithm, kid: Option<&str>) -> Result<Key, TokenError> {
        let public = self.public.as_ref().ok_or(TokenError::Algorithm)?;
        if public.is_stale() {
            return Err(TokenError::KeysUnknown);
        }
        let key = kid.and_then(|kid| public.find(kid)).ok_or(TokenError::UnknownKey)?;
        if key.algorithm == algorithm { Ok(key) } else { Err(TokenError::Algorithm) }
    }

    /// In bytes: that of the largest RSA key, or of HS256.
    pub(super) const fn longest_signature(&self) -> usize {
        if self.public.is_some() { 1024 } else { 32 }
    }

    /// What changes with the set of keys; `None` where the set is not known, and nothing may be remembered.
    pub(super) fn generation(&self) -> Option<u64> {
        match &self.public {
            None => Some(0),
            Some(public) if public.is_stale() => None,
            Some(public) => Some(public.generation()),
        }
    }
}
