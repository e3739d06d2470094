/// What is surely not in a part.
mod filter;
/// Names of sessions and users in 128 bits.
mod key;
/// A part of the list.
mod shard;
/// Names, and what is known of each.
mod table;

use std::array;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;

use self::key::Key;
use self::shard::{Mark, Shard};
use crate::{Revocation, clock};

/// A change copies only the parts that it touches, and the handles on the others. As many as [`Key::spread`] tells apart.
const SHARDS: usize = 256;

/// How many parts a sweep looks at. Swept every second, nothing is kept a minute longer than it must be.
const SWEPT_AT_ONCE: usize = 5;

/// What is known to be revoked. A look-up takes some 55 ns among a million entries and waits for nobody, whatever is being
/// added meanwhile; 100,000 entries take 5 MB. A clone is another handle on the same list.
///
/// What was added is forgotten only after its `until`: a later list that does not hold it takes nothing back.
#[derive(Clone)]
pub struct Revocations(pub(crate) Arc<List>);

/// The list behind the handles.
pub(crate) struct List {
    /// Never changed, only replaced: a look-up reads one state.
    parts: ArcSwap<Parts>,
    /// One writer at a time: a copy must not miss what another writer adds. Inside stands the part to be swept next.
    writing: Mutex<u8>,
    max_age: Option<Duration>,
    made: Instant,
    /// When the list was complete, in milliseconds since `made`, plus one; 0 is never.
    complete: AtomicU64,
}

/// All that is known at one time, each name in the part that it is spread to.
#[derive(Clone)]
struct Parts([Arc<Shard>; SHARDS]);

impl Revocations {
    /// Nothing is revoked yet, as far as is known. With a `max_age`, a guard answers 503 where it knows nothing newer than
    /// that; without, it goes by what it knows.
    #[must_use]
    pub fn new(max_age: Option<Duration>) -> Self {
        Self(Arc::new(List {
            parts: ArcSwap::from_pointee(Parts(array::from_fn(|_| Arc::default()))),
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
        let parts = self.0.parts.load();
        // Both in any case: a processor then waits for both tables at once.
        parts.of(session).has_session(session) | parts.of(subject).has_subject(subject, iat)
    }

    /// Adds `entries` to what is known, and forgets some of what was over before `now`, in seconds since 1970. A `notBefore` that lies
    /// further ahead than clocks may differ was written by a clock that was wrong: it is taken as now plus the leeway.
    pub fn add(&self, entries: &[Revocation], now: u64) {
        let latest = now.max(clock::now());
        let mut marks: Vec<Mark> = entries.iter().map(|entry| Mark::of(entry, latest)).collect();
        marks.sort_unstable_by_key(|mark| mark.key().spread());
        self.0.change(|parts, next| {
            for marks in marks.chunk_by(|one, other| one.key().spread() == other.key().spread()) {
                parts.change(marks[0].key().spread(), |shard| shard.with(marks));
            }
            parts.sweep(next, now);
        });
    }

    /// Forgets some of what was over before `now`, in seconds since 1970; all of it after 52 calls.
    pub fn sweep(&self, now: u64) {
        self.0.change(|parts, next| parts.sweep(next, now));
    }

    /// The list holds all that was revoked before `at`. Said after [`Revocations::add`], never before. A moment before the list was
    /// made confirms nothing.
    pub fn confirm(&self, at: Instant) {
        let Some(since) = at.checked_duration_since(self.0.made) else { return };
        let since = u64::try_from(since.as_millis()).unwrap_or(u64::MAX);
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
        self.0.parts.load().0.iter().map(|shard| shard.len()).sum()
    }

    /// Whether none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl List {
    /// One after the other.
    fn change(&self, change: impl FnOnce(&mut Parts, &mut u8)) {
        let mut next = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let known = self.parts.load_full();
        let mut parts = Parts::clone(&known);
        change(&mut parts, &mut next);
        if parts.0.iter().zip(&known.0).any(|(new, old)| !Arc::ptr_eq(new, old)) {
            self.parts.store(Arc::new(parts));
        }
    }
}

impl Parts {
    fn of(&self, key: Key) -> &Shard {
        &self.0[usize::from(key.spread())]
    }

    fn change(&mut self, number: u8, new: impl FnOnce(&Shard) -> Option<Shard>) {
        let shard = &mut self.0[usize::from(number)];
        if let Some(new) = new(shard) {
            *shard = Arc::new(new);
        }
    }

    /// Forgets what was over before `now` in the part that is `next`, and in some behind it.
    fn sweep(&mut self, next: &mut u8, now: u64) {
        let latest = now.max(clock::now());
        for _ in 0..SWEPT_AT_ONCE {
            self.change(*next, |shard| shard.swept(now, latest));
            *next = next.wrapping_add(1);
        }
    }
}
