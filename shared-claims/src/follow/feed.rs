use std::sync::Weak;
use std::time::Instant;

use reqwest::StatusCode;
use reqwest::header::HeaderValue;
use tokio::task::spawn_blocking;

use super::source::{Answer, Fault, News, Question, Source};
use crate::jwt::Published;
use crate::revocations::List;
use crate::{LEEWAY, PublicKeys, RevocationList, Revocations, clock};

/// A longer body is read on another thread, because requests wait for this one.
const SHORT: usize = 64 << 10;

/// Whether an answer is as new as the question.
pub(super) enum Heard {
    New,
    Old,
}

/// Something that auth-service publishes and that is asked for again and again.
pub(super) trait Feed: Send + 'static {
    /// What the log calls it.
    const NAME: &'static str;

    /// Whether it was read once; `None` where no handle on it is left.
    fn has_begun(&self) -> Option<bool>;

    /// One question. After an error, nothing of the answer counts. An old answer that a cache has kept takes nothing back and
    /// confirms nothing.
    fn ask(&mut self, source: &Source) -> impl Future<Output = Result<Heard, Fault>> + Send;
}

/// The list of revocations.
pub(super) struct ListFeed {
    list: Weak<List>,
    cursor: Option<String>,
    /// Of what was told since `cursor`; never of what was told since another one.
    etag: Option<HeaderValue>,
}

impl ListFeed {
    pub(super) const fn new(list: Weak<List>) -> Self {
        Self { list, cursor: None, etag: None }
    }
}

impl Feed for ListFeed {
    const NAME: &'static str = "the list of revocations";

    fn has_begun(&self) -> Option<bool> {
        self.list.upgrade().map(|list| Revocations(list).age().is_some())
    }

    async fn ask(&mut self, source: &Source) -> Result<Heard, Fault> {
        let (asked, clock) = (Instant::now(), clock::now());
        let answer = source.ask(Question { after: self.cursor.as_deref(), etag: self.etag.as_ref() }).await?;
        let Some(list) = self.list.upgrade().map(Revocations) else { return Ok(Heard::New) };
        let fresh = answer.fresh_since(asked, clock);
        // By the earlier of two clocks: an entry that still counts is kept when one of them jumps ahead.
        let now = answer.date.unwrap_or(u64::MAX).min(clock::now());
        if let News::Body { body, etag } = answer.what {
            let cursor = Some(learn(list.clone(), body, now).await?);
            self.etag = etag.filter(|_| cursor == self.cursor);
            self.cursor = cursor;
        }
        list.sweep(now);
        let Some(made) = fresh else { return Ok(Heard::Old) };
        list.confirm(made);
        Ok(Heard::New)
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

/// The public keys.
pub(super) struct KeyFeed {
    keys: Weak<Published>,
    etag: Option<HeaderValue>,
}

impl KeyFeed {
    pub(super) const fn new(keys: Weak<Published>) -> Self {
        Self { keys, etag: None }
    }
}

impl Feed for KeyFeed {
    const NAME: &'static str = "the set of public keys";

    fn has_begun(&self) -> Option<bool> {
        self.keys.upgrade().map(|keys| PublicKeys(keys).age().is_some())
    }

    async fn ask(&mut self, source: &Source) -> Result<Heard, Fault> {
        let (asked, clock) = (Instant::now(), clock::now());
        let answer = match source.ask(Question { after: None, etag: self.etag.as_ref() }).await {
            // An auth-service that has no such address has no such key.
            Err(Fault::Status(StatusCode::NOT_FOUND)) => Answer::of_now(br#"{"keys":[]}"#.to_vec()),
            answer => answer?,
        };
        let Some(keys) = self.keys.upgrade().map(PublicKeys) else { return Ok(Heard::New) };
        // A key that was taken away since would come back with a set from a cache.
        let is_from_a_cache = answer.age.as_secs() > LEEWAY;
        let Some(made) = answer.fresh_since(asked, clock).filter(|_| !is_from_a_cache) else { return Ok(Heard::Old) };
        if let News::Body { body, etag } = answer.what {
            let unusable = keys.learn(&body)?;
            if unusable > 0 {
                log::warn!("published keys that are not used, because they do not fit or have no name: {unusable}");
            }
            self.etag = etag;
        }
        keys.confirm(made);
        Ok(Heard::New)
    }
}

impl Answer {
    const fn of_now(body: Vec<u8>) -> Self {
        Self { what: News::Body { body, etag: None }, date: None, age: std::time::Duration::ZERO }
    }

    /// The moment from which it is, if it is as new as the question, which was `asked` then and at this `clock`.
    fn fresh_since(&self, asked: Instant, clock: u64) -> Option<Instant> {
        let is_old = self.date.is_some_and(|date| date.saturating_add(LEEWAY) < clock);
        asked.checked_sub(self.age).filter(|_| !is_old)
    }
}
