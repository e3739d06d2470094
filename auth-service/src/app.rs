//! The composition root: the only file that names a concrete store.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use actix_web::web::{self, Data};
use shared_claims::{LEEWAY, SetupError};
use shared_http::clock::now_ms;
use shared_http::database::{self, StoreError};
use shared_http::{Readiness, Running, bind, health};
use sqlx::AnyPool;

use crate::config::{Config, StoreConfig};
use crate::grants::Grants;
use crate::passwords::Passwords;
use crate::routes::{State, table};
use crate::sessions::{self, RedisSessions, SessionStore, SqlSessions};
use crate::tokens::{AUDIENCE, Tokens};
use crate::users::{self, SeedError, Users};

const SWEEP_EVERY: Duration = Duration::from_mins(1);
const SWEEP_BATCH: u32 = 500;

/// Why the service does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The tokens.
    #[error(transparent)]
    Tokens(#[from] SetupError),
    /// The address, or threads.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The demo people.
    #[error(transparent)]
    Seed(#[from] SeedError),
}

/// What the service keeps and hashes, also for commands that work beside a running service.
pub struct Stores {
    /// People.
    pub users: Users,
    /// Their sessions.
    pub sessions: Arc<dyn SessionStore>,
    /// The threads that hash.
    pub passwords: Arc<Passwords>,
    pool: AnyPool,
}

/// Starts the service that `config` describes. It serves once the result is waited for.
///
/// # Errors
/// See [`StartError`].
pub async fn start(config: Config) -> Result<Running, StartError> {
    let tokens = Tokens::new(&config)?;
    let guard = Data::new(config.access.guard(AUDIENCE)?);
    let server = config.server.clone();
    let demo_data = config.demo_data;
    let Stores { users, sessions, passwords, pool } = open(config.stores).await?;
    if demo_data {
        users.seed_demo(&passwords, now_ms()).await?;
    }
    let readiness = readiness(pool, &sessions);
    let grants = Grants::new(users.clone(), Arc::clone(&sessions), tokens);
    let state =
        Data::new(State { users, sessions, passwords, grants, allowed_origins: server.allowed_origins.clone() });
    let routes = move |routes: &mut web::ServiceConfig| {
        routes.app_data(guard.clone()).app_data(state.clone()).configure(health(&readiness)).configure(table);
    };
    Ok(bind(&server, routes)?)
}

/// Opens the stores that `config` names.
///
/// # Errors
/// See [`StartError`].
pub async fn open(config: StoreConfig) -> Result<Stores, StartError> {
    let pool = database::open(&config.database_url, &[users::MIGRATION, sessions::MIGRATION]).await?;
    let sessions: Arc<dyn SessionStore> = if let Some(address) = config.redis_url {
        Arc::new(RedisSessions::new(address, config.rules)?)
    } else {
        let keep_ended = config.access_ttl + Duration::from_secs(LEEWAY);
        let sessions = Arc::new(SqlSessions::new(pool.clone(), config.rules, keep_ended).await?);
        actix_web::rt::spawn(sweep(Arc::downgrade(&sessions)));
        sessions
    };
    let users = Users::new(pool.clone());
    let passwords = Passwords::start(config.bcrypt_cost, config.pepper)?;
    if let Some(cost) = users.greatest_cost().await? {
        passwords.expect_cost(cost);
    }
    Ok(Stores { users, sessions, passwords: Arc::new(passwords), pool })
}

/// Removes what ended, again and again, for as long as somebody holds the store.
async fn sweep(sessions: std::sync::Weak<SqlSessions>) {
    loop {
        actix_web::rt::time::sleep(SWEEP_EVERY).await;
        let Some(sessions) = sessions.upgrade() else { return };
        if let Err(error) = sessions.sweep(SWEEP_BATCH).await {
            log::warn!("ended sessions were not swept: {error}");
        }
    }
}

fn readiness(pool: AnyPool, sessions: &Arc<dyn SessionStore>) -> Readiness {
    let sessions = Arc::clone(sessions);
    Readiness::default()
        .with("database", move || {
            let pool = pool.clone();
            async move { database::ping(&pool).await.map_err(|error| error.to_string()) }
        })
        .with("sessions", move || {
            let sessions = Arc::clone(&sessions);
            async move { sessions.ping().await.map_err(|error| error.to_string()) }
        })
}
