use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::digest::{SHA256, digest};
use secrecy::{ExposeSecret, SecretSlice};

/// RFC 7518 section 3.2: a key for HS256 has at least the size of the hash.
const SHORTEST: usize = 32;

/// Secrets that are printed in tutorials and copied from there. Compared whole, in any case.
const KNOWN: [&str; 14] = [
    "youraccesstokensecret",
    "yourrefreshtokensecrethere",
    "yourrefreshtokensecret",
    "secretkey",
    "temporary - secret",
    "temporary-secret",
    "access-secret",
    "refresh-secret",
    "your_jwt_secret",
    "your-256-bit-secret",
    "a-string-secret-at-least-256-bits-long",
    "your-super-secret-jwt-token-with-at-least-32-characters-long",
    "my-ultra-secure-and-ultra-long-secret",
    "change-me-change-me-change-me-change-me",
];

/// A signing secret: the raw bytes of a text, as Node's `jsonwebtoken` takes them. It cannot be printed.
#[derive(Clone, Debug)]
pub struct Secret(SecretSlice<u8>);

/// Why a text is no signing secret. The message goes behind the name of the setting.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum WeakSecret {
    /// Anybody can know it.
    #[error("is a secret printed in a tutorial; make one with `auth-service keygen`")]
    Published,
    /// It can be guessed from a single token.
    #[error("is shorter than 32 bytes; make one with `auth-service keygen`")]
    Short,
    /// The mark of a careless copy: two services would disagree on it.
    #[error("starts or ends with white space or NUL; remove it")]
    Frayed,
}

impl Secret {
    /// Takes `text` as the secret's bytes.
    ///
    /// # Errors
    /// The text is shorter than 32 bytes, frayed at the ends, or known from a tutorial.
    pub fn parse(text: &str) -> Result<Self, WeakSecret> {
        if KNOWN.contains(&text.trim().to_ascii_lowercase().as_str()) {
            return Err(WeakSecret::Published);
        }
        if text.trim_matches(|c: char| c.is_whitespace() || c == '\0') != text {
            return Err(WeakSecret::Frayed);
        }
        if text.len() < SHORTEST {
            return Err(WeakSecret::Short);
        }
        Ok(Self(SecretSlice::from(text.as_bytes().to_vec())))
    }

    /// Whether both are the same secret; for settings that must differ.
    #[must_use]
    pub fn same_as(&self, other: &Self) -> bool {
        self.bytes() == other.bytes()
    }

    /// What `kid` says in the header of a token that it signed. Nobody gets from there to the secret.
    #[must_use]
    pub fn key_id(&self) -> String {
        URL_SAFE_NO_PAD.encode(&digest(&SHA256, &[b"kid:", self.bytes()].concat()).as_ref()[..8])
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        self.0.expose_secret()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_long_clean_and_our_own() {
        let cases: [(&str, Result<(), WeakSecret>, &str); 8] = [
            ("pQ7vXk2mZ9sLr4tYw8bNc3hJf6dGa1eU", Ok(()), "32 bytes"),
            ("pQ7vXk2mZ9sLr4tYw8bNc3hJf6dGa1e", Err(WeakSecret::Short), "31 bytes"),
            ("", Err(WeakSecret::Short), "empty"),
            ("ééééééééééééééééé", Ok(()), "34 bytes in 17 characters"),
            ("pQ7vXk2mZ9sLr4tYw8bNc3hJf6dGa1eU\n", Err(WeakSecret::Frayed), "a line break from `echo`"),
            ("\0pQ7vXk2mZ9sLr4tYw8bNc3hJf6dGa1eU", Err(WeakSecret::Frayed), "NUL"),
            ("yourAccessTokenSecret", Err(WeakSecret::Published), "a tutorial's, in another case"),
            ("a-string-secret-at-least-256-bits-long", Err(WeakSecret::Published), "a debugger page's"),
        ];
        for (text, expected, why) in cases {
            assert_eq!(Secret::parse(text).map(|_| ()), expected, "{why}");
        }
    }

    #[test]
    fn a_secret_is_not_printed() -> Result<(), WeakSecret> {
        let secret = Secret::parse("pQ7vXk2mZ9sLr4tYw8bNc3hJf6dGa1eU")?;
        assert!(!format!("{secret:?}").contains("pQ7v"));
        Ok(())
    }
}
