use std::cell::RefCell;
use std::sync::Once;
use std::time::Instant;

use metrics::{Counter, Histogram, counter, describe_counter, describe_histogram, histogram};

use crate::operations::metrics::{STORE_DURATION, is_on};

const ERRORS: &str = "store_errors_total";

/// A store as one thread knows it.
struct Store {
    name: &'static str,
    times: Histogram,
    errors: Counter,
}

thread_local! {
    /// A handful. By thread, so that a call waits for no other.
    static STORES: RefCell<Vec<Store>> = const { RefCell::new(Vec::new()) };
}

/// A call of a store that is under way.
pub(crate) struct StoreCall(Option<Instant>);

impl StoreCall {
    /// It begins. Nothing is done while nobody asks.
    pub(crate) fn begin() -> Self {
        Self(is_on().then(Instant::now))
    }

    /// It was one of the store `name`, and is over.
    pub(crate) fn end(self, name: &'static str, failed: bool) {
        let Some(began) = self.0 else { return };
        with(name, |store| {
            store.times.record(began.elapsed());
            store.errors.increment(failed.into());
        });
    }
}

fn with(name: &'static str, look: impl FnOnce(&Store)) {
    STORES.with_borrow_mut(|stores| {
        if let Some(store) = stores.iter().find(|store| store.name == name) {
            return look(store);
        }
        describe();
        let (times, errors) = (histogram!(STORE_DURATION, "store" => name), counter!(ERRORS, "store" => name));
        let store = Store { name, times, errors };
        look(&store);
        stores.push(store);
    });
}

fn describe() {
    static DESCRIBED: Once = Once::new();
    DESCRIBED.call_once(|| {
        describe_histogram!(STORE_DURATION, "Time that a call of a store takes, its failure included");
        describe_counter!(ERRORS, "Calls of a store that failed, or took longer than a second");
    });
}

#[cfg(test)]
mod tests {
    use crate::database::{StoreError, within};
    use crate::operations::metrics::{RECORDER, start};

    #[tokio::test]
    async fn every_call_is_timed_and_a_failure_is_counted() {
        start().unwrap();
        within("a store", async { Ok::<_, StoreError>(()) }).await.unwrap();
        within("a store", async { Err::<(), _>(StoreError::unavailable("a store", "down")) }).await.unwrap_err();
        let page = RECORDER.get().unwrap().render();
        for line in
            [r#"store_call_duration_seconds_count{store="a store"} 2"#, r#"store_errors_total{store="a store"} 1"#]
        {
            assert!(page.lines().any(|shown| shown == line), "{line} in {page}");
        }
    }
}
