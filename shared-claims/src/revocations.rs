use std::array;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use papaya::{HashMap, ResizeMode};

use crate::age::Age;
use crate::{LEEWAY, Revocation, clock};

/// A sweep looks at one part of the list, so that it is short. Swept every second, nothing is kept a minute longer than it must be.
const PARTS: usize = 48;

/// The revocations that a service has read. A look-up takes under 200 ns among a million entries, which hold 63 MB, and waits for
/// nothing, whatever is being added meanwhile. A clone is another handle on the same list.
///
/// What was added is forgotten only after its `until`: a later list that does not hold it takes nothing back.
#[derive(Clone)]
pub struct Revocations(pub(crate) Arc<List>);

/// The list behind the handles.
pub(crate) struct List {
    parts: [Part; PARTS],
    hasher: RandomState,
    /// The part to be swept next.
    next: AtomicUsize,
    /// Since when the list is complete.
    age: Age,
}

/// Entries by the hashes of their names. Among a million entries, one name in 10¹³ is taken for another, and its token refused.
/// Sessions and users are apart because a map of few users stays in the processor's cache.
struct Part {
    /// Each with its `until`.
    sessions: HashMap<u64, u64>,
    subjects: HashMap<u64, UserEntry>,
}

/// Tokens of one user that were made before a moment, and when the last of them is over.
#[derive(Clone, Copy)]
struct UserEntry {
    not_before: u64,
    until: u64,
}

impl Revocations {
    /// Nothing is revoked yet, as far as is known. With a `max_age`, a guard answers 503 where it knows nothing newer than
    /// that; without, it goes by what it knows.
    #[must_use]
    pub fn new(max_age: Option<Duration>) -> Self {
        Self(Arc::new(List {
            parts: array::from_fn(|_| Part { sessions: map(), subjects: map() }),
            hasher: RandomState::new(),
            next: AtomicUsize::new(0),
            age: Age::new(max_age),
        }))
    }

    /// Whether a token of session `sid` and user `sub`, made at `iat` (seconds since 1970), is known to be revoked.
    #[must_use]
    pub fn is_revoked(&self, sid: &str, sub: &str, iat: u64) -> bool {
        self.0.has_session(sid) || self.0.has_subject(sub, iat)
    }

    /// Adds `entries` to what is known, and forgets some of what was over before `now`, in seconds since 1970. A `notBefore` that lies
    /// further ahead than clocks may differ was written by a clock that was wrong: it is taken as now plus the leeway.
    pub fn add(&self, entries: &[Revocation], now: u64) {
        let latest = now.max(clock::now());
        for entry in entries {
            match entry {
                Revocation::Session { sid, until } => self.0.add_session(sid, *until),
                Revocation::Subject { sub, not_before, until } => {
                    let entry = UserEntry { not_before: *not_before, until: *until };
                    self.0.add_subject(sub, entry.corrected(latest));
                }
            }
        }
        self.sweep(now);
    }

    /// Forgets some of what was over before `now`, in seconds since 1970; all of it after 48 calls.
    pub fn sweep(&self, now: u64) {
        let latest = now.max(clock::now());
        let part = &self.0.parts[self.0.next.fetch_add(1, Ordering::Relaxed) % PARTS];
        part.sessions.pin().retain(|_, until| *until >= now);
        let subjects = part.subjects.pin();
        subjects.retain(|_, entry| entry.until >= now);
        for (key, _) in subjects.iter().filter(|(_, entry)| entry.is_ahead(latest)) {
            subjects.update(*key, |entry| entry.corrected(latest));
        }
    }

    /// The list holds all that was revoked before `at`. Said after [`Revocations::add`], never before. A moment before the list was
    /// made confirms nothing.
    pub fn confirm(&self, at: Instant) {
        self.0.age.confirm(at);
    }

    /// How long ago the list was complete; `None` if it never was.
    #[must_use]
    pub fn age(&self) -> Option<Duration> {
        self.0.age.get()
    }

    /// Whether there is a greatest age and the list is older, or never was complete.
    #[must_use]
    pub fn is_stale(&self) -> bool {
        self.0.age.is_stale()
    }

    /// How many entries are held, those that are over and not yet swept included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.parts.iter().map(|part| part.sessions.len() + part.subjects.len()).sum()
    }

    /// Whether none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Grows at once, not with later writes: a look-up in a map that has half grown looks into two tables.
fn map<V>() -> HashMap<u64, V> {
    HashMap::builder().resize_mode(ResizeMode::Blocking).build()
}

impl List {
    /// The hash of `name`, and the part that it belongs to.
    fn locate(&self, name: &str) -> (u64, &Part) {
        let key = self.hasher.hash_one(name);
        (key, &self.parts[usize::from(key.to_le_bytes()[0]) % PARTS])
    }

    fn has_session(&self, sid: &str) -> bool {
        let (key, part) = self.locate(sid);
        part.sessions.pin().contains_key(&key)
    }

    fn has_subject(&self, sub: &str, iat: u64) -> bool {
        let (key, part) = self.locate(sub);
        part.subjects.pin().get(&key).is_some_and(|entry| iat < entry.not_before)
    }

    /// The whole list may be told again, and mostly says nothing new.
    fn add_session(&self, sid: &str, until: u64) {
        let (key, part) = self.locate(sid);
        let sessions = part.sessions.pin();
        if sessions.get(&key).is_none_or(|known| *known < until) {
            sessions.update_or_insert(key, |known| until.max(*known), until);
        }
    }

    fn add_subject(&self, sub: &str, entry: UserEntry) {
        let (key, part) = self.locate(sub);
        let subjects = part.subjects.pin();
        if !subjects.get(&key).is_some_and(|known| known.covers(entry)) {
            subjects.update_or_insert(key, |known| known.with(entry), entry);
        }
    }
}

impl UserEntry {
    const fn covers(self, other: Self) -> bool {
        self.not_before >= other.not_before && self.until >= other.until
    }

    /// What shuts out all that either shuts out, as long as either does.
    fn with(self, other: Self) -> Self {
        Self { not_before: self.not_before.max(other.not_before), until: self.until.max(other.until) }
    }

    /// Whether it lies further ahead of `now` than a clock that is right can have put it: it may differ by the leeway.
    const fn is_ahead(self, now: u64) -> bool {
        self.not_before > now.saturating_add(2 * LEEWAY)
    }

    const fn corrected(self, now: u64) -> Self {
        if self.is_ahead(now) { Self { not_before: now.saturating_add(LEEWAY), ..self } } else { self }
    }
}
