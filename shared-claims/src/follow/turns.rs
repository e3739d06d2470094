use std::error::Error;
use std::hash::{BuildHasher, RandomState};
use std::iter::successors;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;
use tokio::time::sleep_until;

use super::feed::{Feed, Heard};
use super::source::{Fault, Source};

/// However long an outage lasts, its end is seen within this.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// As long as nothing was read at all, the log says so this often.
const REMINDER: Duration = Duration::from_mins(1);

/// Asks again and again, until the last handle on what it follows is dropped.
pub(super) struct Follower<F> {
    source: Source,
    feed: F,
    poll: Duration,
    failures: u32,
    trouble: Option<Trouble>,
    first: Option<oneshot::Sender<()>>,
}

/// Why it is not up to date, and when the log said so.
struct Trouble {
    cause: String,
    told: Instant,
}

impl<F: Feed> Follower<F> {
    /// `first` is told of the first answer.
    pub(super) const fn new(source: Source, feed: F, poll: Duration, first: oneshot::Sender<()>) -> Self {
        Self { source, feed, poll, failures: 0, trouble: None, first: Some(first) }
    }

    pub(super) async fn follow(mut self) {
        while self.feed.has_begun().is_some() {
            let asked = Instant::now();
            let next = match self.feed.ask(&self.source).await {
                Ok(heard) => {
                    self.succeeded(&heard);
                    asked + jittered(self.poll)
                }
                Err(fault) => {
                    self.failed(&fault);
                    Instant::now() + jittered(self.pause())
                }
            };
            sleep_until(next.into()).await;
        }
    }

    fn succeeded(&mut self, heard: &Heard) {
        self.failures = 0;
        match heard {
            Heard::New if self.trouble.take().is_some() => log::info!("{} is followed again", F::NAME),
            Heard::New => {}
            Heard::Old => self.tell("its answers are old: a cache keeps them, or its clock is behind".to_owned()),
        }
        if let Some(first) = self.first.take() {
            // The caller of `start` may have gone on without it.
            let _ = first.send(());
        }
    }

    fn failed(&mut self, fault: &Fault) {
        let cause: Vec<String> =
            successors(Some(fault as &dyn Error), |&error| error.source()).map(ToString::to_string).collect();
        self.tell(cause.join(": "));
        self.failures = self.failures.saturating_add(1);
        self.source.reconnect();
    }

    /// Says it once for each outage; but as long as nothing was read at all, at each other cause and again and again.
    fn tell(&mut self, cause: String) {
        let has_begun = self.feed.has_begun().unwrap_or_default();
        let is_told = |trouble: &Trouble| has_begun || trouble.cause == cause && trouble.told.elapsed() < REMINDER;
        if !self.trouble.as_ref().is_some_and(is_told) {
            let so_far = if has_begun { "" } else { "; so far there is none" };
            log::warn!("{} cannot be followed{so_far}, auth-service: {cause}", F::NAME);
            self.trouble = Some(Trouble { cause, told: Instant::now() });
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
