//! The tokens of the stack: claims, signing, verification, revocation.
//!
//! A service that only verifies tokens needs this crate alone. It builds a [`Verifier`] from the shared secret, puts a
//! [`BearerAuth`] into its application data, and names a [`Member`] or an [`Admin`] in a handler's signature. No
//! request causes a network call or a database query. Each token's `aud` must name the service (auth-service:
//! `ACCESS_TOKEN_AUDIENCE`); otherwise the response is 401.
//!
//! ```
//! use actix_web::{App, HttpResponse, test, web};
//! use shared_claims::{AccessClaims, BearerAuth, Member, Secret, VerifierConfig, Verifier};
//!
//! async fn orders(member: Member) -> HttpResponse {
//!     HttpResponse::Ok().body(format!("orders of {}", member.username))
//! }
//!
//! # #[actix_web::main]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let verifier = Verifier::<AccessClaims>::new(&VerifierConfig {
//!     issuer: "auth-service",
//!     audience: "orders-service",
//!     max_life: std::time::Duration::from_secs(15 * 60),
//!     secret: &Secret::parse("pQ7vXk2mZ9sLr4tYw8bNc3hJf6dGa1eU")?,
//!     previous: None,
//! })?;
//! let auth = web::Data::new(BearerAuth::new(verifier));
//! let app = test::init_service(App::new().app_data(auth).route("/orders", web::get().to(orders))).await;
//!
//! let refused = test::call_service(&app, test::TestRequest::get().uri("/orders").to_request()).await;
//! assert_eq!(refused.status(), 401);
//! # Ok(())
//! # }
//! ```
//!
//! A token is valid until its `exp`. With [`BearerAuth::with_revocations`] it is refused earlier if an entry of
//! [`Revocations`] revokes it.
//!
//! # Features
//!
//! - `actix` (on by default): the extractors for actix-web.
//! - `axum`: the extractors for axum, for a router whose state is an `Arc<BearerAuth>` or provides one through
//!   `FromRef`.
//! - `revocation`: `Poller`, which keeps a list of [`Revocations`] up to date from auth-service, over HTTP or HTTPS.
//! - `test-kit`: `TestKit`, which issues tokens for the tests of a service, without a server. For dev-dependencies.
//!
//! Without any feature, [`BearerAuth::authenticate`] takes header values and depends on no framework.

/// The extractors [`Member`] and [`Admin`] for actix-web, and [`Problem`] as a response.
#[cfg(feature = "actix")]
mod actix;
/// The age of a polled resource.
mod age;
/// The extractors for axum, and the problem as a response.
#[cfg(feature = "axum")]
mod axum;
/// Bearer token authentication, without a web framework.
mod bearer;
/// The wall clock, read in one place.
mod clock;
/// Error codes with their HTTP status and default detail.
mod error_code;
/// Strict parsing of JSON objects: UTF-8, no duplicate names, nothing after the object.
mod json;
/// Tokens and keys.
mod jwt;
/// The background poller of auth-service's revocation list and key set.
#[cfg(feature = "revocation")]
mod poll;
/// The error body (RFC 9457).
mod problem;
/// Entries of the revocation list.
mod revocation;
/// The revocation list in memory, looked up at every request.
mod revocations;
/// Roles.
mod role;
/// Tokens for the tests of a service.
#[cfg(feature = "test-kit")]
mod test_kit;

#[cfg(feature = "axum")]
pub use axum::Checked;
pub use bearer::{Admin, BearerAuth, Member};
pub use error_code::ErrorCode;
pub use json::parse_object;
pub use jwt::{
    AccessClaims, Claims, KeyError, Keyring, LEEWAY, NotAKeySet, PublicKey, PublicKeys, RefreshClaims, Secret,
    SelfTestFailed, SetupError, Signer, SigningKey, TokenError, Verifier, VerifierConfig, WeakSecret, self_test,
};
#[cfg(feature = "revocation")]
pub use poll::{PollError, Poller};
pub use problem::Problem;
pub use revocation::{Revocation, RevocationList};
pub use revocations::Revocations;
pub use role::{Role, UnknownRole};
#[cfg(feature = "test-kit")]
pub use test_kit::TestKit;
