use std::sync::OnceLock;
use std::time::Duration;

use metrics::{Histogram, describe_histogram, histogram};

use super::is_on;

/// How long something takes, in seconds, without labels. To be a `static`. Nothing is done while nobody asks.
pub struct Timing {
    name: &'static str,
    help: &'static str,
    times: OnceLock<Histogram>,
}

impl Timing {
    /// The timer `name`, which ends with `_seconds`; `help` says in a line what takes that long.
    #[must_use]
    pub const fn new(name: &'static str, help: &'static str) -> Self {
        Self { name, help, times: OnceLock::new() }
    }

    /// It took so long, once.
    pub fn took(&self, time: Duration) {
        if is_on() {
            self.times().record(time);
        }
    }

    /// It is there from the start, with 0 in every bucket.
    pub(super) fn times(&self) -> &Histogram {
        self.times.get_or_init(|| {
            describe_histogram!(self.name, self.help);
            histogram!(self.name)
        })
    }
}
