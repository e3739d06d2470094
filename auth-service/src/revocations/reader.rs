//! The reader of the revocation list, for this service's own verifier and for `GET /revocations`.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use shared_claims::{LEEWAY, Revocation, Revocations};
use shared_service::SingleFlight;
use shared_service::clock::now_ms;
use shared_service::database::StoreError;
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep, timeout};

use super::list::{List, Piece};
use super::{Changes, Cursor};
use crate::sessions::SessionStore;

/// The time that the service waits for the first list when it starts.
const FIRST_LIST: Duration = Duration::from_secs(5);

/// The time between two attempts until the list was read once; the service is not ready before that.
const RETRY: Duration = Duration::from_secs(1);

/// The age of a list that was never complete: the largest value of `Age` (RFC 9111 section 1.2.2).
const FOR_EVER: Duration = Duration::from_secs(1 << 31);

/// Reads the revocation list incrementally.
pub struct RevocationReader {
    sessions: Arc<dyn SessionStore>,
    reading: SingleFlight<Result<(), StoreError>>,
    list: ArcSwap<List>,
    unreadable: Mutex<Unreadable>,
    known: Revocations,
}

/// Unreadable entries, which no response contains. While the store has any, each read starts before them, and the list
/// does not count as complete.
#[derive(Clone, Default, PartialEq)]
struct Unreadable {
    /// The start of the page with the first one.
    before: Cursor,
    /// A description of each.
    entries: Vec<String>,
}

impl Unreadable {
    /// Adds the entries of the page after `page`.
    fn add(&mut self, page: &Cursor, entries: &[String]) {
        if self.entries.is_empty() {
            self.before = page.clone();
        }
        self.entries.extend_from_slice(entries);
    }

    /// Logs and adds those entries of the page after `page` that are new.
    fn log_and_add(&mut self, page: &Cursor, entries: &[String]) {
        for entry in entries {
            if !self.entries.contains(entry) {
                log::error!("the revocation list has an unreadable entry, which is skipped: {entry}");
                self.add(page, std::slice::from_ref(entry));
            }
        }
    }
}

impl RevocationReader {
    /// Reads the list of `sessions` and adds its entries to `known`.
    #[must_use]
    pub fn new(sessions: Arc<dyn SessionStore>, known: Revocations) -> Self {
        Self {
            sessions,
            reading: SingleFlight::default(),
            list: ArcSwap::default(),
            unreadable: Mutex::default(),
            known,
        }
    }

    /// The revocations read so far.
    pub(crate) const fn known(&self) -> &Revocations {
        &self.known
    }

    /// Reads the list at each interval, for this service's own verifier, until the reader is dropped. Waits up to a few
    /// seconds for the first read.
    pub async fn poll(self: &Arc<Self>, interval_between: Duration) {
        let mut away = self.try_to_read(false, FIRST_LIST).await;
        let reader = Arc::downgrade(self);
        // Not an actix task: actix ends its tasks before requests in flight are finished.
        tokio::spawn(async move {
            let mut turns = interval_at(Instant::now() + interval_between, interval_between);
            turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
            while let Some(is_read) = reader.upgrade().map(|reader| reader.is_read()) {
                if is_read {
                    turns.tick().await;
                } else {
                    sleep(RETRY.min(interval_between)).await;
                }
                if let Some(reader) = reader.upgrade() {
                    away = reader.try_to_read(away, Duration::MAX).await;
                }
            }
        });
    }

    /// Reads once, and logs an outage once. Returns true if the list was not read.
    async fn try_to_read(&self, was_away: bool, patience: Duration) -> bool {
        let outcome = timeout(patience, self.read_on()).await;
        match &outcome {
            Ok(Ok(())) if was_away => log::info!("the revocation list can be read again"),
            Ok(Err(error)) if !was_away => {
                log::warn!("the revocation list cannot be read, the last one stays in use: {error}");
            }
            Err(_) if !was_away => {
                log::warn!("the revocation list is not read yet: it takes longer than {patience:?}");
            }
            _ => {}
        }
        !matches!(outcome, Ok(Ok(())))
    }

    /// Reads everything revoked before this call. Concurrent callers share a read, and its error.
    ///
    /// # Errors
    /// As [`SessionStore::revoked`].
    pub async fn read_on(&self) -> Result<(), StoreError> {
        self.reading.run(async || self.read_pages().await).await
    }

    async fn read_pages(&self) -> Result<(), StoreError> {
        let began = std::time::Instant::now();
        let known = self.unreadable().clone();
        let mut cursor = if known.entries.is_empty() { self.newest() } else { known.before.clone() };
        let mut unreadable = Unreadable::default();
        loop {
            let changes = self.sessions.revoked(&cursor).await?;
            unreadable.add(&cursor, &changes.corrupt);
            // Before the list moves past the page: a later page may fail.
            self.unreadable().log_and_add(&cursor, &changes.corrupt);
            let place = cursor.clone();
            cursor.move_past(&changes);
            let more = changes.more && cursor != place;
            self.take(changes);
            if !more {
                break;
            }
        }
        self.known.mark_read();
        if unreadable.entries.is_empty() {
            self.known.confirm(began);
            if !known.entries.is_empty() {
                log::info!("the revocation list is complete again");
            }
        }
        *self.unreadable() = unreadable;
        Ok(())
    }

    /// Adds a page to the list. Reads never overlap, so no page is lost.
    fn take(&self, mut changes: Changes) {
        // If one of two clocks jumps ahead, no verifier drops an entry too early; if one is behind, no `notBefore` is
        // lowered.
        let seconds = |ms: i64| ms.unsigned_abs() / 1000;
        let latest = seconds(changes.now.max(now_ms()));
        changes.now = changes.now.min(now_ms());
        for (_, entry) in changes.shards.iter_mut().flat_map(|shard| &mut shard.entries) {
            // A `notBefore` from a wrong clock is corrected here, so that every verifier gets the same value.
            if let Revocation::Subject { not_before, .. } = entry
                && *not_before > latest + 2 * LEEWAY
            {
                *not_before = latest + LEEWAY;
            }
        }
        let entries = changes.shards.iter().flat_map(|shard| &shard.entries).map(|(_, entry)| entry);
        self.known.add_between(entries, seconds(changes.now), latest);
        let mut list = List::clone(&self.list.load());
        list.take(&changes);
        self.list.store(Arc::new(list));
    }

    fn unreadable(&self) -> MutexGuard<'_, Unreadable> {
        self.unreadable.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// True once the whole list was read; before that, revoked tokens are accepted.
    pub(crate) fn is_read(&self) -> bool {
        self.known.is_read()
    }

    /// The cursor up to which the list was read.
    pub(crate) fn newest(&self) -> Cursor {
        self.list.load().cursor().clone()
    }

    /// The time for which the list has been incomplete; `None` if it is complete.
    pub(crate) fn incomplete_for(&self) -> Option<Duration> {
        let unreadable = self.unreadable();
        (!unreadable.entries.is_empty()).then(|| self.known.age().unwrap_or(FOR_EVER))
    }

    /// The entries after `after`, as the JSON of a [`shared_claims::RevocationList`] in pieces; all of them if `after`
    /// is not a cursor of this list. Together they may have megabytes, so each is serialized when it is sent.
    pub(crate) fn since(&self, after: Option<&Cursor>) -> Vec<Piece> {
        self.list.load().since(after)
    }
}
