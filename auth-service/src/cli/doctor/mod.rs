//! The command `doctor`.

/// Checks of Redis.
mod redis;

use shared_claims::{LEEWAY, PublicKey, Revocation};
use shared_service::clock::now_ms;
use shared_service::database;
use shared_service::operations::doctor::{self, CheckResult, PATIENCE, Report, time_limited};
use shared_service::{Settings, start_logging};
use tokio::time::timeout;

use super::{CliError, Console};
use crate::app;
use crate::config::{Config, StoreConfig};
use crate::mail::MailSettings;
use crate::passwords::Passwords;
use crate::sessions::all_revoked;
use crate::users::{SeedError, Users};

const MAIL: &str = "mail";

/// Checks everything that the service needs, one line each, as `json` or text, without changing anything. The checks are
/// independent.
pub(super) async fn run_doctor(mut settings: Settings, json: bool, console: &mut Console) -> Result<(), CliError> {
    start_logging(&mut settings);
    let config = Config::read(&mut settings);
    let redis_is_wrong = config.stores.redis_url.is_none() && settings.is_set("REDIS_URL");
    let mail_is_set = settings.is_set("SMTP_URL");
    let mut report = Report::new(&mut console.output, json);
    report.print(doctor::key_file(&settings, "ACCESS_TOKEN_KEY"))?;
    report.print(doctor::settings(settings))?;
    report.print(secrets(&config))?;
    report.print_server(&config.server, &config.stores.database_url, &app::MIGRATIONS).await?;
    report.print(time_limited("passwords", cost_of_failures(&config.stores)).await)?;
    report.print(match &config.stores.redis_url {
        Some(address) => time_limited("redis", redis::redis(address)).await,
        None if redis_is_wrong => vec![CheckResult::fail("redis", "not asked, because of REDIS_URL: see settings")],
        None => vec![CheckResult::ok("redis", "no REDIS_URL: sessions are in the database")],
    })?;
    report.print(time_limited(MAIL, mail(&config.stores.mail, mail_is_set)).await)?;
    report.print(future_revocations(&config.stores).await)?;
    if !config.demo_data {
        report.print(demo_people(config.stores).await)?;
    }
    match report.failed() {
        0 => Ok(()),
        1 => Err(CliError::refused("1 line says FAIL")),
        some => Err(CliError::refused(format!("{some} lines say FAIL"))),
    }
}

/// Connects to the mail server as this service would, and checks that links travel encrypted. No mail is sent.
async fn mail(settings: &MailSettings, is_set: bool) -> Vec<CheckResult> {
    let mut found = vec![mail_server(settings, is_set).await];
    if let Some(url) = settings.public_url.as_ref().filter(|url| url.travels_in_clear()) {
        let says = format!("PUBLIC_URL is {url}: links and passwords travel unencrypted; use https://");
        found.push(CheckResult::warn(MAIL, says));
    }
    found
}

async fn mail_server(settings: &MailSettings, is_set: bool) -> CheckResult {
    let Some(smtp) = &settings.smtp else {
        if is_set {
            return CheckResult::fail(MAIL, "not asked, because of SMTP_URL: see settings");
        }
        return CheckResult::ok(MAIL, "no SMTP_URL: no mail is sent");
    };
    if smtp.is_log() {
        return CheckResult::warn(MAIL, "SMTP_URL is log: mails are written to the log, links and addresses included");
    }
    match smtp.check(settings.public_url.as_ref()).await {
        Ok(()) => CheckResult::ok(MAIL, "the mail server lets this service in"),
        Err(error) => CheckResult::fail(MAIL, error),
    }
}

/// Checks that no published demo password opens an account. `None` if the database does not answer, which its own check
/// reports.
async fn demo_people(stores: StoreConfig) -> Option<CheckResult> {
    let users = Users::new(database::open_existing(&stores.database_url).ok()?);
    let passwords = Passwords::start(stores.bcrypt_cost, stores.pepper).ok()?;
    match users.refuse_demo(&passwords).await {
        Ok(()) => Some(CheckResult::ok("users", "no published demo password opens an account")),
        Err(error @ SeedError::Published(_)) => Some(CheckResult::fail("users", error.to_string())),
        Err(SeedError::Store(_) | SeedError::Pool(_)) => None,
    }
}

/// Reports if failed logins take longer than configured, because of a costly stored hash. `None` if the database does
/// not answer.
async fn cost_of_failures(stores: &StoreConfig) -> Option<CheckResult> {
    let users = Users::new(database::open_existing(&stores.database_url).ok()?);
    let (usual, costliest) = (stores.bcrypt_cost, users.greatest_cost().await.ok()?);
    let Some(costly) = costliest.filter(|cost| *cost > usual) else {
        return Some(CheckResult::ok("passwords", format!("no stored hash costs more than BCRYPT_COST, {usual}")));
    };
    let says = format!(
        "a stored hash has the bcrypt cost {costly}, and BCRYPT_COST is {usual}: every failed login takes as long as one of \
         cost {costly} until the owners of such hashes log in or get a new password, and the service is started again"
    );
    Some(CheckResult::warn("passwords", says))
}

/// Counts users whose `notBefore` lies in the future, because of a clock that was ahead. `None` if the stores do not
/// answer, which their own checks report.
async fn future_revocations(stores: &StoreConfig) -> Option<CheckResult> {
    let entries = async { all_revoked(&*app::open_existing(stores).await?.1).await };
    let entries = timeout(PATIENCE, entries).await.ok()?.ok()?;
    let latest = now_ms().unsigned_abs() / 1000 + 2 * LEEWAY;
    let ahead =
        entries.iter().filter(|entry| matches!(entry, Revocation::Subject { not_before, .. } if *not_before > latest));
    Some(match ahead.count() {
        0 => CheckResult::ok("revocations", "no cut-off lies ahead"),
        some => {
            let says =
                format!("cut-offs that lie ahead: {some}, by a clock that was; they count as now plus {LEEWAY} s");
            CheckResult::warn("revocations", says)
        }
    })
}

fn secrets(config: &Config) -> Vec<CheckResult> {
    let (access, keys) = (&config.access, &config.access_keys);
    let told = |(key, state): (PublicKey, &str)| {
        CheckResult::ok("key", format!("{} of access tokens, kid {}: {state}", key.algorithm(), key.key_id()))
    };
    let secret = match (&access.secret, &keys.signing) {
        (None, Some(_)) => CheckResult::ok("secret", "no ACCESS_TOKEN_SECRET: ACCESS_TOKEN_KEY signs"),
        (Some(_), Some(_)) => CheckResult::ok(
            "secret",
            "ACCESS_TOKEN_SECRET verifies and no longer signs: remove it after ACCESS_TOKEN_TTL",
        ),
        (secret, None) => doctor::secret("ACCESS_TOKEN_SECRET", secret.as_ref(), access.previous.as_ref()),
    };
    let others = [
        secret,
        doctor::secret("REFRESH_TOKEN_SECRET", config.refresh_secret.as_ref(), config.refresh_previous.as_ref()),
        match config.stores.pepper {
            Some(_) => CheckResult::ok("secret", "PASSWORD_PEPPER is set: without it, no password here verifies"),
            None => CheckResult::ok("secret", "no PASSWORD_PEPPER"),
        },
    ];
    keys.states().into_iter().map(told).chain(others).collect()
}
