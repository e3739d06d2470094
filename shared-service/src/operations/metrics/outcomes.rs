use std::sync::OnceLock;

use metrics::{Counter, counter, describe_counter};

use super::is_on;

/// A counter, by what came of it: `name{result="…"}`. To be a `static`:
///
/// ```
/// # use shared_service::Outcomes;
/// static VERIFIED: Outcomes = Outcomes::new("jwt_verify_total", "Access tokens, by what was found", &["ok", "refused"]);
/// VERIFIED.count("ok");
/// ```
///
/// Counting takes no lock and no memory, and nothing at all while nobody asks.
pub struct Outcomes {
    name: &'static str,
    help: &'static str,
    results: &'static [&'static str],
    counters: OnceLock<Box<[Counter]>>,
}

impl Outcomes {
    /// The counter `name`, which ends with `_total`; `help` says in a line what it counts. It knows these `results` and no
    /// others.
    #[must_use]
    pub const fn new(name: &'static str, help: &'static str, results: &'static [&'static str]) -> Self {
        Self { name, help, results, counters: OnceLock::new() }
    }

    /// One more of `result`; whatever is none of its results counts as the last of them.
    pub fn count(&self, result: &str) {
        if !is_on() {
            return;
        }
        let known = self.results.iter().position(|known| *known == result);
        let counters = self.counters();
        if let Some(counter) = known.and_then(|place| counters.get(place)).or(counters.last()) {
            counter.increment(1);
        }
    }

    /// All are there from the start, at 0: of a series that begins with 1, Prometheus does not see the rise.
    pub(super) fn counters(&self) -> &[Counter] {
        self.counters.get_or_init(|| {
            describe_counter!(self.name, self.help);
            self.results.iter().map(|result| counter!(self.name, "result" => *result)).collect()
        })
    }
}
