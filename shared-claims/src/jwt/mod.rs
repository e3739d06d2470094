//! Tokens: which claims they have, how they are signed and verified, and with which keys. The crate `jsonwebtoken` signs, verifies
//! signatures and reads keys; header and claims are read more strictly here than it does.

/// Tokens that were verified before.
mod cache;
/// The claims of the two kinds of token.
mod claims;
/// The reasons for which a token is refused.
mod error;
/// Private keys, and the public halves of them.
mod key;
/// The keys that a verifier accepts.
mod keyring;
/// New keys, and public keys for verifiers that read no JWKS.
mod pem;
/// Cryptography for `jsonwebtoken`.
mod provider;
/// The public keys that count at the moment.
mod public_keys;
/// The compact serialisation: three segments, one spelling.
mod read;
/// Signing secrets that are good enough.
mod secret;
/// Known answers for the cryptography, asked for before it is trusted.
mod self_test;
/// The maker of tokens.
mod sign;
/// The judge of tokens.
mod verify;

pub use self::claims::{AccessClaims, Claims, RefreshClaims};
pub use self::error::TokenError;
pub use self::key::{KeyError, PublicKey, SigningKey};
pub use self::keyring::Keyring;
#[cfg(feature = "revocation")]
pub(crate) use self::public_keys::Published;
pub use self::public_keys::{NotAKeySet, PublicKeys};
pub use self::secret::{Secret, WeakSecret};
pub use self::self_test::{SelfTestFailed, self_test};
pub use self::sign::Signer;
pub use self::verify::{LEEWAY, SetupError, Verifier, VerifierConfig};
