//! The composition root: the only file that names a concrete store.

use std::error::Error;
use std::future::ready;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use actix_web::web::{self, Data};
use shared_claims::Revocations;
use shared_service::clock::now_ms;
use shared_service::database::{self, Database, StoreError};
use shared_service::http::openapi::{docs, docs_at_root};
use shared_service::operations::document;
use shared_service::{Metrics, Readiness, RevocationSettings, Running, as_gauge, bind, health, log_secret};

use crate::config::{AUDIENCE, Config, StoreConfig};
use crate::grants::Grants;
use crate::limits::{FailureStore, Limits, Rates, RedisFailures, SITE_FACTOR, SqlFailures};
use crate::mail::Recovery;
use crate::passwords::Passwords;
use crate::redis::Redis;
use crate::revocations::RevocationReader;
use crate::routes::{Calls, Introspector, Metadata, State, table};
use crate::sessions::{RedisSessions, SessionStore, SqlSessions};
use crate::sql::SqlStore;
use crate::tokens::{self, Tokens};
use crate::users::{Users, respell_emails};
use crate::{counts, endings};

/// All migrations, in order.
pub const MIGRATIONS: [(&str, &str); 11] = [
    ("0001_users", include_str!("../migrations/0001_users.sql")),
    ("0002_sessions", include_str!("../migrations/0002_sessions.sql")),
    ("0003_failures", include_str!("../migrations/0003_failures.sql")),
    ("0004_revocations", include_str!("../migrations/0004_revocations.sql")),
    ("0005_session_ends", include_str!("../migrations/0005_session_ends.sql")),
    ("0006_endings", include_str!("../migrations/0006_endings.sql")),
    ("0007_email_spellings", include_str!("../migrations/0007_email_spellings.sql")),
    ("0008_mail", include_str!("../migrations/0008_mail.sql")),
    ("0009_user_text", include_str!("../migrations/0009_user_text.sql")),
    ("0010_ticket_makers", include_str!("../migrations/0010_ticket_makers.sql")),
    ("0011_session_place", include_str!("../migrations/0011_session_place.sql")),
];

const SWEEP_EVERY: Duration = Duration::from_mins(1);
const SWEEP_BATCH: u32 = 500;

/// The stores and hashing threads, also for commands that run concurrently with the service.
pub struct Stores {
    /// The users.
    pub users: Users,
    /// Their sessions.
    pub sessions: Arc<dyn SessionStore>,
    /// The hashing threads.
    pub passwords: Arc<Passwords>,
    /// Password reset and email verification.
    pub recovery: Arc<Recovery>,
    pub(crate) limited: Limited,
    pool: Database,
}

/// The store of rate limits, which also holds the sessions.
pub(crate) enum Limited {
    Sql { sessions: Arc<SqlSessions>, failures: Arc<SqlFailures> },
    Redis(Redis),
}

impl Limited {
    /// The name of the store.
    pub(crate) const fn name(&self) -> &'static str {
        match self {
            Self::Sql { .. } => "the database",
            Self::Redis(_) => "Redis",
        }
    }
}

/// Starts the service that `config` describes; it serves requests once the result is awaited. All revocations are added
/// to `known`, for verifiers in the same process.
///
/// # Errors
/// A store failed, the tokens cannot be signed, the address cannot be used, the system provides no threads, or the demo
/// users cannot be added.
pub async fn start(config: Config, known: Revocations) -> Result<Running, Box<dyn Error>> {
    let tokens = tokens(&config)?;
    let auth = Data::new(config.access.bearer_auth(AUDIENCE)?.with_revocations(known.clone()));
    log_secret("REFRESH_TOKEN_SECRET", config.refresh_secret.as_ref());
    log_secret("REFRESH_TOKEN_SECRET_PREVIOUS", config.refresh_previous.as_ref());
    let introspector = Introspector::of(&config)?;
    let metadata = Metadata::of(&config.access.issuer, introspector.is_some());
    let Config { server, access, revocations: list, demo_data, registration, .. } = config;
    let (ip_rate_limit, account_failure_limit) = (config.ip_rate_limit, config.account_failure_limit);
    let Stores { users, sessions, passwords, recovery, limited, pool } = open(config.stores).await?;
    users.keep_sessions_in(limited.name()).await?;
    if demo_data {
        users.seed_demo(&passwords, matches!(limited, Limited::Sql { .. }), now_ms()).await?;
    } else {
        users.refuse_demo(&passwords).await?;
    }
    let revocations = Arc::new(RevocationReader::new(Arc::clone(&sessions), known.clone()));
    let readiness = readiness(pool, &sessions, &revocations);
    revocations.poll(list.poll).await;
    endings::complete_in_background(users.clone(), &sessions, list.poll);
    recovery.start_sending();
    let grants = Grants::new(users.clone(), Arc::clone(&sessions), tokens);
    let metrics = RevocationSettings::export(metrics(server.name, &limited, &passwords, &recovery), &known);
    let state = Data::new(State {
        users,
        sessions,
        passwords,
        recovery,
        grants,
        limits: limits(&limited, ip_rate_limit, account_failure_limit),
        revocations,
        allowed_origins: server.allowed_origins.clone(),
        keys: access.keys,
        introspector,
        metadata,
        registration,
    });
    let docs = docs(document::<Calls>);
    let routes = move |routes: &mut web::ServiceConfig| {
        // The order matters: a request is compared with the registered paths one after the other.
        routes.app_data(auth.clone()).app_data(state.clone()).configure(table).configure(health(&readiness));
        routes.configure(docs.clone()).configure(docs_at_root);
    };
    Ok(bind(&server, metrics, routes)?)
}

/// Creates the signer of tokens, which reads its keys again at each SIGHUP.
fn tokens(config: &Config) -> Result<Arc<Tokens>, Box<dyn Error>> {
    let tokens = Arc::new(Tokens::new(config)?);
    if config.access.keys.is_some() {
        config.access_keys.log();
        tokens::reload_on_hangup(Arc::clone(&tokens))?;
    }
    Ok(tokens)
}

/// Opens the stores of `config`.
///
/// # Errors
/// A database failed, or the system provides no threads.
pub async fn open(config: StoreConfig) -> Result<Stores, Box<dyn Error>> {
    let pool = database::open(&config.database_url, &MIGRATIONS, &[(7, respell_emails)]).await?;
    let (sessions, limited): (Arc<dyn SessionStore>, _) = if let Some(address) = config.redis_url {
        let redis = Redis::open(address)?;
        (Arc::new(RedisSessions::on(redis.clone(), config.rules)), Limited::Redis(redis))
    } else {
        let store = SqlStore::open(pool.clone()).await?;
        let sessions = Arc::new(SqlSessions::on(store.clone(), config.rules).await?);
        let failures = Arc::new(SqlFailures(store));
        let counted = Arc::clone(&failures);
        every_minute(&sessions, move |sessions| sweep(sessions, Arc::clone(&counted)));
        (Arc::<SqlSessions>::clone(&sessions), Limited::Sql { sessions, failures })
    };
    let recovery = Recovery::new(config.mail, &pool, &sessions);
    let users = recovery.users.clone();
    let passwords = Passwords::start(config.bcrypt_cost, config.pepper)?;
    if let Some(cost) = users.greatest_cost().await? {
        passwords.expect_cost(cost);
    }
    Ok(Stores { users, sessions, passwords: Arc::new(passwords), recovery: Arc::new(recovery), limited, pool })
}

/// Opens users and sessions without creating or migrating the database, for commands that run while the service runs.
pub(crate) async fn open_existing(config: &StoreConfig) -> Result<(Users, Arc<dyn SessionStore>), StoreError> {
    let pool = database::open_existing(&config.database_url)?;
    let sessions: Arc<dyn SessionStore> = match config.redis_url.clone() {
        Some(address) => Arc::new(RedisSessions::on(Redis::open(address)?, config.rules)),
        None => Arc::new(SqlSessions::on(SqlStore::open(pool.clone()).await?, config.rules).await?),
    };
    Ok((Users::new(pool), sessions))
}

async fn sweep(sessions: Arc<SqlSessions>, failures: Arc<SqlFailures>) {
    if let Err(error) = tokio::try_join!(sessions.sweep(SWEEP_BATCH), failures.sweep(SWEEP_BATCH)) {
        log::warn!("ended sessions were not swept: {error}");
    }
}

/// Calls `sweep` every minute, until `store` is dropped.
///
/// Not an actix task: actix ends its tasks before requests in flight are finished.
fn every_minute<T, S>(store: &Arc<T>, sweep: impl Fn(Arc<T>) -> S + Send + 'static)
where
    T: Send + Sync + 'static,
    S: Future<Output = ()> + Send,
{
    let store = Arc::downgrade(store);
    tokio::spawn(async move {
        loop {
            tokio::time::sleep(SWEEP_EVERY).await;
            let Some(store) = store.upgrade() else { return };
            sweep(store).await;
        }
    });
}

/// Limits of `calls` per minute and of consecutive `failures`; 0 disables a limit.
fn limits(limited: &Limited, calls: u32, failures: u32) -> Limits {
    let store: Arc<dyn FailureStore> = match limited {
        Limited::Sql { failures, .. } => Arc::<SqlFailures>::clone(failures),
        Limited::Redis(redis) => Arc::new(RedisFailures(redis.clone())),
    };
    Limits {
        rates: NonZeroU32::new(calls)
            .map(|calls| [calls, calls.saturating_mul(SITE_FACTOR)].map(|calls| rates(limited, calls))),
        failures: NonZeroU32::new(failures).map(|failures| (failures, store)),
    }
}

fn rates(limited: &Limited, per_minute: NonZeroU32) -> Arc<Rates> {
    if let Limited::Redis(redis) = limited {
        return Arc::new(Rates::Redis(redis.clone(), per_minute));
    }
    let rates = Arc::new(Rates::local(per_minute));
    every_minute(&rates, |rates| async move { rates.sweep() });
    rates
}

/// Creates the metrics other than those of requests and stores. Open sessions are counted in SQL only, where one query
/// does it; Redis stores them by user.
fn metrics(service: &'static str, limited: &Limited, passwords: &Arc<Passwords>, recovery: &Recovery) -> Metrics {
    let queued = Arc::clone(passwords);
    let register = if recovery.users.outbox.is_some() { counts::register_with_mail } else { counts::register };
    let depth = ("auth_password_queue_depth", "Passwords that wait for a hashing thread");
    let metrics = Metrics::new(service, env!("CARGO_PKG_VERSION"), register).count(depth, move || queued.queue_depth());
    let metrics = recovery.shown(metrics);
    let Limited::Sql { sessions, .. } = limited else { return metrics };
    let sessions = Arc::clone(sessions);
    metrics.gauge(("auth_sessions_open", "Sessions that have neither ended nor expired"), move || {
        let sessions = Arc::clone(&sessions);
        async move {
            let counted = sessions.count_open().await;
            counted.inspect_err(|error| log::warn!("open sessions are not counted: {error}")).ok().map(as_gauge)
        }
    })
}

fn readiness(pool: Database, sessions: &Arc<dyn SessionStore>, revocations: &Arc<RevocationReader>) -> Readiness {
    let is_read = |list: Arc<RevocationReader>| ready(list.is_read().then_some(()).ok_or("the list is not read yet"));
    Readiness::default()
        .with("database", pool, |pool| async move { database::ping(&pool).await })
        .with("sessions", Arc::clone(sessions), |sessions| async move { sessions.ping().await })
        .with("revocations", Arc::clone(revocations), is_read)
}
