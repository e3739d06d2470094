//! The HTTP contract of books-service, tested over TCP with the service that production starts, on every database.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on stops")]

/// Roles and routes.
mod access;
/// Revocations: while a body arrives, and before a first list.
mod arrival;
/// Request bodies that are refused.
mod bodies;
/// Clients and responses.
mod caller;
/// `If-Match` and `If-None-Match`.
mod conditions;
/// The demo books.
mod demo;
/// The limit on open files.
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
/// The most expensive searches.
mod overload;
/// The page for users in a browser.
mod page;
/// Lists in pages.
mod paging;
/// The program's commands.
mod program;
/// Results of searches.
mod search;
/// Import and export of all books.
mod transfer;
/// Adding, reading, changing, removing.
mod writes;
