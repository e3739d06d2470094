use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

/// A moving average of the duration of a job, in microseconds; 0 before the first. Of two concurrent updates one may be
/// lost, which hardly changes an average.
#[derive(Default)]
pub(super) struct Pace(AtomicU64);

impl Pace {
    /// Records a job that began at `start`.
    pub(super) fn took(&self, start: Instant) {
        let took = u64::try_from(start.elapsed().as_micros()).unwrap_or(u64::MAX);
        let old = self.0.load(Ordering::Relaxed);
        let new = if old == 0 { took } else { old - old / 8 + took / 8 };
        self.0.store(new, Ordering::Relaxed);
    }

    /// The estimated time for `waiting` jobs on `threads` threads, in seconds, 1 to 60.
    pub(super) fn seconds_for(&self, waiting: usize, threads: usize) -> u64 {
        let micros = self.0.load(Ordering::Relaxed).saturating_mul(waiting as u64) / threads as u64;
        micros.div_ceil(1_000_000).clamp(1, 60)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_estimate_follows_the_queue() {
        let pace = Pace(AtomicU64::new(250_000));
        let cases = [
            ((0, 1), 1, "never 0"),
            ((32, 1), 8, "32 of a quarter"),
            ((33, 1), 9, "rounded up"),
            ((64, 4), 4, "four threads"),
            ((9_999, 1), 60, "never forever"),
        ];
        for ((waiting, threads), expected, why) in cases {
            assert_eq!(pace.seconds_for(waiting, threads), expected, "{why}");
        }
    }
}
