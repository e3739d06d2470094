use std::array;
use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
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
    /// The [`UserEntry`] of each user whose `not_before` was lowered, packed as it was read.
    ahead: Mutex<HashMap<u64, u64>>,
    /// The part to be swept next.
    next: AtomicUsize,
    is_read: AtomicBool,
    pub(crate) age: Age,
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
            ahead: Mutex::default(),
            next: AtomicUsize::new(0),
            is_read: AtomicBool::new(false),
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

    /// Adds `entries` and drops some that expired before `now` (seconds since 1970); 48 calls cover the whole list. A
    /// `notBefore` further in the future than clocks may differ comes from a wrong clock: it is taken as now plus the
    /// leeway until its time comes. It is compared with the later of `now` and this machine's clock.
    pub fn add<'e>(&self, entries: impl IntoIterator<Item = &'e Revocation>, now: u64) {
        self.add_between(entries, now, now.max(clock::now()));
    }

    /// As [`Revocations::add`], given two clocks, of which `earliest` is not after `latest`: entries expire by the first,
    /// and a `notBefore` is in the future by the second.
    pub fn add_between<'e>(&self, entries: impl IntoIterator<Item = &'e Revocation>, earliest: u64, latest: u64) {
        for entry in entries {
            match entry {
                Revocation::Session { sid, until } => {
                    let (key, part) = self.0.locate(sid);
                    part.sessions.put(key, *until, |known| known.max(*until));
                }
                Revocation::Subject { sub, not_before, until } => {
                    let key = self.0.hasher.hash_one(sub);
                    let entry = UserEntry { not_before: *not_before, until: *until };
                    self.0.put(key, self.0.lower_if_ahead(key, entry, latest));
                }
            }
        }
        self.0.sweep(earliest, latest);
    }

    /// Records that the list contains everything revoked before `at`. Call it after [`Revocations::add`]. If `at` is
    /// before the list's creation, the list counts as read, not as complete.
    pub fn confirm(&self, at: Instant) {
        self.mark_read();
        self.0.age.confirm(at);
    }

    /// Records that the whole list was read, apart from entries that cannot be read.
    pub fn mark_read(&self) {
        self.0.is_read.store(true, Ordering::Release);
    }

    /// True once the whole list was read, apart from entries that cannot be read.
    #[must_use]
    pub fn is_read(&self) -> bool {
        self.0.is_read.load(Ordering::Acquire)
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
        (key, self.part(key))
    }

    fn part(&self, key: u64) -> &Part {
        &self.parts[usize::from(key.to_le_bytes()[0]) % PARTS]
    }

    fn put(&self, key: u64, entry: UserEntry) {
        let merged = |known| UserEntry::unpacked(known).with(entry).packed();
        self.part(key).subjects.put(key, entry.packed(), merged);
    }

    /// Lowers a `not_before` further ahead of `latest` than a correct clock can have put it. Also keeps the entry as it
    /// was read, because the wrong clock may be the one here. [`Table::revise`] may call this twice for an entry.
    fn lower_if_ahead(&self, key: u64, entry: UserEntry, latest: u64) -> UserEntry {
        if entry.not_before <= latest.saturating_add(2 * LEEWAY) {
            return entry;
        }
        let mut ahead = self.ahead();
        let kept = ahead.entry(key).or_default();
        *kept = UserEntry::unpacked(*kept).with(entry).packed();
        UserEntry { not_before: latest.saturating_add(LEEWAY), ..entry }
    }

    /// Restores the lowered entries whose time has come by `latest`, and sweeps a part.
    fn sweep(&self, earliest: u64, latest: u64) {
        let is_due = |entry: UserEntry| entry.not_before.min(entry.until) <= latest;
        // The lock of `ahead` ends here, before `put` takes the lock of a table: `revise` takes them in the opposite
        // order.
        let due: Vec<_> = self.ahead().extract_if(|_, entry| is_due(UserEntry::unpacked(*entry))).collect();
        for (key, entry) in due {
            self.put(key, UserEntry::unpacked(entry));
        }
        let part = &self.parts[self.next.fetch_add(1, Ordering::Relaxed) % PARTS];
        part.sessions.revise(|_, until| Some(until).filter(|until| *until >= earliest));
        part.subjects.revise(|key, entry| {
            let entry = UserEntry::unpacked(entry);
            (entry.until >= earliest).then(|| self.lower_if_ahead(key, entry, latest).packed())
        });
    }

    fn ahead(&self) -> MutexGuard<'_, HashMap<u64, u64>> {
        self.ahead.lock().unwrap_or_else(PoisonError::into_inner)
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
}
