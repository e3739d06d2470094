//! The checks of each input. Tests without a fuzzer include both files and make the same checks with the corpus.

/// Sends an input as the body of a request.
pub mod body;
/// Verifies an input as a token, or as the parts of one.
pub mod verifier;
