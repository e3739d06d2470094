use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::errors::Result as JwtResult;
use jsonwebtoken::jwk::{
    AlgorithmParameters, EllipticCurve, Jwk, KeyAlgorithm, KeyOperations, PublicKeyUse, ThumbprintHash,
};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey};

use super::{Secret, SetupError, provider};

/// The y coordinates of the points of Ed25519 with order 8 or less, little-endian, without the sign bit of x.
/// Signatures under such a key can be forged.
const SMALL_ORDER: [[u8; 32]; 7] = [
    filled(0x00, 0x00, 0x00),
    filled(0x01, 0x00, 0x00),
    *b"\x26\xe8\x95\x8f\xc2\xb2\x27\xb0\x45\xc3\xf4\x89\xf2\xef\x98\xf0\xd5\xdf\xac\x05\xd3\xc6\x33\x39\xb1\x38\x02\x88\x6d\x53\xfc\x05",
    *b"\xc7\x17\x6a\x70\x3d\x4d\xd8\x4f\xba\x3c\x0b\x76\x0d\x10\x67\x0f\x2a\x20\x53\xfa\x2c\x39\xcc\xc6\x4e\xc7\xfd\x77\x92\xac\x03\x7a",
    filled(0xec, 0xff, 0x7f),
    filled(0xed, 0xff, 0x7f),
    filled(0xee, 0xff, 0x7f),
];

/// `first`, thirty times `middle`, `last`.
const fn filled(first: u8, middle: u8, last: u8) -> [u8; 32] {
    let mut bytes = [middle; 32];
    (bytes[0], bytes[31]) = (first, last);
    bytes
}

/// The reason why a PEM text is not an accepted key. The message follows the name of the setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "a variant without a text has its message")]
pub enum KeyError {
    #[error("is no PEM; make a key with `auth-service keygen --algorithm ES256 FILE`")]
    NotPem,
    #[error("is encrypted, and no start asks for a password: openssl pkey -in OLD -out NEW")]
    Encrypted,
    /// The key is in SEC 1 or PKCS#1 form.
    #[error("is not in PKCS#8: openssl pkcs8 -topk8 -nocrypt -in OLD -out NEW")]
    NotPkcs8,
    #[error("is a public key, which cannot sign; the private one must stand here")]
    Public,
    /// Another curve, an RSA key of another length, or a malformed key.
    #[error("is no key on P-256 (ES256) or Ed25519 (EdDSA), and no RSA key of 2048 to 8192 bits (RS256)")]
    Unsupported,
}

/// A key that signs tokens: a shared secret or a private key.
#[derive(Clone, Debug)]
pub struct SigningKey {
    pub(super) algorithm: Algorithm,
    pub(super) kid: String,
    pub(super) signing: EncodingKey,
    public: Option<PublicKey>,
}

/// A key that verifies the tokens of one private key. Its `kid` is its SHA-256 thumbprint (RFC 7638), or the name in a
/// foreign JWKS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicKey {
    pub(super) algorithm: Algorithm,
    pub(super) jwk: Jwk,
}

/// A verifying key with its `kid` and its algorithm.
#[derive(Clone, Debug)]
pub(super) struct VerifyingKey {
    pub(super) kid: String,
    pub(super) algorithm: Algorithm,
    pub(super) verifying: DecodingKey,
}

impl SigningKey {
    /// Reads a private key from one PEM block in PKCS#8: P-256 signs ES256, Ed25519 signs `EdDSA`, RSA signs RS256.
    ///
    /// # Errors
    /// The text is not such a key.
    pub fn from_pem(text: &str) -> Result<Self, KeyError> {
        provider::install();
        check_form(text)?;
        if text.contains("-BEGIN PUBLIC KEY-") {
            return Err(KeyError::Public);
        }
        let pem = text.as_bytes();
        let (algorithm, signing) = EncodingKey::from_ec_pem(pem)
            .map(|key| (Algorithm::ES256, key))
            .or_else(|_| EncodingKey::from_ed_pem(pem).map(|key| (Algorithm::EdDSA, key)))
            .or_else(|_| EncodingKey::from_rsa_pem(pem).map(|key| (Algorithm::RS256, key)))
            .map_err(|_| KeyError::Unsupported)?;
        let jwk = Jwk::from_encoding_key(&signing, algorithm).map_err(|_| KeyError::Unsupported)?;
        let public = PublicKey::named(jwk).ok_or(KeyError::Unsupported)?;
        Ok(Self { algorithm, kid: public.key_id().to_owned(), signing, public: Some(public) })
    }

    pub(super) fn from_secret(secret: &Secret) -> Result<Self, SetupError> {
        let signing = EncodingKey::from_secret(secret.bytes()).map_err(|_| SetupError::Key)?;
        Ok(Self { algorithm: Algorithm::HS256, kid: secret.key_id(), signing, public: None })
    }

    /// The public key; `None` for a secret.
    #[must_use]
    pub const fn public(&self) -> Option<&PublicKey> {
        self.public.as_ref()
    }
}

impl PublicKey {
    /// Reads the public keys of all PEM blocks of `text`; each block is a private or a public key.
    ///
    /// # Errors
    /// A block is not an accepted key.
    pub fn all_from_pem(text: &str) -> Result<Vec<Self>, KeyError> {
        provider::install();
        if text.is_empty() {
            return Ok(Vec::new());
        }
        check_form(text)?;
        let blocks = text.split("-----BEGIN ").skip(1).map(|block| format!("-----BEGIN {block}"));
        blocks.map(|block| Self::from_pem(&block)).collect()
    }

    fn from_pem(block: &str) -> Result<Self, KeyError> {
        if !block.contains("-BEGIN PUBLIC KEY-") {
            return SigningKey::from_pem(block)?.public.ok_or(KeyError::Unsupported);
        }
        let pem = block.as_bytes();
        let (algorithm, key) = DecodingKey::from_ec_pem(pem)
            .map(|key| (Algorithm::ES256, key))
            .or_else(|_| DecodingKey::from_ed_pem(pem).map(|key| (Algorithm::EdDSA, key)))
            .or_else(|_| DecodingKey::from_rsa_pem(pem).map(|key| (Algorithm::RS256, key)))
            .map_err(|_| KeyError::Unsupported)?;
        let jwk = Jwk::from_decoding_key(&key, Some(algorithm)).map_err(|_| KeyError::Unsupported)?;
        Self::named(jwk).ok_or(KeyError::Unsupported)
    }

    /// Adds the `kid` and the `use` that the published set contains.
    fn named(mut jwk: Jwk) -> Option<Self> {
        jwk.common.key_id = Some(jwk.thumbprint(ThumbprintHash::SHA256).ok()?);
        jwk.common.public_key_use = Some(PublicKeyUse::Signature);
        Self::of(jwk)
    }

    /// A key of a JWKS, if it is usable here: it has a `kid`, is for signatures, and its algorithm, type, curve and
    /// length fit together.
    pub(super) fn of(jwk: Jwk) -> Option<Self> {
        use AlgorithmParameters::{EllipticCurve as Ec, OctetKeyPair, RSA};
        let common = &jwk.common;
        let is_for_signatures = matches!(common.public_key_use, None | Some(PublicKeyUse::Signature))
            && common.key_operations.as_ref().is_none_or(|operations| operations.contains(&KeyOperations::Verify));
        let algorithm = match (common.key_algorithm?, &jwk.algorithm) {
            (KeyAlgorithm::ES256, Ec(key)) if key.curve == EllipticCurve::P256 => {
                (bytes(&key.x)?.len() == 32 && bytes(&key.y)?.len() == 32).then_some(Algorithm::ES256)
            }
            (KeyAlgorithm::EdDSA, OctetKeyPair(key)) if key.curve == EllipticCurve::Ed25519 => {
                let mut y: [u8; 32] = bytes(&key.x)?.try_into().ok()?;
                y[31] &= 0x7f;
                (!SMALL_ORDER.contains(&y)).then_some(Algorithm::EdDSA)
            }
            (KeyAlgorithm::RS256, RSA(key)) => {
                let n = bytes(&key.n)?;
                let is_long = (256..=1024).contains(&n.len()) && n[0] != 0;
                (is_long && !bytes(&key.e)?.is_empty()).then_some(Algorithm::RS256)
            }
            _ => None,
        }?;
        let has_name = common.key_id.as_ref().is_some_and(|kid| !kid.is_empty());
        (is_for_signatures && has_name).then_some(Self { algorithm, jwk })
    }

    /// The key's id, as in the header parameter `kid`.
    #[must_use]
    pub fn key_id(&self) -> &str {
        self.jwk.common.key_id.as_deref().unwrap_or_default()
    }

    /// `ES256`, `EdDSA` or `RS256`.
    #[must_use]
    pub fn algorithm(&self) -> &'static str {
        match self.algorithm {
            Algorithm::EdDSA => "EdDSA",
            Algorithm::RS256 => "RS256",
            _ => "ES256",
        }
    }

    pub(super) fn verifying(&self) -> JwtResult<DecodingKey> {
        DecodingKey::from_jwk(&self.jwk)
    }
}

/// Rejects text that is not PEM in PKCS#8, with the reason.
fn check_form(text: &str) -> Result<(), KeyError> {
    match text {
        _ if !text.trim_start().starts_with("-----BEGIN ") => Err(KeyError::NotPem),
        _ if text.contains("-BEGIN ENCRYPTED PRIVATE KEY-") || text.contains("Proc-Type: 4,ENCRYPTED") => {
            Err(KeyError::Encrypted)
        }
        _ if text.contains("-BEGIN EC PRIVATE KEY-") || text.contains("-BEGIN RSA PRIVATE KEY-") => {
            Err(KeyError::NotPkcs8)
        }
        _ => Ok(()),
    }
}

fn bytes(text: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok()
}
