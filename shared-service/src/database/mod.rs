//! SQL databases: one SQL text for `SQLite` and Postgres, with time limits.

/// Backups of a database in use.
mod backup;
/// Bulk inserts.
mod bulk;
/// Timers and error counts of store calls.
mod calls;
/// Connections for single statements.
mod direct;
/// Failures, for the log and for a client.
mod error;
/// sqlx's `Executor` for a database and for a transaction.
mod executor;
/// Schema migrations.
mod migrations;
/// Connection pools.
mod pool;
/// Execution of sqlx's `Any` queries on typed connections.
mod statement;
/// Transactions that are cancelled when they are dropped.
mod transaction;

use std::future::Future;
use std::time::{Duration, Instant};

use sqlx::postgres::PgConnectOptions;
use sqlx::sqlite::SqliteConnectOptions;

pub(crate) use self::backup::{backup, backup_into};
pub(crate) use self::calls::describe as describe_calls;
pub use self::error::StoreError;
use self::error::may_pass;
pub(crate) use self::error::{other_migration, unprepared};
use self::migrations::migrate;
pub use self::migrations::{Step, Work};
pub(crate) use self::migrations::{applied, changed, version_of};
pub use self::pool::Database;
pub use self::transaction::{Connection, Transaction};
use crate::settings::Kind;

/// The time limit of a store call; a request that exceeds it is answered 503.
pub const LIMIT: Duration = Duration::from_secs(1);

const CONNECTIONS: u32 = 8;
/// The time that the start waits for a database that is not up yet, and the pause between two attempts.
const START_PATIENCE: Duration = Duration::from_secs(10);
const START_PAUSE: Duration = Duration::from_millis(250);

/// Runs `work` against `store` with the time limit [`LIMIT`]. Every store call goes through here and is timed under the
/// name `store`.
///
/// # Errors
/// The error of `work`, or [`StoreError::Unavailable`] after the time limit; the call may then have taken effect or
/// not.
pub async fn within<T, E: Into<StoreError>>(
    store: &'static str,
    work: impl Future<Output = Result<T, E>>,
) -> Result<T, StoreError> {
    let began = calls::begin();
    let done = match tokio::time::timeout(LIMIT, work).await {
        Ok(done) => done.map_err(|error| error.into().of(store)),
        Err(_) => Err(StoreError::unavailable(store, "no answer within 1 s")),
    };
    calls::end(store, began, done.is_err());
    done
}

/// Opens `url` (`sqlite://file.db?mode=rwc` or `postgres://…`) and applies `migrations`.
///
/// A migration is a name that starts with its number, `0001_users`, and SQL that both databases accept; or the SQL of
/// `SQLite`, the line `-- Postgres:` and the SQL of Postgres. `steps` adds work in Rust to some
/// migrations. Waits up to ten seconds for the database to come up.
///
/// # Errors
/// The database cannot be reached, a migration fails, or a newer version of the program has migrated the database.
pub async fn open(
    url: &str,
    migrations: &[(&'static str, &'static str)],
    steps: &[Step],
) -> Result<Database, StoreError> {
    let database = Database::at(url, CONNECTIONS)?;
    let (began, mut told) = (Instant::now(), String::new());
    let prepare = async || {
        database.probe().await?;
        migrate(&database, migrations, steps).await
    };
    while let Err(error) = Box::pin(prepare()).await {
        let cause = unprepared(&database.place(), &error);
        if began.elapsed() > START_PATIENCE || !may_pass(&error) {
            return Err(cause);
        }
        if told != cause.to_string() {
            told = cause.to_string();
            log::warn!("{told}; trying again for {} s", START_PATIENCE.as_secs());
        }
        tokio::time::sleep(START_PAUSE).await;
    }
    Ok(database)
}

/// True if the driver understands `url`.
pub(crate) fn is_address(url: &str) -> bool {
    match Kind::of(url) {
        Kind::Sqlite(_) => url.parse::<SqliteConnectOptions>().is_ok(),
        Kind::Postgres => url.parse::<PgConnectOptions>().is_ok(),
    }
}

/// Checks that the database answers.
///
/// # Errors
/// It does not answer within [`LIMIT`].
pub async fn ping(database: &Database) -> Result<(), StoreError> {
    within("the database", sqlx::query("SELECT 1").execute(database)).await.map(drop)
}

/// Opens the database at `url` without creating or migrating it, for commands that run while the service runs.
///
/// # Errors
/// The address is invalid.
pub fn open_existing(url: &str) -> Result<Database, StoreError> {
    Ok(Database::at(&url.replace("mode=rwc", "mode=rw"), 1)?)
}
