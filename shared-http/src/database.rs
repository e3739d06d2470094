//! SQL databases, opened and guarded alike by every service: one text for `SQLite` and Postgres through sqlx's `Any`.

/// Copies of a database that is in use.
mod backup;
/// What stands behind an address.
mod kind;

use std::fmt::Display;
use std::future::Future;
use std::time::{Duration, Instant};

use shared_claims::Problem;
use sqlx::AnyPool;
use sqlx::any::{AnyPoolOptions, install_default_drivers};
use sqlx::migrate::{MigrateError, Migration, MigrationType, Migrator};

pub use self::backup::{BackupError, backup, backup_into};
pub(crate) use self::kind::Kind;

use crate::metrics::StoreCall;

/// A store answers within this, or the request is told to come back.
pub const LIMIT: Duration = Duration::from_secs(1);

const CONNECTIONS: u32 = 8;
/// How long a start waits for a database that is not up yet, and in which steps.
const START_PATIENCE: Duration = Duration::from_secs(10);
const START_PAUSE: Duration = Duration::from_millis(250);
/// The folder is not there, or nobody may write into it: waiting does not help.
const SQLITE_CANTOPEN: &str = "14";

/// A store that did not do what it was asked to. The text is for the log; a client sees 503 or 500 and no more.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    /// Down, slow, full, or of unknown outcome: the caller may come back.
    #[error("{store} is unavailable: {cause}")]
    Unavailable {
        /// Which store: "users", "sessions", ….
        store: &'static str,
        /// The driver's words.
        cause: String,
    },
    /// A newer version of the program was here. Neither coming back nor trying again will help.
    #[error(
        "this database was made by a newer version (migration {version:04}): start that version, or restore a backup \
        from before"
    )]
    Newer {
        /// A migration that this program does not know.
        version: i64,
    },
    /// A record that no version of this program writes. Coming back will not help.
    #[error("{store} holds a record that makes no sense: {what}")]
    Corrupt {
        /// Which store.
        store: &'static str,
        /// Table, column, and what stands there.
        what: String,
    },
}

impl StoreError {
    /// The store `store` could not be asked, or its answer did not come.
    pub fn unavailable(store: &'static str, cause: impl Display) -> Self {
        Self::Unavailable { store, cause: cause.to_string() }
    }

    /// The store `store` answered with something that must not exist.
    pub fn corrupt(store: &'static str, what: impl Display) -> Self {
        Self::Corrupt { store, what: what.to_string() }
    }
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        use sqlx::Error as E;
        match error {
            E::ColumnNotFound(_) | E::ColumnDecode { .. } | E::Decode(_) | E::RowNotFound => {
                Self::corrupt("the database", error)
            }
            _ => Self::unavailable("the database", words(&error)),
        }
    }
}

/// The driver's words, unless they quote the address, which may hold a password.
fn words(error: &sqlx::Error) -> String {
    match error {
        sqlx::Error::Configuration(_) => "something in its address is not understood".to_owned(),
        sqlx::Error::Migrate(migration) => match &**migration {
            MigrateError::Execute(cause) | MigrateError::ExecuteMigration(cause, _)
                if matches!(cause, sqlx::Error::Configuration(_)) =>
            {
                words(cause)
            }
            _ => error.to_string(),
        },
        _ => error.to_string(),
    }
}

/// Where a request ends because of a store: logged here, once, in full; said to the client without detail.
impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        log::error!("{error}");
        match error {
            StoreError::Unavailable { .. } => Self::unavailable(),
            StoreError::Newer { .. } | StoreError::Corrupt { .. } => Self::internal(),
        }
    }
}

/// Runs `work` against `store` for at most [`LIMIT`]. Every call of a store goes through here, and is timed by that name.
///
/// # Errors
/// What `work` says, or [`StoreError::Unavailable`] when time is up; then whether it took effect is unknown.
pub async fn within<T, E: Into<StoreError>>(
    store: &'static str,
    work: impl Future<Output = Result<T, E>>,
) -> Result<T, StoreError> {
    let call = StoreCall::begin();
    let done = match tokio::time::timeout(LIMIT, work).await {
        Ok(done) => done.map_err(Into::into),
        Err(_) => Err(StoreError::unavailable(store, "no answer within 1 s")),
    };
    call.end(store, done.is_err());
    done
}

/// Opens `url` (`sqlite://file.db?mode=rwc` or `postgres://…`) and brings it to the newest of `migrations`.
///
/// A migration is a name that starts with its number, `0001_users`, and SQL that both databases take. A database that
/// is not up yet is waited for, ten seconds at most.
///
/// # Errors
/// The database cannot be reached, a migration fails, or a newer program has migrated further.
pub async fn open(url: &str, migrations: &[(&'static str, &'static str)]) -> Result<AnyPool, StoreError> {
    install_default_drivers();
    let options = AnyPoolOptions::new().max_connections(CONNECTIONS).acquire_timeout(LIMIT);
    // A server may have hung up, so a connection is tried before it is used; a file never does.
    let pool = options.test_before_acquire(Kind::of(url) == Kind::Postgres).connect_lazy(url)?;
    let migrator = Migrator { migrations: migrations.iter().map(migration).collect(), ..Migrator::DEFAULT };
    let began = Instant::now();
    while let Err(error) = prepare(&pool, url, &migrator).await {
        if began.elapsed() > START_PATIENCE || !may_pass(&error) {
            return Err(not_prepared(&error));
        }
        log::warn!("the database is not ready, trying again: {error}");
        tokio::time::sleep(START_PAUSE).await;
    }
    Ok(pool)
}

/// Asks the database behind `pool` for a sign of life.
///
/// # Errors
/// It gives none within [`LIMIT`].
pub async fn ping(pool: &AnyPool) -> Result<(), StoreError> {
    within("the database", sqlx::query("SELECT 1").execute(pool)).await.map(|_| ())
}

/// The database at `url` as it is: it is not brought up to date, nor made where it is missing. For questions that are
/// asked beside a running service.
///
/// # Errors
/// The address is none.
pub fn look(url: &str) -> Result<AnyPool, StoreError> {
    install_default_drivers();
    let url = url.replace("mode=rwc", "mode=rw");
    Ok(AnyPoolOptions::new().max_connections(1).acquire_timeout(LIMIT).connect_lazy(&url)?)
}

/// The number that the name of a migration starts with.
pub(crate) fn version_of(name: &str) -> i64 {
    name.split_once('_').map_or(name, |(number, _)| number).parse().unwrap_or(0)
}

fn migration(&(name, sql): &(&'static str, &'static str)) -> Migration {
    let (_, description) = name.split_once('_').unwrap_or((name, ""));
    Migration::new(version_of(name), description.into(), MigrationType::Simple, sqlx::SqlStr::from_static(sql), false)
}

async fn prepare(pool: &AnyPool, url: &str, migrator: &Migrator) -> Result<(), sqlx::Error> {
    if url.starts_with("sqlite:") {
        // A property of the file, not of a statement: readers and the one writer do not wait for each other.
        sqlx::query("PRAGMA journal_mode = WAL").execute(pool).await?;
    }
    migrator.run(pool).await.map_err(Into::into)
}

fn not_prepared(error: &sqlx::Error) -> StoreError {
    if let sqlx::Error::Migrate(error) = error
        && let MigrateError::VersionMissing(version) = **error
    {
        return StoreError::Newer { version };
    }
    StoreError::unavailable("the database", words(error))
}

/// Whether another try may succeed: the server is starting, or another instance migrates at this moment.
fn may_pass(error: &sqlx::Error) -> bool {
    use MigrateError as M;
    use sqlx::Error as E;
    match error {
        E::Migrate(error) => match &**error {
            M::Execute(cause) | M::ExecuteMigration(cause, _) => may_pass(cause),
            _ => false,
        },
        E::Database(error) => error.code().is_none_or(|code| code != SQLITE_CANTOPEN),
        E::Io(_) | E::PoolTimedOut => true,
        _ => false,
    }
}
