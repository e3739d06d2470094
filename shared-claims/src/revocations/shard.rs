use std::collections::HashMap;

use super::key::{ByKey, Key};
use crate::Revocation;

/// One revocation, with its name made short.
#[derive(Clone, Copy)]
pub(super) enum Mark {
    Session { key: Key, until: u64 },
    Subject { key: Key, cut: Cut },
}

/// Tokens of one user that were made before a moment, and when the last of them is over.
#[derive(Clone, Copy)]
pub(super) struct Cut {
    not_before: u64,
    until: u64,
}

/// One part of the list. It never changes: a copy takes its place.
#[derive(Clone, Default)]
pub(super) struct Shard {
    /// Each with its `until`.
    sessions: HashMap<Key, u64, ByKey>,
    subjects: HashMap<Key, Cut, ByKey>,
}

impl Mark {
    pub(super) fn of(revocation: &Revocation) -> Self {
        match revocation {
            Revocation::Session { sid, until } => Self::Session { key: Key::of(sid), until: *until },
            Revocation::Subject { sub, not_before, until } => {
                Self::Subject { key: Key::of(sub), cut: Cut { not_before: *not_before, until: *until } }
            }
        }
    }

    pub(super) const fn key(&self) -> Key {
        match self {
            Self::Session { key, .. } | Self::Subject { key, .. } => *key,
        }
    }
}

impl Cut {
    /// What shuts out all that either shuts out, as long as either does.
    fn with(self, other: Self) -> Self {
        Self { not_before: self.not_before.max(other.not_before), until: self.until.max(other.until) }
    }
}

impl Shard {
    pub(super) fn has_session(&self, key: Key) -> bool {
        self.sessions.contains_key(&key)
    }

    pub(super) fn has_subject(&self, key: Key, issued_at: u64) -> bool {
        self.subjects.get(&key).is_some_and(|cut| issued_at < cut.not_before)
    }

    pub(super) fn len(&self) -> usize {
        self.sessions.len() + self.subjects.len()
    }

    /// This part with `marks` in it; `None` where they say nothing new.
    pub(super) fn with(&self, marks: &[Mark]) -> Option<Self> {
        let mut new = marks.iter().filter(|mark| !self.knows(mark)).peekable();
        new.peek()?;
        let mut changed = self.clone();
        new.for_each(|mark| changed.put(mark));
        Some(changed)
    }

    /// This part without what was over before `now`; `None` where nothing was.
    pub(super) fn swept(&self, now: u64) -> Option<Self> {
        let over = self.sessions.values().chain(self.subjects.values().map(|cut| &cut.until)).any(|until| *until < now);
        // Collected anew rather than retained, so that the memory goes as well.
        over.then(|| Self {
            sessions: self
                .sessions
                .iter()
                .filter(|(_, until)| **until >= now)
                .map(|(key, until)| (*key, *until))
                .collect(),
            subjects: self.subjects.iter().filter(|(_, cut)| cut.until >= now).map(|(key, cut)| (*key, *cut)).collect(),
        })
    }

    fn knows(&self, mark: &Mark) -> bool {
        match mark {
            Mark::Session { key, until } => self.sessions.get(key).is_some_and(|known| known >= until),
            Mark::Subject { key, cut } => self
                .subjects
                .get(key)
                .is_some_and(|known| known.not_before >= cut.not_before && known.until >= cut.until),
        }
    }

    fn put(&mut self, mark: &Mark) {
        match *mark {
            Mark::Session { key, until } => {
                let known = self.sessions.entry(key).or_default();
                *known = until.max(*known);
            }
            Mark::Subject { key, cut } => {
                let known = self.subjects.entry(key).or_insert(cut);
                *known = known.with(cut);
            }
        }
    }
}
