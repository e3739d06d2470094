use super::key::Key;
use super::table::Table;
use crate::{LEEWAY, Revocation};

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
    sessions: Table<u64>,
    subjects: Table<Cut>,
}

impl Mark {
    /// As it is taken at `now`.
    pub(super) fn of(revocation: &Revocation, now: u64) -> Self {
        match revocation {
            Revocation::Session { sid, until } => Self::Session { key: Key::of(sid), until: *until },
            Revocation::Subject { sub, not_before, until } => Self::Subject {
                key: Key::of(sub),
                cut: Cut { not_before: *not_before, until: *until }.brought_back(now),
            },
        }
    }

    pub(super) const fn key(&self) -> Key {
        match self {
            Self::Session { key, .. } | Self::Subject { key, .. } => *key,
        }
    }

    const fn session(self) -> Option<(Key, u64)> {
        if let Self::Session { key, until } = self { Some((key, until)) } else { None }
    }

    const fn subject(self) -> Option<(Key, Cut)> {
        if let Self::Subject { key, cut } = self { Some((key, cut)) } else { None }
    }
}

impl Cut {
    /// What shuts out all that either shuts out, as long as either does.
    fn with(self, other: Self) -> Self {
        Self { not_before: self.not_before.max(other.not_before), until: self.until.max(other.until) }
    }

    /// Whether it lies further ahead of `now` than a clock that is right can have put it: it may differ by the leeway.
    const fn is_ahead(self, now: u64) -> bool {
        self.not_before > now.saturating_add(2 * LEEWAY)
    }

    const fn brought_back(self, now: u64) -> Self {
        if self.is_ahead(now) { Self { not_before: now.saturating_add(LEEWAY), ..self } } else { self }
    }
}

impl Shard {
    pub(super) fn has_session(&self, key: Key) -> bool {
        self.sessions.get(key).is_some()
    }

    pub(super) fn has_subject(&self, key: Key, issued_at: u64) -> bool {
        self.subjects.get(key).is_some_and(|cut| issued_at < cut.not_before)
    }

    pub(super) fn len(&self) -> usize {
        self.sessions.len() + self.subjects.len()
    }

    /// This part with `marks` in it; `None` where they say nothing new.
    pub(super) fn with(&self, marks: &[Mark]) -> Option<Self> {
        if marks.iter().all(|mark| self.knows(mark)) {
            return None;
        }
        let (sessions, subjects) =
            (marks.iter().filter_map(|mark| mark.session()), marks.iter().filter_map(|mark| mark.subject()));
        Some(Self {
            sessions: self.sessions.with(sessions, u64::max),
            subjects: self.subjects.with(subjects, Cut::with),
        })
    }

    /// This part without what was over before `now`, and with nothing that lies too far ahead of `latest`; `None` where that changes
    /// nothing.
    pub(super) fn swept(&self, now: u64, latest: u64) -> Option<Self> {
        let over = self.sessions.values().chain(self.subjects.values().map(|cut| cut.until)).any(|until| until < now);
        let changes = over || self.subjects.values().any(|cut| cut.is_ahead(latest));
        changes.then(|| Self {
            sessions: self.sessions.kept(|until| (until >= now).then_some(until)),
            subjects: self.subjects.kept(|cut| (cut.until >= now).then_some(cut.brought_back(latest))),
        })
    }

    fn knows(&self, mark: &Mark) -> bool {
        match *mark {
            Mark::Session { key, until } => self.sessions.get(key).is_some_and(|known| known >= until),
            Mark::Subject { key, cut } => self
                .subjects
                .get(key)
                .is_some_and(|known| known.not_before >= cut.not_before && known.until >= cut.until),
        }
    }
}
