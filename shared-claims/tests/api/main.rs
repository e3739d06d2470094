//! The verifier and the extractors under attack. Tokens are minted by hand, so that a fault of the signer cannot hide
//! one of the verifier; what the signer makes is read by hand, by Node and by the crate `jsonwebtoken`.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on stops")]

/// Tokens that are signed with a private key.
mod algorithms;
/// Bodies that arrive long after their heads.
#[cfg(feature = "actix")]
mod arrival;
/// Caches, redirects and slow ways between a verifier and auth-service.
#[cfg(all(feature = "actix", feature = "revocation"))]
mod between;
/// The claims: which there must be, and of which type.
mod claims;
/// The fuzzer's corpus, without the fuzzer.
mod corpus;
/// A member's door and an admin's, on each framework.
#[cfg(feature = "actix")]
mod doors;
/// Following over HTTPS.
#[cfg(feature = "revocation")]
mod encryption;
/// Revoked tokens over HTTP.
#[cfg(feature = "actix")]
mod ended;
/// Accepted and refused requests over HTTP.
#[cfg(feature = "actix")]
mod extractors;
/// Tokens made by hand, and the verifier they are shown to.
mod forge;
/// The fuzzer's properties.
#[path = "../../../fuzz/src/verifier.rs"]
mod fuzz;
/// The header: algorithm, type, `crit`.
mod header;
/// Log-ins, revocations and polls in any order.
mod interleavings;
/// Header and claims as JSON texts: one object, no name twice.
mod json;
/// Which key a token is proven with, whatever its header says.
mod keys;
/// At most 4096 bytes.
mod length;
/// Tokens to and from Node's `jsonwebtoken`.
mod node;
/// Log lines of an outage.
#[cfg(feature = "revocation")]
mod outage;
/// `iss` and `aud`.
mod parties;
/// Following public keys over HTTP.
#[cfg(feature = "revocation")]
mod polled_keys;
/// Following a list over HTTP: good days and bad days.
#[cfg(feature = "revocation")]
mod polling;
/// Properties of changed tokens and of random text.
mod properties;
/// Public keys: PEM blocks and published sets.
mod published;
/// The headers that may carry a token.
#[cfg(feature = "actix")]
mod request;
/// Lookups in the revocation list.
mod revoked;
/// A service with two doors.
#[cfg(feature = "actix")]
mod server;
/// The signer's output.
mod signer;
/// Three segments of strict base64url.
mod spelling;
/// A server of a revocation list, which can misbehave.
#[cfg(feature = "revocation")]
mod teller;
/// The crate `jsonwebtoken` as a second verifier of accepted tokens.
mod third_opinion;
/// `exp`, `iat`, `nbf`, to the second.
mod times;
/// Strings, numbers and depths that JSON does not have.
mod values;
/// The JSON of revocations.
mod wire;
