//! What a token of the stack says, how it is signed, and how it is proven.
//!
//! A third service needs this crate alone: it builds a [`Verifier`] from the shared secret, puts a [`BearerAuth`] around it
//! into its application data, and asks for a [`Member`] or an [`Admin`] in a handler's signature. No call per request, no
//! database.
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
//! A token lives until its `exp`, unless the guard is told what was revoked before that: [`BearerAuth::with_revocations`] a list of
//! [`Revocations`].
//!
//! # Features
//!
//! - `actix` (on by default): the extractors for actix-web.
//! - `axum`: the same for axum, in a router whose state is, or gives by `FromRef`, an `Arc<BearerAuth>`.
//! - `revocation`: `Poller`, which keeps a list of [`Revocations`] up to date with auth-service's, over HTTP or HTTPS.
//! - `test-kit`: `TestKit`, which mints tokens for the tests of a service, without a server. For dev-dependencies.
//!
//! Without any of them there is [`BearerAuth::authenticate`], which takes the values of headers and knows no framework.

/// The extractors [`Member`] and [`Admin`] for actix-web, and how a [`Problem`] becomes a response there.
#[cfg(feature = "actix")]
mod actix;
/// How old something is that is followed.
mod age;
/// The same for axum.
#[cfg(feature = "axum")]
mod axum;
/// Who may come in: what the extractors decide, without a web framework.
mod bearer;
/// The wall clock, read in one place.
mod clock;
/// The errors of the stack: status, name, sentence.
mod error_code;
/// JSON objects read strictly: whole, in UTF-8, no name twice.
mod json;
/// Tokens and keys.
mod jwt;
/// Following auth-service's list of what is revoked, in the background.
#[cfg(feature = "revocation")]
mod poll;
/// The one error body of the stack.
mod problem;
/// A revoked session or user, as it is told.
mod revocation;
/// What is known to be revoked, looked up at every request.
mod revocations;
/// What somebody may do.
mod role;
/// Tokens for the tests of a service.
#[cfg(feature = "test-kit")]
mod test_kit;

#[cfg(feature = "axum")]
pub use axum::Checked;
pub use bearer::{Admin, BearerAuth, Member};
pub use error_code::ErrorCode;
pub use json::{Members, NotAnObject, Value};
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
