use std::fmt;

use bcrypt_lanes::Hash;

/// A stored password: a bcrypt hash, with the name of the key applied before bcrypt.
///
/// | stored | made of |
/// |---|---|
/// | `fixed:$2b$12$…` | bcrypt of base64 of HMAC-SHA-384 under our fixed text |
/// | `pepper-1f0c22d9:$2b$12$…` | the same under the `PASSWORD_PEPPER` of that name |
/// | `$2a$…`, `$2b$…`, `$2y$…` | plain bcrypt of the first 72 bytes, as Node's `bcrypt` makes it: an import |
///
/// It cannot be turned into a [`NewPassword`](super::NewPassword); `Debug` shows neither salt nor hash.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash {
    stored: String,
    hash: Hash,
}

/// The reason why a text is not a stored password. Never quotes the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidHash {
    /// Plain text, another algorithm, or a truncated hash.
    #[error("is not a bcrypt hash ($2a$, $2b$ or $2y$, 60 characters)")]
    NotBcrypt,
    /// The part before the colon is not a key name.
    #[error("was made with a key of unknown name")]
    UnknownKey,
}

/// The name of the key that is used without a pepper.
pub(super) const FIXED: &str = "fixed";
/// The prefix of a pepper's name; eight hex digits follow.
pub(super) const PEPPER: &str = "pepper-";

impl PasswordHash {
    /// Parses a stored password, or a plain bcrypt hash.
    ///
    /// # Errors
    /// The text is neither.
    pub fn parse(stored: impl Into<String>) -> Result<Self, InvalidHash> {
        let stored = stored.into();
        let (key, bcrypt) = split(&stored);
        if !key.is_none_or(is_key_name) {
            return Err(InvalidHash::UnknownKey);
        }
        let hash = Hash::parse(bcrypt).ok_or(InvalidHash::NotBcrypt)?;
        Ok(Self { stored, hash })
    }

    /// The text for the database.
    #[must_use]
    pub fn as_stored(&self) -> &str {
        &self.stored
    }

    /// Its bcrypt cost.
    #[must_use]
    pub const fn cost(&self) -> u32 {
        self.hash.cost()
    }

    /// True if both are hashes of the same password: equal, or one a rewrite of the other. A new password has a new
    /// salt; a rewrite with another cost or key keeps the salt.
    pub(crate) fn is_of_the_same_password(&self, other: &Self) -> bool {
        self == other || (!self.is_plain() && !other.is_plain() && self.hash.salt() == other.hash.salt())
    }

    /// True for an imported hash without a key.
    pub(super) fn is_plain(&self) -> bool {
        self.key().is_none()
    }

    /// The key's name; `None` for a plain import.
    pub(super) fn key(&self) -> Option<&str> {
        split(&self.stored).0
    }

    pub(super) const fn bcrypt(&self) -> &Hash {
        &self.hash
    }
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PasswordHash({}, cost {})", self.key().unwrap_or("plain"), self.cost())
    }
}

fn split(stored: &str) -> (Option<&str>, &str) {
    stored.split_once(':').map_or((None, stored), |(key, bcrypt)| (Some(key), bcrypt))
}

fn is_key_name(name: &str) -> bool {
    let hex = |id: &str| id.len() == 8 && id.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    name == FIXED || name.strip_prefix(PEPPER).is_some_and(hex)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: &str = "$2b$04$uvuBjaGkDowoTbW6Vvf03eq.GaLGs.1YyY34ZuHoo2W13VnkNlrkK";

    #[test]
    fn stored_hash_parses_to_the_same_hash() {
        for key in ["", "fixed:", "pepper-1f0c22d9:"] {
            let stored = format!("{key}{PLAIN}");
            let hash = PasswordHash::parse(stored.clone()).unwrap();
            assert_eq!((hash.as_stored(), hash.cost()), (stored.as_str(), 4));
            assert!(hash.bcrypt() == &Hash::parse(PLAIN).unwrap());
        }
    }

    #[test]
    fn text_that_is_no_hash_is_refused() {
        let cases = [
            (String::new(), InvalidHash::NotBcrypt, "empty"),
            ("Password@123".into(), InvalidHash::NotBcrypt, "plain text"),
            ("sha1$8b6a3e2f$1$4d0c9b".into(), InvalidHash::NotBcrypt, "npm's password-hash"),
            (PLAIN[..59].into(), InvalidHash::NotBcrypt, "cut short"),
            (format!("{PLAIN} "), InvalidHash::NotBcrypt, "white space"),
            (PLAIN.replace("$2b$", "$2x$"), InvalidHash::NotBcrypt, "a broken implementation's"),
            (PLAIN.replace("$04$", "$03$"), InvalidHash::NotBcrypt, "cost 3"),
            (PLAIN.replace("$04$", "$32$"), InvalidHash::NotBcrypt, "cost 32"),
            (PLAIN.replace("$04$", "$+4$"), InvalidHash::NotBcrypt, "a cost with a sign"),
            (format!("Fixed:{PLAIN}"), InvalidHash::UnknownKey, "a key's name in another case"),
            (format!("pepper-1F0C22D9:{PLAIN}"), InvalidHash::UnknownKey, "a pepper's name in another case"),
            (format!("pepper-:{PLAIN}"), InvalidHash::UnknownKey, "a pepper without name"),
            (format!(":{PLAIN}"), InvalidHash::UnknownKey, "no name"),
        ];
        for (text, expected, why) in cases {
            assert_eq!(PasswordHash::parse(text), Err(expected), "{why}");
        }
    }

    #[test]
    fn rewritten_hash_is_distinguished_from_a_new_password() {
        let hash = |text: String| PasswordHash::parse(text).unwrap();
        let [ours, plain] = ["fixed:", ""].map(|key| hash(format!("{key}{PLAIN}")));
        let rewrite = hash(format!("pepper-1f0c22d9:{}", PLAIN.replace("$04$", "$05$")));
        let other = hash(format!("fixed:{}", PLAIN.replace("uvuB", "uvuC")));
        assert!(ours.is_of_the_same_password(&ours) && ours.is_of_the_same_password(&rewrite));
        assert!(plain.is_of_the_same_password(&plain));
        assert!(!ours.is_of_the_same_password(&other));
        assert!(!ours.is_of_the_same_password(&plain), "the salts of an import may all be one");
    }

    #[test]
    fn a_hash_is_not_printed() {
        let hash = PasswordHash::parse(format!("fixed:{PLAIN}")).unwrap();
        assert_eq!(format!("{hash:?}"), "PasswordHash(fixed, cost 4)");
    }
}
