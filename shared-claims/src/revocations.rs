use std::array;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use self::table::Table;
use crate::age::Age;
use crate::{LEEWAY, Revocation, clock};

/// The hash table of the entries.
mod table;

/// The number of parts of the list. A sweep covers one part, so that it is short. With one sweep per second, an expired
/// entry is dropped within a minute.
const PARTS: usize = 48;

/// The revocation list of a service. A million entries occupy 32 MB at most. A lookup never waits for a writer. Clones
/// share one list.
///
/// An entry is dropped only after its `until`; it stays even if a later response of auth-service does not contain it.
#[derive(Clone)]
pub struct Revocations(pub(crate) Arc<List>);

/// The state that all clones share.
pub(crate) struct List {
    parts: [Part; PARTS],
    hasher: RandomState,
    /// The part to be swept next.
    next: AtomicUsize,
    age: Age,
}

/// Entries by the hashes of their ids. Among a million entries, one id in 10¹³ collides with a listed one, and its
/// token is refused. Sessions and users have separate tables, because the small table of users stays in the processor's
/// cache.
struct Part {
    /// The `until` of each session.
    sessions: Table,
    /// The packed [`UserEntry`] of each user.
    subjects: Table,
}

/// Revokes the tokens of one user issued before `not_before`, until `until`.
#[derive(Clone, Copy)]
struct UserEntry {
    not_before: u64,
    until: u64,
}

impl Revocations {
    /// An empty list. With a `max_age`, requests are answered 503 once the list is older, and before it is first read.
    /// Without one, the last known list is used.
    #[must_use]
    pub fn new(max_age: Option<Duration>) -> Self {
        Self(Arc::new(List {
            parts: array::from_fn(|_| Part { sessions: Table::new(), subjects: Table::new() }),
            hasher: RandomState::new(),
            next: AtomicUsize::new(0),
            age: Age::new(max_age),
        }))
    }

    /// True if the list revokes a token of session `sid` and user `sub`, issued at `iat` (seconds since 1970).
    #[must_use]
    pub fn is_revoked(&self, sid: &str, sub: &str, iat: u64) -> bool {
        let (key, part) = self.0.locate(sid);
        if part.sessions.get(key).is_some() {
            return true;
        }
        let (key, part) = self.0.locate(sub);
        part.subjects.get(key).is_some_and(|entry| iat < UserEntry::unpacked(entry).not_before)
    }

    /// Adds `entries` and drops some that expired before `now` (seconds since 1970). A `notBefore` further in the
    /// future than clocks may differ comes from a wrong clock: it is replaced by now plus the leeway.
    pub fn add<'e>(&self, entries: impl IntoIterator<Item = &'e Revocation>, now: u64) {
        let latest = now.max(clock::now());
        for entry in entries {
            match entry {
                Revocation::Session { sid, until } => {
                    let (key, part) = self.0.locate(sid);
                    part.sessions.put(key, *until, |known| known.max(*until));
                }
                Revocation::Subject { sub, not_before, until } => {
                    let entry = UserEntry { not_before: *not_before, until: *until }.corrected(latest);
                    let (key, part) = self.0.locate(sub);
                    part.subjects.put(key, entry.packed(), |known| UserEntry::unpacked(known).with(entry).packed());
                }
            }
        }
        self.sweep(now);
    }

    /// Drops some of the entries that expired before `now` (seconds since 1970); 48 calls cover the whole list.
    pub fn sweep(&self, now: u64) {
        let latest = now.max(clock::now());
        let part = &self.0.parts[self.0.next.fetch_add(1, Ordering::Relaxed) % PARTS];
        part.sessions.revise(|until| Some(until).filter(|until| *until >= now));
        part.subjects.revise(|entry| {
            let entry = UserEntry::unpacked(entry);
            (entry.until >= now).then(|| entry.corrected(latest).packed())
        });
    }

    /// Records that the list contains everything revoked before `at`. Call it after [`Revocations::add`]. Ignored if
    /// `at` is before the list's creation.
    pub fn confirm(&self, at: Instant) {
        self.0.age.confirm(at);
    }

    /// Time since the list was last complete; `None` if it never was.
    #[must_use]
    pub fn age(&self) -> Option<Duration> {
        self.0.age.get()
    }

    /// True if there is a maximum age, and the list is older or was never complete.
    #[must_use]
    pub fn is_stale(&self) -> bool {
        self.0.age.is_stale()
    }

    /// The number of entries, including expired ones that are not swept yet.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.parts.iter().map(|part| part.sessions.len() + part.subjects.len()).sum()
    }

    /// True if there are no entries.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl List {
    /// The hash of the id `name`, and the part that it belongs to.
    fn locate(&self, name: &str) -> (u64, &Part) {
        let key = self.hasher.hash_one(name);
        (key, &self.parts[usize::from(key.to_le_bytes()[0]) % PARTS])
    }
}

impl UserEntry {
    /// Both times in 32 bits each, which reach until 2106.
    fn packed(self) -> u64 {
        let short = |time: u64| time.min(u32::MAX.into());
        short(self.not_before) << 32 | short(self.until)
    }

    const fn unpacked(entry: u64) -> Self {
        Self { not_before: entry >> 32, until: entry & 0xffff_ffff }
    }

    /// The union: the later `not_before` and the later `until`.
    fn with(self, other: Self) -> Self {
        Self { not_before: self.not_before.max(other.not_before), until: self.until.max(other.until) }
    }

    /// Replaces a `not_before` further ahead of `now` than a correct clock can have put it.
    const fn corrected(self, now: u64) -> Self {
        let is_ahead = self.not_before > now.saturating_add(2 * LEEWAY);
        if is_ahead { Self { not_before: now.saturating_add(LEEWAY), ..self } } else { self }
    }
}
