use std::io::{self, Write};
use std::net::IpAddr;

use actix_web::http::Uri;
use shared_claims::Poller;
use shared_service::operations::doctor::{self, CheckResult, Report, time_limited};
use shared_service::{Settings, start_logging};

use crate::Config;
use crate::app::MIGRATIONS;

const AUTH: &str = "auth";
const KEYS: &str = "keys";

/// Checks everything that the service needs, without changing anything. Writes one line per check to `out`, as text or
/// `json`. The checks are independent. Returns the number of FAIL lines.
///
/// # Errors
/// `out` cannot be written.
pub async fn doctor(mut settings: Settings, json: bool, out: impl Write) -> io::Result<usize> {
    start_logging(&mut settings);
    let config = Config::read(&mut settings);
    let access = &config.access;
    let mut report = Report::new(out, json);
    report.print(doctor::settings(settings))?;
    if access.secret.is_some() || config.jwks_url.is_none() {
        report.print([doctor::secret("ACCESS_TOKEN_SECRET", access.secret.as_ref(), access.previous.as_ref())])?;
    }
    if let Some(url) = &config.jwks_url {
        report.print(unencrypted(url))?;
        report.print(time_limited(KEYS, async { [published(url, access.secret.is_some()).await] }).await)?;
    }
    report.print_server(&config.server, &config.database_url, &MIGRATIONS).await?;
    report.print(time_limited(AUTH, async { [revocation_list(&config).await] }).await)?;
    Ok(report.failed())
}

/// A warning if the keys at `url` may cross a public network without encryption.
fn unencrypted(url: &str) -> Option<CheckResult> {
    let address = url.parse::<Uri>().ok().filter(|address| address.scheme_str() == Some("http"))?;
    let host = address.host()?.trim_matches(['[', ']']);
    let is_public = match host.parse() {
        Ok(IpAddr::V4(ip)) => !(ip.is_private() || ip.is_loopback() || ip.is_link_local()),
        Ok(IpAddr::V6(ip)) => !(ip.is_loopback() || ip.is_unique_local() || ip.is_unicast_link_local()),
        Err(_) => {
            host.contains('.') && ![".internal", ".local", ".localhost", ".svc"].iter().any(|end| host.ends_with(end))
        }
    };
    let says = format!("{url} is not encrypted: a server on the way could put a key of its own there; use https");
    is_public.then(|| CheckResult::warn(KEYS, says))
}

/// Checks that the public keys at `url` can be read.
async fn published(url: &str, has_secret: bool) -> CheckResult {
    let poller = Poller { start_timeout: doctor::PATIENCE * 3 / 4, has_secret, ..Poller::new(url) };
    match poller.keys().await {
        Ok(keys) if keys.age().is_none() => {
            CheckResult::fail(KEYS, format!("{url} does not answer: tokens of private keys are 503 until it does"))
        }
        Ok(keys) => {
            let names: Vec<_> =
                keys.keys().iter().map(|key| format!("{} kid {}", key.algorithm(), key.key_id())).collect();
            CheckResult::ok(KEYS, format!("{url} publishes {} keys: {}", names.len(), names.join(", ")))
        }
        Err(error) => CheckResult::fail(KEYS, format!("ACCESS_TOKEN_JWKS_URL: {error}")),
    }
}

/// Checks that the revocation list can be read.
async fn revocation_list(config: &Config) -> CheckResult {
    let Some(url) = &config.auth_url else {
        return CheckResult::ok(AUTH, "no AUTH_URL: a token is valid until its exp");
    };
    let poller = Poller { start_timeout: doctor::PATIENCE * 3 / 4, ..Poller::new(url) };
    match poller.start().await {
        Ok(list) if list.is_read() => {
            CheckResult::ok(AUTH, format!("auth-service answers with the revocation list: {} entries", list.len()))
        }
        Ok(_) if config.revocations.max_age.is_some() => CheckResult::fail(
            AUTH,
            "auth-service does not answer with the revocation list: with REVOCATION_MAX_AGE, all tokens are refused",
        ),
        Ok(_) => CheckResult::warn(
            AUTH,
            "auth-service does not answer with the revocation list: until it does, a token is valid until its exp",
        ),
        Err(error) => CheckResult::fail(AUTH, format!("AUTH_URL: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unencrypted_keys_from_a_public_host_are_named() {
        for (host, is_public) in [
            ("http://auth.example.com", true),
            ("http://203.0.113.9:3000", true),
            ("http://[2001:db8::1]", true),
            ("https://auth.example.com", false),
            ("http://auth:3000", false),
            ("http://localhost:3000", false),
            ("http://127.0.0.1:3000", false),
            ("http://10.1.2.3", false),
            ("http://[::1]:3000", false),
            ("http://[fd00::1]", false),
            ("http://auth.tokens.svc.cluster.local:3000", false),
            ("http://auth.internal", false),
        ] {
            let url = format!("{host}/.well-known/jwks.json");
            assert_eq!(unencrypted(&url).is_some(), is_public, "{host}");
        }
    }
}
