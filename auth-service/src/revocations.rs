//! What was revoked, for all who verify: this service itself, and whoever asks for the list.

/// The list of the store, as this instance has read it.
mod list;

use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use bytes::Bytes;
use shared_claims::Revocations;
use shared_http::Shared;
use shared_http::clock::now_ms;
use shared_http::database::StoreError;
use tokio::time::{MissedTickBehavior, interval, timeout};

use self::list::List;
use crate::sessions::{Cursor, SessionStore};

/// A start waits this long for the first list.
const FIRST_LIST: Duration = Duration::from_secs(5);

/// Reads the list of revocations as it grows.
pub struct Feed {
    sessions: Arc<dyn SessionStore>,
    reading: Shared<(), Result<(), StoreError>>,
    list: ArcSwap<List>,
    known: Revocations,
}

impl Feed {
    /// Reads the list that `sessions` keeps; what it says is `known` from then on.
    #[must_use]
    pub fn new(sessions: Arc<dyn SessionStore>, known: Revocations) -> Self {
        Self { sessions, reading: Shared::default(), list: ArcSwap::default(), known }
    }

    /// Reads on every `poll`, for this service's own verifier, as long as somebody has the feed. The first reading is waited
    /// for, a few seconds long.
    pub async fn follow(self: &Arc<Self>, poll: Duration) {
        let mut away = self.try_to_read(false, FIRST_LIST).await;
        let feed = Arc::downgrade(self);
        // Not one of actix's own tasks, which end when there is no runtime any more: a connection in hand would not survive that.
        tokio::spawn(async move {
            let mut turns = interval(poll);
            turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                turns.tick().await;
                let Some(feed) = feed.upgrade() else { return };
                away = feed.try_to_read(away, Duration::MAX).await;
            }
        });
    }

    /// Reads on. Whether the store is away; an outage is in the log once.
    async fn try_to_read(&self, was_away: bool, patience: Duration) -> bool {
        let outcome = timeout(patience, self.read_on()).await;
        match &outcome {
            Ok(Ok(())) if was_away => log::info!("the list of revocations can be read again"),
            Ok(Err(error)) if !was_away => {
                log::warn!("the list of revocations cannot be read, the last one counts: {error}");
            }
            Err(_) if !was_away => {
                log::warn!("the list of revocations is not read yet: it takes longer than {patience:?}");
            }
            _ => {}
        }
        !matches!(outcome, Ok(Ok(())))
    }

    /// Reads all that was revoked before this was called. Those who ask at the same time share a reading, and its failure.
    ///
    /// # Errors
    /// The store's.
    pub async fn read_on(&self) -> Result<(), StoreError> {
        self.reading.run(async |()| self.read_pages().await).await
    }

    async fn read_pages(&self) -> Result<(), StoreError> {
        let began = Instant::now();
        loop {
            let list = self.list.load_full();
            let mut news = self.sessions.revoked(list.cursor()).await?;
            // By the earlier of two clocks: one that jumps ahead makes nobody forget what still counts.
            news.now = news.now.min(now_ms());
            let entries: Vec<_> =
                news.shards.iter().flat_map(|shard| &shard.entries).map(|(_, entry)| entry.clone()).collect();
            self.known.add(&entries, news.now.unsigned_abs() / 1000);
            let mut list = List::clone(&list);
            list.take(&news);
            // Nobody else is reading.
            self.list.store(Arc::new(list));
            if !news.more {
                break;
            }
        }
        self.known.confirm(began);
        Ok(())
    }

    /// How far it has read.
    #[must_use]
    pub fn newest(&self) -> Cursor {
        self.list.load().cursor().clone()
    }

    /// What was read behind `after`, as the JSON of a [`shared_claims::RevocationList`] in pieces; everything, where that is no
    /// cursor of this list. That may be megabytes, which all who are given them share.
    #[must_use]
    pub fn since(&self, after: Option<&Cursor>) -> Vec<Bytes> {
        self.list.load().since(after)
    }
}
