//! Tests that a busy machine lets fail are run again.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, resume_unwind};
use std::time::{Duration, Instant};

use futures_util::FutureExt;

/// Runs `test` up to five times, as long as it fails and that `may_be_chance`; a fault shows each time.
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

/// Runs `test` again where it failed after `limit`, for which what it expects holds.
pub async fn in_time(limit: Duration, test: impl AsyncFn()) {
    let began = Cell::new(Instant::now());
    let test = async || {
        began.set(Instant::now());
        test().await;
    };
    retried(test, |_| began.get().elapsed() >= limit).await;
}

/// Runs a test of a store again where it was too slow, or the store ended a call at its limit.
pub async fn served<T>(test: impl AsyncFn() -> T) -> T {
    let chances = ["Unavailable {", "is unavailable: ", "too slow: "];
    retried(test, |why| chances.iter().any(|chance| why.contains(chance))).await
}
