use std::sync::Weak;
use std::time::{Duration, Instant};

use reqwest::StatusCode;
use reqwest::header::HeaderValue;
use tokio::task::spawn_blocking;

use super::source::{Content, FetchError, Reply, Source};
use crate::jwt::{LONGEST_SET, Published};
use crate::revocations::List;
use crate::{LEEWAY, PublicKeys, RevocationList, Revocations, clock};

/// A body longer than this, in bytes, is parsed on a blocking thread, so that it does not delay requests on this one.
const SHORT: usize = 64 << 10;

/// The longest revocation list, in bytes: enough for some two million entries.
const LONGEST_LIST: usize = 128 << 20;

/// A resource of auth-service that is polled.
pub(super) trait Resource: Send + 'static {
    /// Its name in the log.
    const NAME: &'static str;

    /// True if the resource was read at least once; `None` after the last handle was dropped.
    fn is_loaded(&self) -> Option<bool>;

    /// Sends one request and applies the response; returns false if the response is stale or incomplete. An error
    /// changes nothing. A stale response from a cache removes nothing and does not count as a confirmation.
    fn fetch(&mut self, source: &Source) -> impl Future<Output = Result<bool, FetchError>> + Send;
}

/// The revocation list.
pub(super) struct ListResource {
    pub(super) list: Weak<List>,
    pub(super) cursor: Option<String>,
    /// The `ETag` of the response for `cursor`; unset when the cursor has moved.
    pub(super) etag: Option<HeaderValue>,
}

impl Resource for ListResource {
    const NAME: &'static str = "the revocation list";

    fn is_loaded(&self) -> Option<bool> {
        self.list.upgrade().map(|list| Revocations(list).is_read())
    }

    async fn fetch(&mut self, source: &Source) -> Result<bool, FetchError> {
        let (asked, clock) = (Instant::now(), clock::now());
        let reply = source.fetch(self.cursor.as_deref(), self.etag.as_ref(), LONGEST_LIST).await?;
        let Some(list) = self.list.upgrade().map(Revocations) else { return Ok(true) };
        let fresh = reply.fresh_since(asked, clock);
        // If one of two clocks jumps ahead, no entry is dropped too early; if one is behind, no `notBefore` is lowered.
        let here = clock::now();
        let there = reply.date.unwrap_or(here);
        let now = (here.min(there), here.max(there));
        if let Content::Body { body, etag } = reply.content {
            let cursor = Some(add_list(list.clone(), body, now).await?);
            self.etag = etag.filter(|_| cursor == self.cursor);
            self.cursor = cursor;
        }
        list.add_between([], now.0, now.1);
        Ok(fresh.is_some_and(|made| {
            list.mark_read();
            list.0.age.confirm(made)
        }))
    }
}

/// Parses the list in `body` and adds its entries at the earlier and the later time `now`; returns the new cursor.
async fn add_list(list: Revocations, body: Vec<u8>, now: (u64, u64)) -> Result<String, FetchError> {
    let is_short = body.len() <= SHORT;
    let read = move || {
        let list_read: RevocationList = serde_json::from_slice(&body)?;
        list.add_between(&list_read.entries, now.0, now.1);
        Ok(list_read.cursor)
    };
    if is_short { read() } else { spawn_blocking(read).await? }
}

/// The public keys.
pub(super) struct KeyResource {
    pub(super) keys: Weak<Published>,
    pub(super) has_secret: bool,
    pub(super) etag: Option<HeaderValue>,
}

impl Resource for KeyResource {
    const NAME: &'static str = "the set of public keys";

    fn is_loaded(&self) -> Option<bool> {
        self.keys.upgrade().map(|keys| PublicKeys(keys).age().is_some())
    }

    async fn fetch(&mut self, source: &Source) -> Result<bool, FetchError> {
        let Some(keys) = self.keys.upgrade().map(PublicKeys) else { return Ok(true) };
        let (asked, clock) = (Instant::now(), clock::now());
        let reply = match source.fetch(None, self.etag.as_ref(), LONGEST_SET).await {
            // An auth-service without this endpoint has no public keys. If it had some, or must have some, a proxy may
            // answer for it.
            Err(FetchError::Status(StatusCode::NOT_FOUND)) if self.has_secret && keys.keys().is_empty() => {
                let content = Content::Body { body: br#"{"keys":[]}"#.to_vec(), etag: None };
                Reply { content, date: None, age: Duration::ZERO }
            }
            reply => reply?,
        };
        // A cached set may contain a key that was removed since.
        let is_from_a_cache = !reply.age.is_zero();
        let Some(made) = reply.fresh_since(asked, clock).filter(|_| !is_from_a_cache) else { return Ok(false) };
        if let Content::Body { body, etag } = reply.content {
            let unusable = keys.learn(&body)?;
            if unusable > 0 {
                log::warn!("published keys that are not used, because they do not fit or have no name: {unusable}");
            }
            self.etag = etag;
        }
        keys.confirm(made);
        Ok(true)
    }
}

impl Reply {
    /// The instant at which the response was up to date; `None` if the response is older than the request. `asked` and
    /// `clock` are the time of the request on the monotonic clock and on the wall clock.
    fn fresh_since(&self, asked: Instant, clock: u64) -> Option<Instant> {
        let is_old = self.date.is_some_and(|date| date.saturating_add(LEEWAY) < clock);
        asked.checked_sub(self.age).filter(|_| !is_old)
    }
}
