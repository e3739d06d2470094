use std::cell::RefCell;
use std::time::Instant;

use metrics::{Counter, Histogram, counter, describe_counter, describe_histogram, histogram};

use crate::recorder::{STORE_DURATION, is_on};

const ERRORS: &str = "store_errors_total";

thread_local! {
    /// The timer and the counter of each store, per thread, so that calls share no lock.
    static STORES: RefCell<Vec<(&'static str, Histogram, Counter)>> = const { RefCell::new(Vec::new()) };
}

/// Gives the metrics of store calls their help texts.
pub(crate) fn describe() {
    describe_histogram!(STORE_DURATION, "Time that a call of a store takes, its failure included");
    describe_counter!(ERRORS, "Calls of a store that failed, or took longer than a second");
}

/// The start time of a call, if calls are timed.
pub(super) fn begin() -> Option<Instant> {
    is_on().then(Instant::now)
}

/// Records a call of the store `name`.
pub(super) fn end(name: &'static str, began: Option<Instant>, failed: bool) {
    let Some(began) = began else { return };
    STORES.with_borrow_mut(|stores| {
        let known = stores.iter().position(|(known, ..)| *known == name).unwrap_or_else(|| {
            stores.push((name, histogram!(STORE_DURATION, "store" => name), counter!(ERRORS, "store" => name)));
            stores.len() - 1
        });
        let (_, times, errors) = &stores[known];
        times.record(began.elapsed());
        errors.increment(failed.into());
    });
}
