use std::error::Error;
use std::hash::{BuildHasher, RandomState};
use std::iter::successors;
use std::sync::Weak;
use std::time::{Duration, Instant};

use reqwest::header::HeaderValue;
use tokio::sync::oneshot;
use tokio::task::spawn_blocking;
use tokio::time::sleep_until;

use super::source::{Answer, Fault, News, Question, Source};
use crate::revocations::List;
use crate::{LEEWAY, RevocationList, Revocations, clock};

/// However long an outage lasts, its end is seen within this.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// A longer body is read on another thread, because requests wait for this one.
const SHORT: usize = 64 << 10;

/// As long as there is no list at all, the log says so this often.
const REMINDER: Duration = Duration::from_mins(1);

/// Asks again and again, until the last handle on the list is dropped.
pub(super) struct Follower {
    source: Source,
    list: Weak<List>,
    poll: Duration,
    cursor: Option<String>,
    /// Of what was told since `cursor`; never of what was told since another one.
    etag: Option<HeaderValue>,
    failures: u32,
    trouble: Option<Trouble>,
    first: Option<oneshot::Sender<()>>,
}

/// Why the list is not up to date, and when the log said so.
struct Trouble {
    cause: String,
    told: Instant,
}

/// Whether an answer is as new as the question.
enum Heard {
    New,
    Old,
}

impl Follower {
    /// `first` is told of the first list.
    pub(super) fn new(source: Source, list: Weak<List>, poll: Duration, first: oneshot::Sender<()>) -> Self {
        Self { source, list, poll, cursor: None, etag: None, failures: 0, trouble: None, first: Some(first) }
    }

    pub(super) async fn follow(mut self) {
        while self.list.strong_count() > 0 {
            let asked = Instant::now();
            let next = match self.ask().await {
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

    /// One question. Whatever goes wrong, nothing of the answer counts and the cursor stays. An old answer that a cache has kept
    /// takes nothing back and confirms nothing.
    async fn ask(&mut self) -> Result<Heard, Fault> {
        let (asked, clock) = (Instant::now(), clock::now());
        let question = Question { after: self.cursor.as_deref(), etag: self.etag.as_ref() };
        let Answer { what, date, age } = self.source.ask(question).await?;
        let Some(list) = self.list.upgrade().map(Revocations) else { return Ok(Heard::New) };
        // By the earlier of two clocks: one that jumps ahead makes nobody forget what still counts.
        let now = date.unwrap_or(u64::MAX).min(clock::now());
        if let News::List { body, etag } = what {
            let cursor = Some(learn(list.clone(), body, now).await?);
            self.etag = etag.filter(|_| cursor == self.cursor);
            self.cursor = cursor;
        }
        list.sweep(now);
        let is_old = date.is_some_and(|date| date.saturating_add(LEEWAY) < clock);
        let Some(made) = asked.checked_sub(age).filter(|_| !is_old) else { return Ok(Heard::Old) };
        list.confirm(made);
        Ok(Heard::New)
    }

    fn succeeded(&mut self, heard: &Heard) {
        self.failures = 0;
        match heard {
            Heard::New if self.trouble.take().is_some() => log::info!("the list of revocations is followed again"),
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

    /// Says it once for each outage; but as long as there is no list at all, at each other cause and again and again.
    fn tell(&mut self, cause: String) {
        let has_list = self.list.upgrade().is_some_and(|list| Revocations(list).age().is_some());
        let is_told = |trouble: &Trouble| has_list || trouble.cause == cause && trouble.told.elapsed() < REMINDER;
        if !self.trouble.as_ref().is_some_and(is_told) {
            let so_far = if has_list { "" } else { "; so far there is none" };
            log::warn!("the list of revocations cannot be followed{so_far}, auth-service: {cause}");
            self.trouble = Some(Trouble { cause, told: Instant::now() });
        }
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
