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
/// What the fuzzer begins with, without the fuzzer.
mod corpus;
/// A member's door and an admin's, on each framework.
#[cfg(feature = "actix")]
mod doors;
/// Following over HTTPS.
#[cfg(feature = "revocation")]
mod encryption;
/// Who is shut out over HTTP though the token is good.
#[cfg(feature = "actix")]
mod ended;
/// Who is let in over HTTP, and what the others are told.
#[cfg(feature = "actix")]
mod extractors;
/// Tokens made by hand, and the verifier they are shown to.
mod forge;
/// What the fuzzer asks of each input.
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
/// What stands in the log of an outage.
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
/// Every change to a token, and texts that nobody thought of.
mod properties;
/// Public keys: PEM blocks and published sets.
mod published;
/// Where a request may carry its token.
#[cfg(feature = "actix")]
mod request;
/// What a list of revocations says of a token.
mod revoked;
/// A service with two doors.
#[cfg(feature = "actix")]
mod server;
/// What the signer makes.
mod signer;
/// Three segments of strict base64url.
mod spelling;
/// A server that tells what is revoked, and can misbehave.
#[cfg(feature = "revocation")]
mod teller;
/// What the crate `jsonwebtoken` says of the tokens that are accepted here.
mod third_opinion;
/// `exp`, `iat`, `nbf`, to the second.
mod times;
/// Strings, numbers and depths that JSON does not have.
mod values;
/// How revocations are written.
mod wire;
