//! Checks of a service's environment. They are independent and take two seconds at most each, so that every check gives
//! a result even if everything is broken.

/// The addresses.
mod address;
/// The database.
mod database;
/// The certificate.
mod tls;

use std::fmt;
use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::time::Duration;

use serde_json::{Value, json};
use shared_claims::{LEEWAY, Secret};
use strum::AsRefStr;

use self::address::address;
use self::database::database;
use self::tls::certificate;
use crate::clock::now_ms;
use crate::http::{ServerOptions, descriptors};
use crate::settings::Settings;

/// The time limit of one check.
pub const PATIENCE: Duration = Duration::from_secs(2);

/// The status of a check.
#[derive(AsRefStr, Clone, Copy, Debug, PartialEq, Eq)]
#[strum(serialize_all = "lowercase")]
pub enum Status {
    /// No problem.
    Ok,
    /// It works now, but may fail later.
    Warn,
    /// It does not work.
    #[strum(serialize = "FAIL")]
    Fail,
}

/// The result of one check: the observation and the remedy. Contains no secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckResult {
    /// The status.
    pub status: Status,
    /// The subject of the check, in one word.
    pub what: &'static str,
    /// The observation, and the remedy.
    pub message: String,
}

impl CheckResult {
    /// The result of a check of `what` without a problem.
    pub fn ok(what: &'static str, message: impl Into<String>) -> Self {
        Self { status: Status::Ok, what, message: message.into() }
    }

    /// The result of a check of `what` with a warning.
    pub fn warn(what: &'static str, message: impl Into<String>) -> Self {
        Self { status: Status::Warn, what, message: message.into() }
    }

    /// The result of a failed check of `what`.
    pub fn fail(what: &'static str, message: impl Into<String>) -> Self {
        Self { status: Status::Fail, what, message: message.into() }
    }

    fn json(&self) -> Value {
        json!({"status": self.status.as_ref(), "check": self.what, "message": self.message})
    }
}

impl fmt::Display for CheckResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:<4}  {:<10}  {}", self.status.as_ref(), self.what, self.message)
    }
}

/// Prints results as they come: as text, or as one JSON object per line.
pub struct Report<W> {
    out: W,
    json: bool,
    failed: usize,
}

impl<W: Write> Report<W> {
    /// An empty report.
    pub const fn new(out: W, json: bool) -> Self {
        Self { out, json, failed: 0 }
    }

    /// Prints each result on a line. A closed pipe (`| head`) is not an error.
    ///
    /// # Errors
    /// Writing fails.
    pub fn print(&mut self, findings: impl IntoIterator<Item = CheckResult>) -> io::Result<()> {
        for finding in findings {
            self.failed += usize::from(finding.status == Status::Fail);
            let line = if self.json { finding.json().to_string() } else { finding.to_string() };
            match writeln!(self.out, "{line}") {
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
                written => written?,
            }
        }
        Ok(())
    }

    /// Checks what every service has: certificate, addresses, open files, and the database at `url` with `migrations`.
    ///
    /// # Errors
    /// Writing fails.
    pub async fn print_server(
        &mut self,
        options: &ServerOptions,
        url: &str,
        migrations: &[(&'static str, &'static str)],
    ) -> io::Result<()> {
        self.print([certificate(options.tls.as_ref(), now_ms())])?;
        self.print(time_limited("address", address(options)).await)?;
        self.print([files(options)])?;
        self.print(time_limited("database", database(url, migrations)).await)
    }

    /// The number of failed checks.
    #[must_use]
    pub const fn failed(&self) -> usize {
        self.failed
    }
}

/// The results of `work`, which checks `what`, or a failure after the time limit.
pub async fn time_limited<F>(what: &'static str, work: impl Future<Output = F>) -> Vec<CheckResult>
where
    F: IntoIterator<Item = CheckResult>,
{
    match tokio::time::timeout(PATIENCE, work).await {
        Ok(found) => found.into_iter().collect(),
        Err(_) => vec![CheckResult::fail(what, format!("no answer within {} s", PATIENCE.as_secs()))],
    }
}

/// The source of the settings, their warnings and their errors.
#[must_use]
pub fn settings(settings: Settings) -> Vec<CheckResult> {
    const WHAT: &str = "settings";
    let read = settings.specs().len();
    let from = settings.file().map(|file| CheckResult::ok(WHAT, format!("{} is read, too", file.display())));
    let mut found: Vec<_> = from.into_iter().collect();
    found.extend(settings.warnings().into_iter().map(|warning| CheckResult::warn(WHAT, warning)));
    match settings.finish() {
        Ok(()) => found.push(CheckResult::ok(WHAT, format!("{read} are read, none is wrong"))),
        Err(error) => found.extend(error.0.iter().map(|wrong| CheckResult::fail(WHAT, wrong))),
    }
    found
}

/// A warning if every user of the machine can access the private key file of `setting`. Access of the file's group is
/// allowed, because mounted secrets are given to a group.
#[must_use]
pub fn key_file(settings: &Settings, setting: &str) -> Option<CheckResult> {
    let path = settings.raw(&format!("{setting}_FILE"))?;
    let mode = fs::metadata(path).ok()?.mode();
    let says = format!("{setting}_FILE: every user can read {path} (mode {:03o}): chmod 600", mode & 0o777);
    (mode & 0o007 != 0).then(|| CheckResult::warn("key", says))
}

/// Checks the limit of open files; each connection takes one.
fn files(options: &ServerOptions) -> CheckResult {
    const WHAT: &str = "files";
    /// Below this number of connections, the check warns if they are limited by open files and not by memory.
    const FEW: usize = 500;
    let (limit, connections) = (descriptors::limit(), options.max_connections);
    let says = format!("the start allows itself {limit} open files (the hard limit), and {connections} connections");
    if descriptors::connections() <= connections && connections < FEW {
        return CheckResult::warn(WHAT, says + ": raise the limit, with `ulimit -Hn` or LimitNOFILE");
    }
    CheckResult::ok(WHAT, says)
}

/// The `kid` of the current secret of `setting`, and of the previous one.
#[must_use]
pub fn secret(setting: &str, secret: Option<&Secret>, previous: Option<&Secret>) -> CheckResult {
    const WHAT: &str = "secret";
    let Some(secret) = secret else {
        return CheckResult::fail(WHAT, format!("{setting} is missing or wrong, see settings"));
    };
    let kid = secret.key_id();
    match previous {
        Some(previous) if previous.same_as(secret) => {
            let why = "the same as the one that signs: take it away";
            CheckResult::warn(WHAT, format!("{setting} signs as kid {kid}; {setting}_PREVIOUS is {why}"))
        }
        Some(previous) => {
            let why = "take it away when the last token that it signed is over";
            let previous = previous.key_id();
            CheckResult::ok(WHAT, format!("{setting} signs as kid {kid}; {setting}_PREVIOUS is kid {previous}: {why}"))
        }
        None => CheckResult::ok(WHAT, format!("{setting} signs as kid {kid}; no {setting}_PREVIOUS")),
    }
}

/// Compares the clock of `whose`, which is `ahead_ms` ahead, with this machine's clock.
#[must_use]
pub fn clock(whose: &str, ahead_ms: i64) -> CheckResult {
    const WHAT: &str = "clock";
    let leeway = i64::try_from(LEEWAY).unwrap_or(i64::MAX) * 1000;
    let apart = ahead_ms.abs();
    let which = if ahead_ms < 0 { "behind" } else { "ahead of" };
    let told = format!("{whose} is {}.{:03} s {which} this machine's clock", apart / 1000, apart % 1000);
    if apart >= leeway {
        return CheckResult::fail(
            WHAT,
            format!("{told}: fresh tokens are refused beyond {LEEWAY} s; set the clocks (NTP)"),
        );
    }
    if apart >= leeway / 5 {
        return CheckResult::warn(WHAT, format!("{told}; {LEEWAY} s are borne: set the clocks (NTP)"));
    }
    CheckResult::ok(WHAT, format!("{whose} and this machine agree to {apart} ms"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks_may_differ_a_little() {
        for (ahead_ms, status, why) in [
            (0, Status::Ok, "the same"),
            (-999, Status::Ok, "less than a second"),
            (1_000, Status::Warn, "a second"),
            (-4_999, Status::Warn, "nearly the leeway"),
            (5_000, Status::Fail, "the leeway"),
            (i64::MIN + 1, Status::Fail, "no clock at all"),
        ] {
            assert_eq!(clock("Redis", ahead_ms).status, status, "{why}");
        }
        assert_eq!(
            clock("Redis", -2_500).to_string(),
            "warn  clock       Redis is 2.500 s behind this machine's clock; 5 s are borne: set the clocks (NTP)"
        );
    }

    #[tokio::test]
    async fn check_is_bounded_by_the_time_limit() {
        let found = time_limited("redis", std::future::pending::<Vec<CheckResult>>()).await;
        assert_eq!(found, [CheckResult::fail("redis", "no answer within 2 s")]);
    }

    #[test]
    fn only_failures_are_counted() -> io::Result<()> {
        let mut out = Vec::new();
        let mut report = Report::new(&mut out, false);
        report.print([CheckResult::ok("a", "1"), CheckResult::warn("b", "2"), CheckResult::fail("c", "3")])?;
        assert_eq!(report.failed(), 1);
        assert_eq!(String::from_utf8_lossy(&out).lines().count(), 3);
        Ok(())
    }
}
