//! The verifier and the extractors under attack. The tests mint tokens by hand, so that a fault of the signer cannot
//! hide one of the verifier. The signer's tokens are read by hand, by Node and by the crate `jsonwebtoken`.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on stops")]

/// Tokens that are signed with a private key.
mod algorithms;
/// Request bodies that arrive long after their headers.
#[cfg(feature = "actix")]
mod arrival;
/// Caches, redirects and slow connections between a verifier and auth-service.
#[cfg(all(feature = "actix", feature = "revocation"))]
mod between;
/// The claims: required members and types.
mod claims;
/// The fuzzer's corpus, without the fuzzer.
mod corpus;
/// The test service on each framework: routes for members and for admins.
#[cfg(feature = "actix")]
mod doors;
/// Polling over HTTPS.
#[cfg(feature = "revocation")]
mod encryption;
/// Revoked tokens over HTTP.
#[cfg(feature = "actix")]
mod ended;
/// Accepted and refused requests over HTTP.
#[cfg(feature = "actix")]
mod extractors;
/// Tokens made by hand, and the verifier that they are tested with.
mod forge;
/// The fuzzer's properties.
#[path = "../../../fuzz/src/verifier.rs"]
mod fuzz;
/// The header: algorithm, type, `crit`.
mod header;
/// Logins, revocations and polls in any order.
mod interleavings;
/// Header and claims as JSON texts: one object, no duplicate names.
mod json;
/// The key that verifies a token, whatever its header names.
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
/// Polling public keys over HTTP.
#[cfg(feature = "revocation")]
mod polled_keys;
/// Polling a revocation list over HTTP, with and without failures.
#[cfg(feature = "revocation")]
mod polling;
/// Properties of changed tokens and of random text.
mod properties;
/// Public keys: PEM blocks and JWK sets.
mod published;
/// The headers that may carry a token.
#[cfg(feature = "actix")]
mod request;
/// Lookups in the revocation list.
mod revoked;
/// A client of the test service.
#[cfg(feature = "actix")]
mod server;
/// The signer's output.
mod signer;
/// Three segments of strict base64url.
mod spelling;
/// A server of a revocation list that can misbehave.
#[cfg(feature = "revocation")]
mod teller;
/// The crate `jsonwebtoken` as a second verifier of accepted tokens.
mod third_opinion;
/// `exp`, `iat`, `nbf`, to the second.
mod times;
/// Invalid strings, invalid numbers and too deep nesting.
mod values;
/// The JSON of revocations.
mod wire;
