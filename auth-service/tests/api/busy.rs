//! Retries of tests that may have failed only because the machine is busy.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, resume_unwind};
use std::time::{Duration, Instant};

use futures_util::FutureExt;

/// Runs `test` up to five times, as long as its failure `may_be_chance`. A real fault fails every time.
pub async fn retried<T>(test: impl AsyncFn() -> T, may_be_chance: impl Fn(&str) -> bool) -> T {
    for _ in 0..4 {
        let failure = match AssertUnwindSafe(test()).catch_unwind().await {
            Ok(passed) => return passed,
            Err(failure) => failure,
        };
        if !may_be_chance(failure.downcast_ref::<String>().map_or("", String::as_str)) {
            resume_unwind(failure);
        }
        println!("once more: the machine may have been busy");
    }
    test().await
}

/// Runs `test` again if it failed after `limit`: what it expects holds only for that time.
pub async fn in_time(limit: Duration, test: impl AsyncFn()) {
    let began = Cell::new(Instant::now());
    let test = async || {
        began.set(Instant::now());
        test().await;
    };
    retried(test, |_| began.get().elapsed() >= limit).await;
}

/// Runs a test of a store again if it was too slow, or if the store ended a call at its time limit.
pub async fn served<T>(test: impl AsyncFn() -> T) -> T {
    let chances = ["Unavailable {", "is unavailable: ", "too slow: "];
    retried(test, |why| chances.iter().any(|chance| why.contains(chance))).await
}
