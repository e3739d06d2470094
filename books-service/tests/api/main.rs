//! The HTTP contract of books-service, asked over TCP of the service that production starts, on every database.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on stops")]

/// Roles and routes.
mod access;
/// Revocations: while a body arrives, and before a first list.
mod arrival;
/// Bodies that are refused, and why.
mod bodies;
/// Callers, and what they are answered.
mod caller;
/// `If-Match` and `If-None-Match`.
mod conditions;
/// The books of a demonstration.
mod demo;
/// The limit of open files.
mod descriptors;
/// Filters, orders and wrong queries.
mod filters;
/// Lists that are never older than the request.
mod freshness;
/// A library to test, on a database of its own.
mod library;
/// The memory of the process.
mod memory;
/// Databases of earlier versions.
mod migrations;
/// Searches that cost as much as they can.
mod overload;
/// The page for users in a browser.
mod page;
/// Lists in pages.
mod paging;
/// The program's commands.
mod program;
/// Results of searches.
mod search;
/// All books at once, in and out.
mod transfer;
/// Adding, reading, changing, removing.
mod writes;
