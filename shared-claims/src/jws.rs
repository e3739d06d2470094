use std::slice::from_ref;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::{Members, Secret, TokenError};

/// The longest token that is looked at, in bytes.
const LONGEST: usize = 4096;

/// Room for the decoded form of any segment of a token.
pub(crate) struct Buffer([u8; LONGEST / 4 * 3]);

impl Default for Buffer {
    fn default() -> Self {
        Self([0; LONGEST / 4 * 3])
    }
}

/// A secret made ready for one type of token: the HMAC state after the key, and the header of every token it signs.
struct Key {
    id: String,
    mac: Hmac<Sha256>,
    header: String,
}

impl Key {
    fn new(typ: &str, secret: &Secret) -> Option<Self> {
        let id = secret.key_id();
        let header = URL_SAFE_NO_PAD.encode(format!(r#"{{"alg":"HS256","typ":"{typ}","kid":"{id}"}}"#));
        Some(Self { id, mac: Hmac::new_from_slice(secret.bytes()).ok()?, header })
    }

    fn made(&self, message: &str, signature: &[u8]) -> bool {
        let mut mac = self.mac.clone();
        mac.update(message.as_bytes());
        mac.verify_slice(signature).is_ok()
    }
}

/// The keys for one type of token: the first signs, all verify. HS256 is the only algorithm there is (RFC 8725,
/// section 3.1), so no header can choose another.
pub(crate) struct Keys {
    typ: &'static str,
    keys: Vec<Key>,
}

impl Keys {
    /// `None` where the crypto takes no such key.
    pub(crate) fn new(typ: &'static str, secret: &Secret, previous: Option<&Secret>) -> Option<Self> {
        let keys: Option<Vec<Key>> =
            std::iter::once(secret).chain(previous).map(|secret| Key::new(typ, secret)).collect();
        Some(Self { typ, keys: keys? })
    }

    /// `claims`, a JSON text, as a signed token.
    pub(crate) fn sign(&self, claims: &[u8]) -> String {
        let key = &self.keys[0];
        let mut token = String::with_capacity(key.header.len() + claims.len() * 4 / 3 + 48);
        token.push_str(&key.header);
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(claims, &mut token);
        let mut mac = key.mac.clone();
        mac.update(token.as_bytes());
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(mac.finalize().into_bytes(), &mut token);
        token
    }

    /// The claims of `token`, proven to be signed by a key of ours, as the bytes they were signed as.
    pub(crate) fn open<'b>(&self, token: &str, buffer: &'b mut Buffer) -> Result<&'b [u8], TokenError> {
        if token.len() > LONGEST {
            return Err(TokenError::TooLong);
        }
        let (message, signature) = token.rsplit_once('.').ok_or(TokenError::Malformed)?;
        let two = message.split_once('.').filter(|(_, claims)| !claims.contains('.'));
        let (header, claims) = two.ok_or(TokenError::Malformed)?;
        let mut proof = [0; 33];
        let proof = decode(signature, &mut proof)?;
        if !self.candidates(header)?.iter().any(|key| key.made(message, proof)) {
            return Err(TokenError::Signature);
        }
        decode(claims, &mut buffer.0)
    }

    /// The keys that may have signed a token with this header. Ours is recognised as it stands; another's is read. `kid`
    /// is a hint (RFC 7515 section 4.1.4): one that we do not know may be another signer's name for the same secret.
    fn candidates(&self, header: &str) -> Result<&[Key], TokenError> {
        if let Some(key) = self.keys.iter().find(|key| key.header == header) {
            return Ok(from_ref(key));
        }
        let kid = self.foreign_header(header)?;
        Ok(self.keys.iter().find(|key| kid.as_ref() == Some(&key.id)).map_or(&self.keys, from_ref))
    }

    fn foreign_header(&self, header: &str) -> Result<Option<String>, TokenError> {
        let mut buffer = Buffer::default();
        let members = Members::parse(decode(header, &mut buffer.0)?).map_err(|_| TokenError::MalformedHeader)?;
        if members.get("crit").is_some() {
            return Err(TokenError::Critical);
        }
        if members.text("alg") != Some("HS256") {
            return Err(TokenError::Algorithm);
        }
        // RFC 9068 section 4: with or without the prefix that RFC 7515 section 4.1.9 lets a signer leave out.
        let typ = members.text("typ").map(|typ| typ.strip_prefix("application/").unwrap_or(typ));
        if typ != Some(self.typ) {
            return Err(TokenError::Type);
        }
        match members.get("kid") {
            None => Ok(None),
            Some(_) => members.text("kid").map(|kid| Some(kid.to_owned())).ok_or(TokenError::MalformedHeader),
        }
    }
}

/// Strict base64url: no padding, no foreign character, no bits behind the last byte (RFC 7515 appendix C).
fn decode<'b>(segment: &str, buffer: &'b mut [u8]) -> Result<&'b [u8], TokenError> {
    let length = URL_SAFE_NO_PAD.decode_slice(segment, buffer).map_err(|_| TokenError::Malformed)?;
    Ok(&buffer[..length])
}
