//! Counters of decisions, and the timer of hashing.

use metrics::counter;
use shared_service::{Named, show_counter, show_timer};
use strum::{IntoStaticStr, VariantNames};

const LOGINS: Named = ("auth_login_total", "Logins, by what came of them");
const REFRESHES: Named = ("auth_refresh_total", "Uses of a refresh token, by what came of them");
/// The time that a thread takes to hash a password or to check one.
pub(crate) const HASHING: Named = ("auth_password_hash_seconds", "Time that a thread takes to hash a password");

/// The result of a login that was within the limit of calls.
#[derive(Clone, Copy, IntoStaticStr, VariantNames)]
#[strum(serialize_all = "lowercase")]
pub(crate) enum LoginResult {
    Ok,
    /// The name or the password is wrong, or the account is disabled.
    Wrong,
    /// The client has to wait after wrong passwords.
    Throttled,
    /// The queue of passwords is full.
    Busy,
    Unavailable,
    /// The body or the origin is not acceptable.
    Refused,
    Failed,
}

/// The result of a use of a refresh token; `Gone` to `Disabled` as the audit log names them.
#[derive(Clone, Copy, IntoStaticStr, VariantNames)]
#[strum(serialize_all = "lowercase")]
pub(crate) enum RefreshResult {
    Ok,
    Gone,
    Replayed,
    Unproven,
    Disabled,
    /// The request holds no token.
    Missing,
    Unavailable,
    /// The body or the origin is not acceptable.
    Refused,
    Failed,
}

/// Shows all of them from the start.
pub(crate) fn register() {
    show_counter(LOGINS, LoginResult::VARIANTS);
    show_counter(REFRESHES, RefreshResult::VARIANTS);
    show_timer(HASHING);
}

impl LoginResult {
    pub(crate) fn count(self) {
        counter!(LOGINS.0, "result" => <&str>::from(self)).increment(1);
    }
}

impl RefreshResult {
    pub(crate) fn count(self) {
        counter!(REFRESHES.0, "result" => <&str>::from(self)).increment(1);
    }
}
