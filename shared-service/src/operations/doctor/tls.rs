use x509_parser::parse_x509_certificate;

use super::CheckResult;
use crate::clock::rfc3339;
use crate::http::TlsFiles;

const WHAT: &str = "tls";
const DAY: i64 = 86_400;
/// The remaining validity, in seconds, below which the check warns: enough time to repair a failed renewal.
const SOON: i64 = 14 * DAY;

/// Checks that the certificate and its key can be read, belong together, and are valid at `now_ms`.
pub(super) fn certificate(files: Option<&TlsFiles>, now_ms: i64) -> CheckResult {
    let Some(files) = files else { return CheckResult::ok(WHAT, "no TLS_CERT: HTTP, for use behind a proxy") };
    let chain = match files.load() {
        Ok(key) => key.cert,
        Err(error) => return CheckResult::fail(WHAT, format!("{error}; see TLS_CERT and TLS_KEY")),
    };
    // A chain is valid until its first certificate expires.
    let read: Result<Vec<_>, _> = chain.iter().map(|der| parse_x509_certificate(der).map(|(_, read)| read)).collect();
    let Ok(read) = read else { return CheckResult::warn(WHAT, "the dates of a certificate cannot be read") };
    let from = read.iter().map(|one| one.validity().not_before.timestamp()).max().unwrap_or(i64::MIN);
    let until = read.iter().map(|one| one.validity().not_after.timestamp()).min().unwrap_or(i64::MAX);
    dated(from, until, now_ms / 1000)
}

fn dated(from: i64, until: i64, now: i64) -> CheckResult {
    let day = |seconds: i64| rfc3339(seconds.saturating_mul(1000))[..10].to_owned();
    let renew = "renew it, then send SIGHUP";
    match until - now {
        _ if from > now => CheckResult::fail(WHAT, format!("the certificate counts from {} on, not yet", day(from))),
        left if left < 0 => CheckResult::fail(WHAT, format!("the certificate ended on {}: {renew}", day(until))),
        left if left < SOON => {
            CheckResult::warn(WHAT, format!("the certificate ends on {}, in {} days: {renew}", day(until), left / DAY))
        }
        left => CheckResult::ok(WHAT, format!("the certificate is good until {}, {} days", day(until), left / DAY)),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Status;
    use super::*;

    #[test]
    fn a_certificate_is_good_between_its_dates() {
        let now = 1_769_860_800;
        for (from, until, status, part) in [
            (now - DAY, now + 90 * DAY, Status::Ok, "good until 2026-05-01, 90 days"),
            (now - DAY, now + 13 * DAY, Status::Warn, "in 13 days"),
            (now - DAY, now - 1, Status::Fail, "ended on 2026-01-31"),
            (now + DAY, now + 90 * DAY, Status::Fail, "from 2026-02-01 on, not yet"),
        ] {
            let found = dated(from, until, now);
            assert_eq!(found.status, status, "{found}");
            assert!(found.message.contains(part), "{part}: {found}");
        }
    }
}
