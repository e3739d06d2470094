use std::error::Error;
use std::hash::{BuildHasher, RandomState};
use std::iter::successors;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;
use tokio::time::sleep_until;

use super::resource::{Freshness, Resource};
use super::source::{FetchError, Source};

/// However long an outage lasts, its end is seen within this.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// As long as nothing was read at all, the log says so this often.
const REMINDER: Duration = Duration::from_mins(1);

/// Asks again and again, until the last handle on what it follows is dropped.
pub(super) struct PollTask<F> {
    source: Source,
    resource: F,
    poll: Duration,
    failures: u32,
    outage: Option<Outage>,
    first: Option<oneshot::Sender<()>>,
}

/// Why it is not up to date, and when the log said so.
struct Outage {
    cause: String,
    logged_at: Instant,
}

impl<F: Resource> PollTask<F> {
    /// `first` is told of the first answer.
    pub(super) const fn new(source: Source, resource: F, poll: Duration, first: oneshot::Sender<()>) -> Self {
        Self { source, resource, poll, failures: 0, outage: None, first: Some(first) }
    }

    pub(super) async fn run(mut self) {
        while self.resource.is_loaded().is_some() {
            let asked = Instant::now();
            let next = match self.resource.fetch(&self.source).await {
                Ok(freshness) => {
                    self.succeeded(&freshness);
                    asked + jittered(self.poll)
                }
                Err(error) => {
                    self.failed(&error);
                    Instant::now() + jittered(self.pause())
                }
            };
            sleep_until(next.into()).await;
        }
    }

    fn succeeded(&mut self, freshness: &Freshness) {
        self.failures = 0;
        match freshness {
            Freshness::Fresh if self.outage.take().is_some() => log::info!("{} is followed again", F::NAME),
            Freshness::Fresh => {}
            Freshness::Stale => {
                self.log_outage("its answers are old: a cache keeps them, or its clock is behind".to_owned());
            }
        }
        if let Some(first) = self.first.take() {
            // The caller of `start` may have gone on without it.
            let _ = first.send(());
        }
    }

    fn failed(&mut self, error: &FetchError) {
        let cause: Vec<String> =
            successors(Some(error as &dyn Error), |&error| error.source()).map(ToString::to_string).collect();
        self.log_outage(cause.join(": "));
        self.failures = self.failures.saturating_add(1);
        self.source.reconnect();
    }

    /// Says it once for each outage; but as long as nothing was read at all, at each other cause and again and again.
    fn log_outage(&mut self, cause: String) {
        let is_loaded = self.resource.is_loaded().unwrap_or_default();
        let is_logged = |outage: &Outage| is_loaded || outage.cause == cause && outage.logged_at.elapsed() < REMINDER;
        if !self.outage.as_ref().is_some_and(is_logged) {
            let so_far = if is_loaded { "" } else { "; so far there is none" };
            log::warn!("{} cannot be followed{so_far}, auth-service: {cause}", F::NAME);
            self.outage = Some(Outage { cause, logged_at: Instant::now() });
        }
    }

    /// Twice as long after each failure.
    fn pause(&self) -> Duration {
        let doubled = self.poll.saturating_mul(2_u32.saturating_pow(self.failures.saturating_sub(1)));
        doubled.min(LONGEST_PAUSE.max(self.poll))
    }
}

/// Between 0.85 and 1 of `pause`, so that services that started together do not ask together.
fn jittered(pause: Duration) -> Duration {
    // Every RandomState has keys of its own, which are as good as dice.
    let share = u32::try_from(850 + RandomState::new().hash_one(()) % 150).unwrap_or(1000);
    pause / 1000 * share
}
