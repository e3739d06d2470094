use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jsonwebtoken::jwk::AlgorithmParameters;
use ring::rand::{SecureRandom, SystemRandom};
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use simple_asn1::{ASN1Block, BigUint, oid, to_der};

use super::{PublicKey, SigningKey};

/// The DER prefix of the 32 bytes of an Ed25519 private key in PKCS#8 (RFC 8410 section 7).
const ED25519_PKCS8: [u8; 16] = *b"\x30\x2e\x02\x01\x00\x30\x05\x06\x03\x2b\x65\x70\x04\x22\x04\x20";
/// The DER prefix of the 32 bytes of an Ed25519 public key.
const ED25519_SPKI: [u8; 12] = *b"\x30\x2a\x30\x05\x06\x03\x2b\x65\x70\x03\x21\x00";
/// The DER prefix of x and y of a P-256 public key (RFC 5480 section 2).
const P256_SPKI: [u8; 27] =
    *b"\x30\x59\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07\x03\x42\x00\x04";

impl SigningKey {
    /// Generates a private key for `ES256` or `EdDSA`, as PEM in PKCS#8; `None` for another algorithm, or if the system
    /// provides no random bytes.
    #[must_use]
    pub fn generate_pem(algorithm: &str) -> Option<String> {
        let random = SystemRandom::new();
        let der = match algorithm {
            "ES256" => EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).ok()?.as_ref().to_vec(),
            // Without the public key inside: every reader derives it, and some accept only this form.
            "EdDSA" => {
                let mut key = [0; 32];
                random.fill(&mut key).ok()?;
                [&ED25519_PKCS8[..], &key].concat()
            }
            _ => return None,
        };
        Some(pem("PRIVATE KEY", &der))
    }
}

impl PublicKey {
    /// The key as PEM (`SubjectPublicKeyInfo`), for verifiers that do not read a JWKS.
    #[must_use]
    pub fn pem(&self) -> Option<String> {
        let bytes = |text: &String| URL_SAFE_NO_PAD.decode(text).ok();
        let der = match &self.jwk.algorithm {
            AlgorithmParameters::EllipticCurve(key) => [P256_SPKI.to_vec(), bytes(&key.x)?, bytes(&key.y)?].concat(),
            AlgorithmParameters::OctetKeyPair(key) => [ED25519_SPKI.to_vec(), bytes(&key.x)?].concat(),
            AlgorithmParameters::RSA(key) => rsa(&bytes(&key.n)?, &bytes(&key.e)?)?,
            _ => return None,
        };
        Some(pem("PUBLIC KEY", &der))
    }
}

/// The `SubjectPublicKeyInfo` of an RSA key (RFC 3279 section 2.3.1).
fn rsa(n: &[u8], e: &[u8]) -> Option<Vec<u8>> {
    use ASN1Block::{BitString, Integer, Null, ObjectIdentifier, Sequence};
    let numbers = [n, e].map(|number| Integer(0, BigUint::from_bytes_be(number).into()));
    let key = to_der(&Sequence(0, numbers.to_vec())).ok()?;
    let algorithm = Sequence(0, vec![ObjectIdentifier(0, oid!(1, 2, 840, 113_549, 1, 1, 1)), Null(0)]);
    to_der(&Sequence(0, vec![algorithm, BitString(0, key.len() * 8, key)])).ok()
}

fn pem(label: &str, der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let lines: Vec<&str> = text.as_bytes().chunks(64).filter_map(|line| str::from_utf8(line).ok()).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}
