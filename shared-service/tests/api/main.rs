//! The parts of every service that need a real database or a file.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on has failed")]

mod database;
mod records;
