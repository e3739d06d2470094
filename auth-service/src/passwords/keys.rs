use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretSlice, SecretString};
use sha2::Sha384;

use super::hash::{FIXED, PEPPER};

/// The key without a pepper. It is not secret: it only makes our hashes differ from those of other programs.
const FIXED_TEXT: &[u8] = b"auth-service password 1";
/// The minimum length of a pepper in bytes; a shorter one can be guessed together with the passwords.
const SHORTEST_PEPPER: usize = 16;

/// The key of the HMAC before bcrypt, which by itself truncates its input at 72 bytes and forbids NUL. Its name is part
/// of each hash. A pepper is a key outside the database, so that stolen hashes alone are useless.
#[derive(Debug)]
pub struct Key {
    name: String,
    bytes: SecretSlice<u8>,
}

impl Key {
    /// Uses the bytes of `text` as they are, as a pepper, and derives its name from them.
    ///
    /// # Errors
    /// It has fewer than 16 bytes.
    pub fn parse(text: &SecretString) -> Result<Self, &'static str> {
        let bytes = text.expose_secret().as_bytes();
        if bytes.len() < SHORTEST_PEPPER {
            return Err("is shorter than 16 bytes; 64 random hex digits are a good one");
        }
        let [a, b, c, d, ..] = mac(bytes, b"the name of this pepper");
        let name = format!("{PEPPER}{:08x}", u32::from_be_bytes([a, b, c, d]));
        Ok(Self { name, bytes: bytes.to_vec().into() })
    }

    pub(super) fn fixed() -> Self {
        Self { name: FIXED.into(), bytes: FIXED_TEXT.to_vec().into() }
    }

    /// The part before the colon in a stored hash.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Derives 64 characters from any password.
    pub(super) fn derive(&self, text: &str) -> String {
        STANDARD.encode(mac(self.bytes.expose_secret(), text.as_bytes()))
    }
}

fn mac(key: &[u8], text: &[u8]) -> [u8; 48] {
    #[expect(clippy::expect_used, reason = "RFC 2104: a key may have any length")]
    let mut mac = Hmac::<Sha384>::new_from_slice(key).expect("any length");
    mac.update(text);
    mac.finalize().into_bytes().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn derived_input_fits_into_bcrypt() {
        for text in [String::new(), "\0".repeat(1024), "é".repeat(512)] {
            let derived = Key::fixed().derive(&text);
            assert_eq!(derived.len(), 64);
            assert!(!derived.contains('\0'));
        }
    }

    /// Stored passwords depend on this value. Checked with `openssl dgst -sha384 -hmac`.
    #[test]
    fn key_derivation_matches_a_known_value() {
        assert_eq!(
            Key::fixed().derive("correct horse battery staple"),
            "ynzUyYRkkNLHd6T/SISQ+pH5P+/D0iXn97PCep6zW9AtJkYvmA6D2wFc6Mj+3W6W"
        );
    }
}
