use std::error::Error;
use std::hash::{BuildHasher, RandomState};
use std::iter::successors;
use std::sync::Weak;
use std::time::{Duration, Instant};

use http::HeaderValue;
use tokio::sync::oneshot;
use tokio::task::spawn_blocking;
use tokio::time::sleep_until;

use super::source::{Answer, Fault, News, Question, Source};
use crate::revocations::List;
use crate::{RevocationList, Revocations, clock};

/// However long an outage lasts, its end is seen within this.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// A longer body is read on another thread, because requests wait for this one.
const SHORT: usize = 64 << 10;

/// Asks again and again, until nobody has a handle on the list any more.
pub(super) struct Follower {
    source: Source,
    list: Weak<List>,
    poll: Duration,
    cursor: Option<String>,
    /// Of what was told since `cursor`; never of what was told since another one.
    etag: Option<HeaderValue>,
    failures: u32,
    first: Option<oneshot::Sender<()>>,
}

impl Follower {
    /// `first` is told of the first list.
    pub(super) fn new(source: Source, list: Weak<List>, poll: Duration, first: oneshot::Sender<()>) -> Self {
        Self { source, list, poll, cursor: None, etag: None, failures: 0, first: Some(first) }
    }

    pub(super) async fn follow(mut self) {
        while self.list.strong_count() > 0 {
            let asked = Instant::now();
            let next = match self.ask().await {
                Ok(()) => {
                    self.succeeded();
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

    /// One question. Whatever goes wrong, nothing of the answer counts and the cursor stays.
    async fn ask(&mut self) -> Result<(), Fault> {
        let asked = Instant::now();
        let (after, etag, is_last) = (self.cursor.as_deref(), self.etag.as_ref(), self.failures > 0);
        let Answer { what, date } = self.source.ask(Question { after, etag, is_last }).await?;
        let Some(list) = self.list.upgrade().map(Revocations) else { return Ok(()) };
        // By the earlier of two clocks: one that jumps ahead makes nobody forget what still counts.
        let now = date.unwrap_or(u64::MAX).min(clock::now());
        if let News::List { body, etag } = what {
            let cursor = Some(learn(list.clone(), body, now).await?);
            self.etag = etag.filter(|_| cursor == self.cursor);
            self.cursor = cursor;
        }
        list.confirm(asked);
        list.sweep(now);
        Ok(())
    }

    fn succeeded(&mut self) {
        if self.failures > 0 {
            log::info!("the list of revocations is followed again");
        }
        self.failures = 0;
        if let Some(first) = self.first.take() {
            // Whoever waited for it may have gone on without.
            let _ = first.send(());
        }
    }

    fn failed(&mut self, fault: &Fault) {
        if self.failures == 0 {
            let cause: Vec<String> =
                successors(Some(fault as &dyn Error), |&error| error.source()).map(ToString::to_string).collect();
            log::warn!("the list of revocations cannot be followed, auth-service: {}", cause.join(": "));
        }
        self.failures = self.failures.saturating_add(1);
    }

    /// Twice as long after each failure.
    fn pause(&self) -> Duration {
        let doubled = self.poll.saturating_mul(2_u32.saturating_pow(self.failures.saturating_sub(1)));
        doubled.min(LONGEST_PAUSE.max(self.poll))
    }
}

/// Reads the list in `body` and adds it; its cursor.
async fn learn(list: Revocations, body: Vec<u8>, now: u64) -> Result<String, Fault> {
    let is_short = body.len() <= SHORT;
    let read = move || {
        let told: RevocationList = serde_json::from_slice(&body)?;
        list.add(&told.entries, now);
        Ok(told.cursor)
    };
    if is_short { read() } else { spawn_blocking(read).await? }
}

/// Between 0.85 and 1 of `pause`, so that services that started together do not ask together.
fn jittered(pause: Duration) -> Duration {
    // Every RandomState has keys of its own, which are as good as dice.
    let share = u32::try_from(850 + RandomState::new().hash_one(()) % 150).unwrap_or(1000);
    pause / 1000 * share
}
