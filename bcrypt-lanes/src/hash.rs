use base64::Engine;
use base64::alphabet::BCRYPT;
use base64::engine::general_purpose::{GeneralPurpose, NO_PAD};

const BASE64: GeneralPurpose = GeneralPurpose::new(&BCRYPT, NO_PAD);

/// A bcrypt hash: cost, salt and digest.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Hash {
    cost: u32,
    salt: [u8; 16],
    pub(crate) digest: [u8; 23],
}

impl Hash {
    /// Parses `$2a$`, `$2b$` or `$2y$`, two digits for a cost of 4 to 31, `$`, and salt and digest in the base64 of
    /// bcrypt, 60 characters in all. `$2x$` marks hashes of a broken implementation, which cannot be verified.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (version, rest) = text.split_at_checked(4)?;
        let (cost, rest) = rest.split_at_checked(2)?;
        let (salt, digest) = rest.strip_prefix('$')?.split_at_checked(22)?;
        if !["$2a$", "$2b$", "$2y$"].contains(&version) || !cost.bytes().all(|digit| digit.is_ascii_digit()) {
            return None;
        }
        let cost = cost.parse().ok().filter(|cost| (4..=31).contains(cost))?;
        Some(Self { cost, salt: decode(salt)?, digest: decode(digest)? })
    }

    /// The binary logarithm of the number of rounds, 4 to 31.
    #[must_use]
    pub const fn cost(&self) -> u32 {
        self.cost
    }

    /// The salt.
    #[must_use]
    pub const fn salt(&self) -> [u8; 16] {
        self.salt
    }
}

/// Decodes exactly `N` bytes. Unused bits of the last character must be 0.
fn decode<const N: usize>(text: &str) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    let length = BASE64.decode_slice(text, &mut bytes).ok()?;
    (length == N).then_some(bytes)
}
