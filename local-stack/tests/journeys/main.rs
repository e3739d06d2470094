//! Journeys over HTTP through both services, one for each tutorial; local-stack as a program; the settings.
//!
//! Each journey runs through local-stack and, with the feature `all-tests`, through the programs auth-service and
//! books-service with Redis and Postgres. `./test` turns the feature on, starts Redis and Postgres and builds the
//! programs; without `./test`, the latest builds run. `JOURNEY_AUTH_URL` and `JOURNEY_BOOKS_URL` name the only stack.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on stops")]

/// Clients and responses.
mod caller;
/// A program that runs during the test, and a folder for it.
mod process;
/// A stack: two addresses, and the demo users.
mod stack;
/// The stacks that a journey runs through.
mod targets;
/// Tokens, read and forged.
mod tokens;

/// T2, `DigitalOcean`: a random secret, a bearer, an expiry.
mod digital_ocean;
/// T4, Mastering Authentication in Node.js: register, log in, a protected route.
mod mastering_authentication;
/// T1, M. Rizwan Ashiq: register, log in by email, rotation, reuse detection.
mod rizwan_ashiq;
/// T3, `SitePoint`: roles, an issuer, a users API.
mod site_point;
/// T0, Stack Abuse: two services, books, roles, refresh, logout.
mod stack_abuse;

/// The fuzzer's corpus, without the fuzzer.
mod corpus;
/// Kills with -9, and several instances: acknowledged changes are kept, and no user is logged out.
mod deaths;
/// The calls in the `OpenAPI` documents, compared with those that the services serve.
mod documents;
/// The shutdown of local-stack.
mod endings;
/// The fuzzer's properties.
#[path = "../../../fuzz/src/body.rs"]
mod fuzz;
/// Keys of access tokens that are replaced while the services run.
mod keys;
/// local-stack as a program: its first start, its second, and starts that fail.
mod local_stack;
/// Metrics and the rules and dashboards built on them.
mod metrics;
/// Users and books move to another database.
mod moving;
/// Third services in other languages, and other JWT libraries as verifiers.
mod orders;
/// Both services behind `PgBouncer`.
mod pooler;
/// Revoked tokens are refused by all services in time.
mod revocations;
/// Both secrets are replaced under load.
mod secrets;
/// The trace context of a caller in the log.
mod traces;

/// The runbook's backups, taken and restored as it says.
mod backups;
/// The tests that `docs/checklist.md` names, compared with those that exist.
mod checklist;
/// The examples of `docs/clients.md` and README.
mod clients;
/// The commands of README and runbook.
mod commands;
/// Clients made by generators.
mod generated;
/// Links between the documents.
mod links;
/// `requests.http`, sent from top to bottom.
mod requests_file;
/// `.env.example` and docs/settings.md, compared with the settings that the programs read.
mod settings;
