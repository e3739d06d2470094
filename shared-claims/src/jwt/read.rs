use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::Algorithm;
use jsonwebtoken::crypto::verify;
use serde_json::Value;

use super::key::VerifyingKey;
use super::keyring::Keyring;
use crate::TokenError;
use crate::json::{parse_object, text};

/// The longest accepted token, in bytes.
const LONGEST: usize = 4096;

/// Space for any decoded segment of a token.
pub(super) type Buffer = [u8; LONGEST / 4 * 3];

/// The header parameters that concern the signature.
struct Header {
    algorithm: Algorithm,
    kid: Option<String>,
}

impl Keyring {
    /// Verifies the signature and the `typ` of `token`, and returns its claims as the signed bytes.
    pub(super) fn open<'b>(&self, token: &str, typ: &str, buffer: &'b mut Buffer) -> Result<&'b [u8], TokenError> {
        if token.len() > LONGEST {
            return Err(TokenError::TooLong);
        }
        let (message, signature) = token.rsplit_once('.').ok_or(TokenError::Malformed)?;
        let two = message.split_once('.').filter(|(_, claims)| !claims.contains('.'));
        let (header, claims) = two.ok_or(TokenError::Malformed)?;
        decode(signature, &mut buffer[..=self.longest_signature()])?;
        let header = read_header(decode(header, buffer)?, typ)?;
        let made = |key: &VerifyingKey| {
            verify(signature, message.as_bytes(), &key.verifying, header.algorithm).is_ok_and(|is_made| is_made)
        };
        let is_made = match header.algorithm {
            Algorithm::HS256 => self.secrets(header.kid.as_deref())?.iter().any(made),
            public => made(&self.public_key(public, header.kid.as_deref())?),
        };
        if is_made { decode(claims, buffer) } else { Err(TokenError::Signature) }
    }
}

/// Reads the header. Its keys and URLs (`jwk`, `jku`, `x5u`) are never used.
fn read_header(json: &[u8], typ: &str) -> Result<Header, TokenError> {
    let members = parse_object(json).ok_or(TokenError::MalformedHeader)?;
    if members.get("crit").is_some() || members.get("b64") == Some(&Value::Bool(false)) {
        return Err(TokenError::Critical);
    }
    let algorithm = match text(&members, "alg") {
        Some("HS256") => Algorithm::HS256,
        Some("ES256") => Algorithm::ES256,
        Some("EdDSA") => Algorithm::EdDSA,
        Some("RS256") => Algorithm::RS256,
        _ => return Err(TokenError::Algorithm),
    };
    // `typ` may have the prefix `application/` (RFC 9068 section 4, RFC 7515 section 4.1.9).
    let said = text(&members, "typ").map(|typ| typ.strip_prefix("application/").unwrap_or(typ));
    if said != Some(typ) {
        return Err(TokenError::Type);
    }
    let kid = match members.get("kid") {
        None => None,
        Some(_) => Some(text(&members, "kid").ok_or(TokenError::MalformedHeader)?.to_owned()),
    };
    Ok(Header { algorithm, kid })
}

/// Strict base64url: no padding, no other character, no trailing bits (RFC 7515 appendix C).
fn decode<'b>(segment: &str, buffer: &'b mut [u8]) -> Result<&'b [u8], TokenError> {
    let length = URL_SAFE_NO_PAD.decode_slice(segment, buffer).map_err(|_| TokenError::Malformed)?;
    Ok(&buffer[..length])
}
