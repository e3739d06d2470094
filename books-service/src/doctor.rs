use std::io::{self, Write};

use shared_claims::Poller;
use shared_service::clock::now_ms;
use shared_service::operations::doctor::{self, Finding, Report, look};
use shared_service::{Settings, start_logging};

use crate::Config;
use crate::app::MIGRATIONS;

const AUTH: &str = "auth";
const KEYS: &str = "keys";

/// Looks at all that the service needs, a line each into `out`, and changes nothing; how many lines say FAIL. What is broken
/// hides nothing else.
///
/// # Errors
/// Nobody reads what is said.
pub async fn doctor(mut settings: Settings, out: impl Write) -> io::Result<usize> {
    start_logging(&mut settings);
    let config = Config::read(&mut settings);
    let access = &config.access;
    let mut report = Report::new(out);
    report.tell(doctor::settings(settings))?;
    if access.secret.is_some() || config.jwks_url.is_none() {
        report.tell([doctor::secret("ACCESS_TOKEN_SECRET", access.secret.as_ref(), access.previous.as_ref())])?;
    }
    if let Some(url) = &config.jwks_url {
        report.tell(look(KEYS, async { [published(url).await] }).await)?;
    }
    report.tell([doctor::certificate(config.server.tls.as_ref(), now_ms())])?;
    report.tell(look("address", doctor::address(&config.server)).await)?;
    report.tell(look("database", doctor::database(&config.database_url, &MIGRATIONS)).await)?;
    report.tell(look(AUTH, async { [followed(&config).await] }).await)?;
    Ok(report.failed())
}

/// The public keys at `url`.
async fn published(url: &str) -> Finding {
    let poller = Poller { start_timeout: doctor::PATIENCE * 3 / 4, ..Poller::new(url) };
    match poller.keys().await {
        Ok(keys) if keys.age().is_none() => {
            Finding::bad(KEYS, format!("{url} does not answer: tokens of private keys are 503 until it does"))
        }
        Ok(keys) => {
            let names: Vec<_> =
                keys.keys().iter().map(|key| format!("{} kid {}", key.algorithm(), key.key_id())).collect();
            Finding::good(KEYS, format!("{url} publishes {} keys: {}", names.len(), names.join(", ")))
        }
        Err(error) => Finding::bad(KEYS, format!("ACCESS_TOKEN_JWKS_URL: {error}")),
    }
}

/// Whether it can be known who signed out.
async fn followed(config: &Config) -> Finding {
    let Some(url) = &config.auth_url else {
        return Finding::good(AUTH, "no AUTH_URL: a token counts until its exp");
    };
    let poller = Poller { start_timeout: doctor::PATIENCE * 3 / 4, ..Poller::new(url) };
    match poller.start().await {
        Ok(list) if list.age().is_some() => {
            Finding::good(AUTH, format!("auth-service tells what is revoked: {} entries", list.len()))
        }
        Ok(_) if config.revocations.max_age.is_some() => {
            Finding::bad(AUTH, "auth-service does not tell what is revoked: with REVOCATION_MAX_AGE, nobody is let in")
        }
        Ok(_) => Finding::doubtful(
            AUTH,
            "auth-service does not tell what is revoked: until it does, a token counts until its exp",
        ),
        Err(error) => Finding::bad(AUTH, format!("AUTH_URL: {error}")),
    }
}
