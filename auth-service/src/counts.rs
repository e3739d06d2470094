//! Counters of results, and the timer of hashing.

use metrics::counter;
use shared_service::{Named, show_counter, show_timer};
use strum::{IntoStaticStr, VariantNames};

const LOGINS: Named = ("auth_login_total", "Logins by result");
const REFRESHES: Named = ("auth_refresh_total", "Uses of a refresh token by result");
const MAILS: Named = ("mail_total", "Attempts to send a mail by result");
/// The time that a thread takes to hash or to verify a password.
pub(crate) const HASHING: Named = ("auth_password_hash_seconds", "Time that a thread takes to hash a password");

/// The result of a login within the rate limit.
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
    /// The body or the origin is invalid.
    Refused,
    Failed,
}

/// The result of a refresh; `Gone` to `Disabled` have the names of the audit events.
#[derive(Clone, Copy, IntoStaticStr, VariantNames)]
#[strum(serialize_all = "lowercase")]
pub(crate) enum RefreshResult {
    Ok,
    Gone,
    Replayed,
    Unproven,
    Disabled,
    /// The request contains no token.
    Missing,
    Unavailable,
    /// The body or the origin is invalid.
    Refused,
    Failed,
}

/// The result of a try to send a mail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, IntoStaticStr, VariantNames)]
#[strum(serialize_all = "lowercase")]
pub(crate) enum MailResult {
    Sent,
    /// The next try is later.
    Retried,
    /// The mailbox had three mails of the kind in the last hour.
    Limited,
    /// No enabled account has the address.
    Dropped,
    /// It was given up.
    Failed,
}

/// The same, where mail is on.
pub(crate) fn register_with_mail() {
    register();
    show_counter(MAILS, MailResult::VARIANTS);
}

/// Exports all of them from the start.
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

impl MailResult {
    pub(crate) fn count(self) {
        counter!(MAILS.0, "result" => <&str>::from(self)).increment(1);
    }
}

impl RefreshResult {
    pub(crate) fn count(self) {
        counter!(REFRESHES.0, "result" => <&str>::from(self)).increment(1);
    }
}
