/// Names of sessions and users in 128 bits.
mod key;
/// A part of the list.
mod shard;

use std::array;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;

use self::key::Key;
use self::shard::{Mark, Shard};
use crate::Revocation;

/// A change copies only the parts that it touches. As many as [`Key::spread`] tells apart.
const SHARDS: usize = 256;

/// How many parts a sweep looks at. Swept every second, nothing is kept a minute longer than it must be.
const SWEPT_AT_ONCE: usize = 5;

/// What is known to be revoked. A look-up takes some 90 ns among a million entries and waits for nobody, whatever is being
/// added meanwhile; 100,000 entries take 5 MB. A clone is another handle on the same list.
///
/// What was added is forgotten only after its `until`: a later list that does not hold it takes nothing back.
#[derive(Clone)]
pub struct Revocations(pub(crate) Arc<List>);

/// The list behind the handles.
pub(crate) struct List {
    shards: [ArcSwap<Shard>; SHARDS],
    /// One writer at a time: a copy must not miss what another writer adds. Inside stands the part to be swept next.
    writing: Mutex<usize>,
    max_age: Option<Duration>,
    made: Instant,
    /// When the list was complete, in milliseconds since `made`, plus one; 0 is never.
    complete: AtomicU64,
}

impl Revocations {
    /// Nothing is revoked yet, as far as is known. With a `max_age`, a guard answers 503 where it knows nothing newer than
    /// that; without, it goes by what it knows.
    #[must_use]
    pub fn new(max_age: Option<Duration>) -> Self {
        Self(Arc::new(List {
            shards: array::from_fn(|_| ArcSwap::default()),
            writing: Mutex::default(),
            max_age,
            made: Instant::now(),
            complete: AtomicU64::new(0),
        }))
    }

    /// Whether a token of session `sid` and user `sub`, made at `iat` (seconds since 1970), is known to be revoked.
    #[must_use]
    pub fn is_revoked(&self, sid: &str, sub: &str, iat: u64) -> bool {
        let (session, subject) = (Key::of(sid), Key::of(sub));
        // Both first: a processor then waits for both tables at once.
        let (sessions, subjects) = (self.0.shard(session).load(), self.0.shard(subject).load());
        sessions.has_session(session) | subjects.has_subject(subject, iat)
    }

    /// Adds `entries` to what is known, and forgets some of what was over before `now`, in seconds since 1970.
    pub fn add(&self, entries: &[Revocation], now: u64) {
        let mut marks: Vec<Mark> = entries.iter().map(Mark::of).collect();
        marks.sort_unstable_by_key(|mark| mark.key().spread());
        let mut next = self.0.writing.lock().unwrap_or_else(PoisonError::into_inner);
        for marks in marks.chunk_by(|one, other| one.key().spread() == other.key().spread()) {
            change(self.0.shard(marks[0].key()), |shard| shard.with(marks));
        }
        self.0.sweep(&mut next, now);
    }

    /// Forgets some of what was over before `now`, in seconds since 1970; all of it after 52 calls.
    pub fn sweep(&self, now: u64) {
        self.0.sweep(&mut self.0.writing.lock().unwrap_or_else(PoisonError::into_inner), now);
    }

    /// The list holds all that was revoked before `at`. Said after [`Revocations::add`], never before.
    pub fn confirm(&self, at: Instant) {
        let since = u64::try_from(at.saturating_duration_since(self.0.made).as_millis()).unwrap_or(u64::MAX);
        self.0.complete.fetch_max(since.saturating_add(1), Ordering::Release);
    }

    /// How long ago the list was complete; `None` if it never was.
    #[must_use]
    pub fn age(&self) -> Option<Duration> {
        let since = self.0.complete.load(Ordering::Acquire).checked_sub(1)?;
        Some(self.0.made.elapsed().saturating_sub(Duration::from_millis(since)))
    }

    /// Whether there is a greatest age and the list is older, or never was complete.
    #[must_use]
    pub fn is_stale(&self) -> bool {
        self.0.max_age.is_some_and(|limit| self.age().is_none_or(|age| age > limit))
    }

    /// How many entries are held, those that are over and not yet swept included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.shards.iter().map(|shard| shard.load().len()).sum()
    }

    /// Whether none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl List {
    fn shard(&self, key: Key) -> &ArcSwap<Shard> {
        &self.shards[usize::from(key.spread())]
    }

    fn sweep(&self, next: &mut usize, now: u64) {
        for _ in 0..SWEPT_AT_ONCE {
            change(&self.shards[*next], |shard| shard.swept(now));
            *next = (*next + 1) % SHARDS;
        }
    }
}

/// Only for whoever holds the lock of writers.
fn change(shard: &ArcSwap<Shard>, new: impl FnOnce(&Shard) -> Option<Shard>) {
    if let Some(new) = new(&shard.load()) {
        shard.store(Arc::new(new));
    }
}
