//! What is asked of each input. Tests that need no fuzzer include the two files and ask it of the corpus.

/// A body for any route that takes one.
pub mod body;
/// A token, or the parts of one.
pub mod verifier;
