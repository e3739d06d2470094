//! Tokens: claims, signing, verification, keys. The crate `jsonwebtoken` signs, verifies signatures and reads keys;
//! header and claims are parsed here, more strictly.

/// The cache of verified tokens.
mod cache;
/// The claims of the two kinds of token.
mod claims;
/// The reasons why a token is refused, and why a verifier cannot be built.
mod error;
/// Private keys and their public keys.
mod key;
/// The keys that a verifier accepts.
mod keyring;
/// Key generation, and public keys as PEM.
mod pem;
/// The crypto provider for `jsonwebtoken`.
mod provider;
/// The set of public keys that verify tokens.
mod public_keys;
/// The strict parser of the compact serialization: three segments, each with one accepted encoding.
mod read;
/// Signing secrets and their minimum strength.
mod secret;
/// Known-answer tests of the cryptography.
mod self_test;
/// The signer.
mod sign;
/// The verifier.
mod verify;

pub use self::claims::{AccessClaims, Claims, RefreshClaims};
pub use self::error::{SetupError, TokenError};
pub use self::key::{KeyError, PublicKey, SigningKey};
pub use self::keyring::Keyring;
#[cfg(feature = "revocation")]
pub(crate) use self::public_keys::{LONGEST_SET, Published};
pub use self::public_keys::{NotAKeySet, PublicKeys};
pub use self::secret::{Secret, WeakSecret};
pub use self::self_test::{SelfTestFailed, self_test};
pub use self::sign::Signer;
pub use self::verify::{LEEWAY, Verifier, VerifierConfig};
