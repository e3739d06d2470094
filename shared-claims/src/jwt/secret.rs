use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::digest::{SHA256, digest};
use secrecy::{ExposeSecret, SecretSlice};

/// The minimum length in bytes: a key for HS256 is at least as long as the hash (RFC 7518 section 3.2).
const SHORTEST: usize = 32;

/// Secrets printed in tutorials. They are compared as a whole, ignoring case.
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

/// A signing secret: the UTF-8 bytes of a text, as in Node's `jsonwebtoken`. Its value cannot be printed.
#[derive(Clone, Debug)]
pub struct Secret(SecretSlice<u8>);

/// The reason why a text is not accepted as a signing secret. The message follows the name of the setting.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum WeakSecret {
    /// The secret is printed in a tutorial.
    #[error("is a secret printed in a tutorial; make one with `auth-service keygen`")]
    Published,
    /// The secret is too short: it can be guessed from a single token.
    #[error("is shorter than 32 bytes; make one with `auth-service keygen`")]
    Short,
    /// The text starts or ends with white space or NUL, as after careless copying: services may disagree on it.
    #[error("starts or ends with white space or NUL; remove it")]
    Frayed,
}

impl Secret {
    /// Parses a secret.
    ///
    /// # Errors
    /// The text is shorter than 32 bytes, begins or ends with white space or NUL, or is printed in a tutorial.
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

    /// True if both are the same secret. The duration of the comparison does not depend on where they differ.
    #[must_use]
    pub fn same_as(&self, other: &Self) -> bool {
        let [one, two] = [self, other].map(|secret| digest(&SHA256, secret.bytes()));
        one.as_ref() == two.as_ref()
    }

    /// The `kid` of the tokens signed with this secret. It does not reveal the secret.
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
