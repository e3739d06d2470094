use std::error::Error;
use std::hash::{BuildHasher, RandomState};
use std::iter::successors;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;
use tokio::time::sleep_until;

use super::resource::Resource;
use super::source::{FetchError, Source};

/// The maximum pause after failures. The end of an outage is noticed within this time.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// The interval between log lines about an outage before the first successful read.
const REMINDER: Duration = Duration::from_mins(1);

/// Polls the resource until its last handle is dropped.
pub(super) struct PollTask<F> {
    pub(super) source: Source,
    pub(super) resource: F,
    pub(super) poll: Duration,
    pub(super) failures: u32,
    pub(super) outage: Option<Outage>,
    /// Is notified of the first successful response.
    pub(super) first: Option<oneshot::Sender<()>>,
}

/// The current outage: its cause, and the time of its log line.
pub(super) struct Outage {
    cause: String,
    logged_at: Instant,
}

impl<F: Resource> PollTask<F> {
    pub(super) async fn run(mut self) {
        while self.resource.is_loaded().is_some() {
            let asked = Instant::now();
            let next = match self.resource.fetch(&self.source).await {
                Ok(is_fresh) => {
                    self.succeeded(is_fresh);
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

    fn succeeded(&mut self, is_fresh: bool) {
        self.failures = 0;
        if !is_fresh {
            let cause = "its answers are old: a cache keeps them, its clock is behind, or it cannot read an entry";
            self.log_outage(cause.to_owned());
        } else if self.outage.take().is_some() {
            log::info!("{} is up to date now", F::NAME);
        }
        if let Some(first) = self.first.take() {
            // The receiver is gone if `start` timed out.
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

    /// Logs each outage once. Before the first successful read it also logs each new cause, and repeats the last one.
    fn log_outage(&mut self, cause: String) {
        let is_loaded = self.resource.is_loaded().unwrap_or_default();
        let is_logged = |outage: &Outage| is_loaded || outage.cause == cause && outage.logged_at.elapsed() < REMINDER;
        if !self.outage.as_ref().is_some_and(is_logged) {
            let so_far = if is_loaded { "" } else { "; so far there is none" };
            log::warn!("{} cannot be updated{so_far}, auth-service: {cause}", F::NAME);
            self.outage = Some(Outage { cause, logged_at: Instant::now() });
        }
    }

    /// The pause before the next request. It doubles with each failure in a row.
    fn pause(&self) -> Duration {
        let doubled = self.poll.saturating_mul(2_u32.saturating_pow(self.failures.saturating_sub(1)));
        doubled.min(LONGEST_PAUSE.max(self.poll))
    }
}

/// Between 0.85 and 1 times `pause`, so that services started together do not poll together.
fn jittered(pause: Duration) -> Duration {
    // Each RandomState has random keys, which serve as the random number.
    let share = u32::try_from(850 + RandomState::new().hash_one(()) % 150).unwrap_or(1000);
    pause / 1000 * share
}
