//! The crypto provider for `jsonwebtoken`, on ring, which TLS uses too. ECDSA signatures are malleable: (r, s) and (r,
//! n − s) both verify. This provider signs with the lower s and refuses the higher one, so that a token has only one
//! valid form.

use std::cmp::Ordering;

use jsonwebtoken::crypto::{CryptoProvider, JwtSigner, JwtVerifier, KeyUtils};
use jsonwebtoken::errors::{ErrorKind, Result};
use jsonwebtoken::jwk::{EllipticCurve, ThumbprintHash};
use jsonwebtoken::signature::{Error, Signer, Verifier};
use jsonwebtoken::{Algorithm, AlgorithmFamily, DecodingKey, DecodingKeyKind, EncodingKey};
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, ED25519, EcdsaKeyPair, Ed25519KeyPair, KeyPair,
    RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256, RsaKeyPair, RsaPublicKeyComponents, UnparsedPublicKey,
};
use ring::{digest, hmac};
use simple_asn1::ASN1Block;

/// The order n of P-256, and half of it.
const ORDER: [u8; 32] = *b"\xff\xff\xff\xff\0\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff\xbc\xe6\xfa\xad\xa7\x17\x9e\x84\xf3\xb9\xca\xc2\xfc\x63\x25\x51";
const HALF: [u8; 32] = *b"\x7f\xff\xff\xff\x80\0\0\0\x7f\xff\xff\xff\xff\xff\xff\xff\xde\x73\x7d\x56\xd3\x8b\xcf\x42\x79\xdc\xe5\x61\x7e\x31\x92\xa8";

static RING: CryptoProvider = CryptoProvider {
    signer_factory: |algorithm, key| Ok(Box::new(Private { algorithm: *algorithm, key: key.clone() })),
    verifier_factory: |algorithm, key| Ok(Box::new(Public { algorithm: *algorithm, key: key.clone() })),
    key_utils: KeyUtils {
        rsa_pub_components_from_private_key: rsa_components,
        rsa_pub_components_from_public_key: rsa_public_components,
        ec_pub_components_from_private_key: ec_components,
        ed_pub_components_from_private_key: |der, _| Ok(ed_pair(der)?.public_key().as_ref().to_vec()),
        compute_digest,
    },
};

/// Installs ring as the crypto provider of `jsonwebtoken`, unless the process has installed another one. The self-test
/// checks the active one.
pub(super) fn install() {
    let _ = RING.install_default();
}

/// A signing key: a private key, or the secret of HS256.
struct Private {
    algorithm: Algorithm,
    key: EncodingKey,
}

impl Signer<Vec<u8>> for Private {
    fn try_sign(&self, message: &[u8]) -> std::result::Result<Vec<u8>, Error> {
        self.sign(message).map_err(|_| Error::new())
    }
}

impl Private {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>> {
        use AlgorithmFamily as F;
        let (random, key) = (SystemRandom::new(), self.key.as_bytes());
        let failed = |_| ErrorKind::InvalidSignature;
        Ok(match (self.algorithm, self.key.family()) {
            (Algorithm::HS256, F::Hmac) => {
                hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), message).as_ref().to_vec()
            }
            (Algorithm::ES256, F::Ec) => {
                with_low_s(ec_pair(key)?.sign(&random, message).map_err(failed)?.as_ref().to_vec())
            }
            (Algorithm::EdDSA, F::Ed) => ed_pair(key)?.sign(message).as_ref().to_vec(),
            (Algorithm::RS256, F::Rsa) => {
                let pair = rsa_pair(key)?;
                let mut made = vec![0; pair.public().modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &random, message, &mut made).map_err(failed)?;
                made
            }
            _ => return Err(ErrorKind::InvalidAlgorithm.into()),
        })
    }
}

impl JwtSigner for Private {
    fn algorithm(&self) -> Algorithm {
        self.algorithm
    }
}

/// A verifying key: a public key, or the secret of HS256.
struct Public {
    algorithm: Algorithm,
    key: DecodingKey,
}

impl Verifier<Vec<u8>> for Public {
    fn verify(&self, message: &[u8], signature: &Vec<u8>) -> std::result::Result<(), Error> {
        use AlgorithmFamily as F;
        use DecodingKeyKind::{RsaModulusExponent, SecretOrDer};
        let checked = match (self.algorithm, self.key.family(), self.key.kind()) {
            (Algorithm::HS256, F::Hmac, SecretOrDer(secret)) => {
                hmac::verify(&hmac::Key::new(hmac::HMAC_SHA256, secret), message, signature)
            }
            (Algorithm::ES256, F::Ec, SecretOrDer(point)) if has_low_s(signature) => {
                UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).verify(message, signature)
            }
            (Algorithm::EdDSA, F::Ed, SecretOrDer(point)) => {
                UnparsedPublicKey::new(&ED25519, point).verify(message, signature)
            }
            (Algorithm::RS256, F::Rsa, SecretOrDer(der)) => {
                UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, der).verify(message, signature)
            }
            (Algorithm::RS256, F::Rsa, RsaModulusExponent { n, e }) => {
                RsaPublicKeyComponents { n, e }.verify(&RSA_PKCS1_2048_8192_SHA256, message, signature)
            }
            _ => return Err(Error::new()),
        };
        checked.map_err(|_| Error::new())
    }
}

impl JwtVerifier for Public {
    fn algorithm(&self) -> Algorithm {
        self.algorithm
    }
}

fn has_low_s(signature: &[u8]) -> bool {
    signature.len() == 64 && signature[32..].cmp(&HALF) != Ordering::Greater
}

/// Replaces an s above n / 2 by n − s.
fn with_low_s(mut signature: Vec<u8>) -> Vec<u8> {
    if !has_low_s(&signature) {
        let mut borrow = 0;
        for (s, n) in signature[32..].iter_mut().zip(ORDER).rev() {
            let left = 256 + u16::from(n) - u16::from(*s) - borrow;
            borrow = u16::from(left < 256);
            *s = left.to_le_bytes()[0];
        }
    }
    signature
}

fn ec_pair(der: &[u8]) -> Result<EcdsaKeyPair> {
    let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der, &SystemRandom::new());
    pair.map_err(|_| ErrorKind::InvalidEcdsaKey.into())
}

/// Reads an Ed25519 private key with or without its public key, which OpenSSL leaves out.
fn ed_pair(der: &[u8]) -> Result<Ed25519KeyPair> {
    Ed25519KeyPair::from_pkcs8_maybe_unchecked(der).map_err(|_| ErrorKind::InvalidEddsaKey.into())
}

fn rsa_pair(der: &[u8]) -> Result<RsaKeyPair> {
    RsaKeyPair::from_der(der).map_err(|error| ErrorKind::InvalidRsaKey(error.to_string()).into())
}

fn rsa_components(der: &[u8]) -> Result<(Vec<u8>, Vec<u8>)> {
    let public = RsaPublicKeyComponents::<Vec<u8>>::from(rsa_pair(der)?.public());
    Ok((public.n, public.e))
}

/// Modulus and exponent of an `RSAPublicKey` (RFC 8017, appendix A.1.1).
fn rsa_public_components(der: &[u8]) -> Result<(Vec<u8>, Vec<u8>)> {
    let blocks = simple_asn1::from_der(der).unwrap_or_default();
    let [ASN1Block::Sequence(_, members)] = &blocks[..] else { return Err(ErrorKind::InvalidKeyFormat.into()) };
    let [ASN1Block::Integer(_, n), ASN1Block::Integer(_, e)] = &members[..] else {
        return Err(ErrorKind::InvalidKeyFormat.into());
    };
    Ok((n.to_bytes_be().1, e.to_bytes_be().1))
}

fn ec_components(der: &[u8], _: Algorithm) -> Result<(EllipticCurve, Vec<u8>, Vec<u8>)> {
    let pair = ec_pair(der)?;
    let (x, y) = pair.public_key().as_ref()[1..].split_at(32);
    Ok((EllipticCurve::P256, x.to_vec(), y.to_vec()))
}

#[expect(clippy::needless_pass_by_value, reason = "jsonwebtoken asks for it so")]
fn compute_digest(bytes: &[u8], hash: ThumbprintHash) -> Result<Vec<u8>> {
    match hash {
        ThumbprintHash::SHA256 => Ok(digest::digest(&digest::SHA256, bytes).as_ref().to_vec()),
        _ => Err(ErrorKind::UnsupportedAlgorithm.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// n − `s`, big-endian.
    fn twin(s: [u8; 32]) -> Vec<u8> {
        with_low_s([[0; 32], s].concat()).split_off(32)
    }

    #[test]
    fn s_over_half_of_the_order_is_negated() {
        let one = [[0; 31].as_slice(), &[1]].concat();
        let mut last = ORDER;
        last[31] -= 1;
        let mut over = HALF;
        over[31] += 1;
        assert_eq!(twin(HALF), HALF, "the largest low one");
        assert_eq!(twin(over), HALF, "the smallest high one: n is odd");
        assert_eq!(twin(last), one, "n - 1");
    }

    #[test]
    fn es256_signatures_have_a_low_s() -> Result<()> {
        let document = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new());
        let document = document.map_err(|_| ErrorKind::InvalidEcdsaKey)?;
        let key = EncodingKey::from_ec_der(document.as_ref());
        let signer = Private { algorithm: Algorithm::ES256, key };
        for n in 0..64 {
            assert!(has_low_s(&signer.try_sign(&[n]).unwrap_or_default()));
        }
        Ok(())
    }
}
