//! The record of a session, and the settings for sessions.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use shared_claims::LEEWAY;
use shared_service::database::StoreError;
use uuid::Uuid;

use crate::SESSION_STORE;

/// The generation of a session that was never refreshed.
pub const FIRST_GENERATION: i64 = 1;

/// The maximum number of live sessions per user; a login above it ends the one unused for the longest time.
pub const MOST_SESSIONS: usize = 200;

/// The maximum length of a text in a [`Label`], in characters.
const LABEL_LENGTH: usize = 256;

/// The shortest time for which a step reports a revocation of the user's tokens, in milliseconds: twice the tolerated
/// clock difference, and longer than any request.
pub(super) const RECENTLY: i64 = 10_000;

/// A thousand years in milliseconds. Longer durations are cut to this, so that no sum of times overflows.
const FOREVER: u128 = 31_556_952_000_000;

/// The id of a session, the claim `sid`: a random UUID (version 4) in lower case with hyphens, its only accepted
/// spelling.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct SessionId(Uuid);

impl SessionId {
    /// A new random id.
    pub(super) fn random() -> Self {
        Self(Uuid::new_v4())
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(f)
    }
}

impl FromStr for SessionId {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        // The UUID parser accepts braces, capitals and more.
        let id = text.parse().ok().map(Self).filter(|id| id.to_string() == text);
        id.ok_or("not the name of a session")
    }
}

/// The description by which a user recognizes a session. Text from the client: printable, bounded, not trustworthy.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Label {
    /// The `User-Agent` of the login.
    pub user_agent: String,
    /// The network address of the login.
    pub address: String,
}

impl Label {
    /// Removes control characters and keeps at most 256 characters of each text; empty if the client sent nothing.
    #[must_use]
    pub fn new(user_agent: &str, address: &str) -> Self {
        let printable = |text: &str| text.chars().filter(|c| !c.is_control()).take(LABEL_LENGTH).collect();
        Self { user_agent: printable(user_agent), address: printable(address) }
    }
}

/// A live session. It determines every claim of its current refresh token, so that the same session always gives the
/// same token.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Session {
    /// The id, the claim `sid`.
    pub id: SessionId,
    /// The user, the claim `sub`.
    pub user_id: String,
    /// The current generation, the claim `gen`.
    pub generation: i64,
    /// The time of the login.
    pub opened_at: i64,
    /// The time of the last rotation.
    pub rotated_at: i64,
    /// The `iat` of its newest access token: now, or slightly later so as not to be before the user's `notBefore`.
    pub issued_at: i64,
    /// The time by which `issued_at` is ahead of now; 0 in a session from `list`.
    pub issued_ahead: i64,
    /// The end of the session if it is not refreshed; never after `ends_at`.
    pub idle_ends_at: i64,
    /// The latest end of the session, fixed at login.
    pub ends_at: i64,
    /// True if the user's access tokens were revoked within the last 10 s, by the clock of the store. Not set by
    /// `list`.
    pub is_user_revoked: bool,
    /// The description of the client.
    pub label: Label,
}

/// The position of a session in the list of its user's sessions, newest first: login time and id.
pub type SessionPosition = (i64, SessionId);

impl Session {
    /// Its position in the list.
    #[must_use]
    pub const fn position(&self) -> SessionPosition {
        (self.opened_at, self.id)
    }

    /// True if the user may have changed between `since`, by this process's clock, and the step that returned this
    /// session: the user's tokens were revoked, or the step was later than a store call and a clock difference explain.
    pub(crate) const fn may_outdate_user(&self, since: i64) -> bool {
        let step_at = self.issued_at - self.issued_ahead;
        self.is_user_revoked || step_at - since > RECENTLY / 2
    }

    /// Checks that the record is one that a store can have written.
    pub(super) fn checked(self) -> Result<Self, StoreError> {
        let sound =
            self.generation >= FIRST_GENERATION && self.opened_at <= self.ends_at && self.idle_ends_at <= self.ends_at;
        if sound {
            return Ok(self);
        }
        let Self { id, generation, opened_at, idle_ends_at, ends_at, .. } = self;
        let what = format!("session {id}: generation {generation}, from {opened_at} to {idle_ends_at} or {ends_at}");
        Err(StoreError::corrupt(SESSION_STORE, what))
    }
}

/// The lifetimes of sessions.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    /// The lifetime of a session without a refresh.
    pub refresh_ttl: Duration,
    /// The maximum lifetime of a session; a changed setting applies to new sessions.
    pub max_age: Duration,
    /// The time after a rotation in which the previous generation still gets a response; zero disables that.
    pub grace: Duration,
    /// The lifetime of an access token, and so the time for which a revocation is listed.
    pub access_ttl: Duration,
}

impl Rules {
    /// The time for which a revoked token is listed, counted from its `iat`, in milliseconds.
    pub(super) fn keep_ms(&self) -> i64 {
        ms(self.access_ttl.saturating_add(Duration::from_secs(2 * LEEWAY)))
    }
}

/// The duration in whole milliseconds.
pub(super) fn ms(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis().min(FOREVER)).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn session_id_has_one_spelling() {
        let id = SessionId::random();
        assert_eq!(id.to_string().parse(), Ok(id));
        let name = "0b6f2c1e-8a53-4d0f-9f6e-2a7c5b1d4e90";
        assert_eq!(name.parse::<SessionId>().map(|id| id.to_string()), Ok(name.to_owned()));
        for (text, why) in [
            ("", "empty"),
            ("0b6f2c1e8a534d0f9f6e2a7c5b1d4e90", "no hyphens"),
            ("0B6F2C1E-8A53-4D0F-9F6E-2A7C5B1D4E90", "capitals"),
            ("{0b6f2c1e-8a53-4d0f-9f6e-2a7c5b1d4e90}", "braces"),
            ("urn:uuid:0b6f2c1e-8a53-4d0f-9f6e-2a7c5b1d4e90", "a URN"),
            ("0b6f2c1e-8a53-4d0f-9f6e-2a7c5b1d4e90\0", "a NUL at the end"),
        ] {
            assert_eq!(text.parse::<SessionId>(), Err("not the name of a session"), "{why}");
        }
    }

    #[test]
    fn a_label_is_printable_and_bounded() {
        let label = Label::new("curl\0/8\r\n", &"é".repeat(1000));
        assert_eq!(label.user_agent, "curl/8");
        assert_eq!(label.address, "é".repeat(LABEL_LENGTH));
    }

    #[test]
    fn no_duration_overflows() {
        assert_eq!(ms(Duration::from_secs(10)), 10_000);
        assert!(ms(Duration::MAX).checked_mul(3).is_some());
    }
}
