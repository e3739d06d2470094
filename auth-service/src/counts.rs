//! Counters of results, and the timer of hashing.

use metrics::counter;
use shared_service::{Named, show_counter, show_timer};
use strum::{IntoStaticStr, VariantNames};

pub(crate) const LOGINS: Named = ("auth_login_total", "Logins by result");
pub(crate) const REFRESHES: Named = ("auth_refresh_total", "Uses of a refresh token by result");
pub(crate) const MAILS: Named = ("mail_total", "Attempts to send a mail by result");
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
    /// The queue of the hashing threads is full.
    Busy,
    Unavailable,
    /// The body or the origin is invalid.
    Refused,
    Failed,
}

/// The result of a refresh; `Gone` to `Disabled` are named like the audit events.
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

/// The result of an attempt to send a mail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, IntoStaticStr, VariantNames)]
#[strum(serialize_all = "lowercase")]
pub(crate) enum MailResult {
    Sent,
    /// The mail is sent again later.
    Retried,
    /// The mailbox received three mails of this kind in the last hour.
    Limited,
    /// No enabled account has the address.
    Dropped,
    /// The mail was given up.
    Failed,
}

/// Exports all counters and the timer from the start, if mail is enabled.
pub(crate) fn register_with_mail() {
    register();
    show_counter(MAILS, MailResult::VARIANTS);
}

/// Exports the counters, except those of mail, and the timer from the start.
pub(crate) fn register() {
    show_counter(LOGINS, LoginResult::VARIANTS);
    show_counter(REFRESHES, RefreshResult::VARIANTS);
    show_timer(HASHING);
}

/// Counts one `result` by the counter of its kind.
pub(crate) fn count(counter: Named, result: impl Into<&'static str>) {
    counter!(counter.0, "result" => result.into()).increment(1);
}
