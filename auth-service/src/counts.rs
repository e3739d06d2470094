use shared_service::{Outcomes, Timing};

/// Logins, by what came of them. `wrong` is whatever a stranger is told as wrong: the name, the password, a disabled account.
/// `throttled` are those that had to wait after wrong passwords; whoever calls too often never gets so far. `refused` came
/// with a body or an origin that is none.
pub static LOGINS: Outcomes = Outcomes::new(
    "auth_login_total",
    "Logins, by what came of them",
    &["ok", "wrong", "throttled", "busy", "unavailable", "refused", "failed"],
);

/// Uses of a refresh token, by what came of them: the last part of their event in the audit log, or `missing` where there was no
/// token, `refused` where body or origin are none.
pub static REFRESHES: Outcomes = Outcomes::new(
    "auth_refresh_total",
    "Uses of a refresh token, by what came of them",
    &["ok", "gone", "replayed", "unproven", "disabled", "missing", "unavailable", "refused", "failed"],
);

/// What a thread takes to hash a password or to check one.
pub static HASHING: Timing = Timing::new("auth_password_hash_seconds", "Time that a thread takes to hash a password");
