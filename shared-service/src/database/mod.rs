//! SQL databases: one SQL text for `SQLite` and Postgres, with time limits.

/// Backups of a database in use.
mod backup;
/// Timers and error counts of store calls.
mod calls;
/// The traits that let sqlx's queries run on a database or a transaction.
mod executor;
/// Indexes of a table that is filled.
mod indexes;
/// Schema migrations.
mod migrations;
/// Connection pools.
mod pool;
/// Queries of sqlx's `Any` on connections of a database.
mod statement;
/// Several statements that take effect together, or not at all.
mod transaction;

use std::fmt::Display;
use std::future::Future;
use std::time::{Duration, Instant};

use shared_claims::Problem;
use sqlx::error::DatabaseError;
use sqlx::migrate::MigrateError;

pub use self::backup::{BackupError, backup, backup_into};
pub(crate) use self::calls::describe as describe_calls;
use self::migrations::migrate;
pub(crate) use self::migrations::version_of;
pub use self::migrations::{Step, Work};
pub use self::pool::Database;
pub use self::transaction::{Connection, Transaction};

/// The time limit of a store call; a request that exceeds it is answered 503.
pub const LIMIT: Duration = Duration::from_secs(1);

const CONNECTIONS: u32 = 8;
/// The time that a start waits for a database that is not up yet, and the step between two tries.
const START_PATIENCE: Duration = Duration::from_secs(10);
const START_PAUSE: Duration = Duration::from_millis(250);
/// `SQLITE_CANTOPEN`: the file or its folder is missing, or cannot be written.
const NO_FILE: &str = "14";
/// Error codes that a retry does not mend: no file, and in Postgres a wrong password, a refused user, no such database and
/// a missing right.
const PERMANENT: [&str; 5] = [NO_FILE, "28P01", "28000", "3D000", "42501"];
/// `query_canceled` of Postgres, `SQLITE_INTERRUPT`.
const STOPPED: [&str; 2] = ["57014", "9"];

/// A failed store call. The text is for the log; a client only sees 503 or 500.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    /// The store is down, slow or full, or the outcome is unknown. The client may retry.
    #[error("{store} is unavailable: {cause}")]
    Unavailable {
        /// The store's name: "users", "sessions", ….
        store: &'static str,
        /// The driver's message.
        cause: String,
    },
    /// A newer version of the program has migrated the database. A retry does not help.
    #[error(
        "this database was made by a newer version (migration {version:04}): start that version, or restore a backup \
        from before"
    )]
    Newer {
        /// A migration that this program does not know.
        version: i64,
    },
    /// A record that no version of this program writes. A retry does not help.
    #[error("{store} holds a record that makes no sense: {what}")]
    Corrupt {
        /// The store's name.
        store: &'static str,
        /// Table, column and value.
        what: String,
    },
}

impl StoreError {
    /// The store `store` did not answer.
    pub fn unavailable(store: &'static str, cause: impl Display) -> Self {
        Self::Unavailable { store, cause: cause.to_string() }
    }

    /// The store `store` returned an invalid record.
    pub fn corrupt(store: &'static str, what: impl Display) -> Self {
        Self::Corrupt { store, what: what.to_string() }
    }

    /// Replaces the store's name in an error of "the database".
    fn of(self, store: &'static str) -> Self {
        match self {
            Self::Unavailable { cause, .. } => Self::Unavailable { store, cause },
            other => other,
        }
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

/// The driver's message, unless it quotes the address, which may contain a password.
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
        sqlx::Error::Io(cause) => cause.to_string(),
        sqlx::Error::Database(stopped) if has_code(error, &STOPPED) => {
            format!("the time for this call was up, and the database stopped it: {}", stopped.message())
        }
        // `Display` adds the line of Postgres's own source.
        sqlx::Error::Database(refused) => refused.message().to_owned(),
        _ => error.to_string(),
    }
}

/// Turns a store error into an error body without detail, and logs the error in full.
impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        log::error!("{error}");
        match error {
            StoreError::Unavailable { .. } => Self::unavailable(),
            StoreError::Newer { .. } | StoreError::Corrupt { .. } => Self::internal(),
        }
    }
}

/// Runs `work` against `store` with the time limit [`LIMIT`]. Every store call goes through here and is timed under
/// that name.
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
/// `SQLite`, the line `-- Postgres:` and the SQL of Postgres. Waits up to ten seconds for a database that is not up yet.
///
/// # Errors
/// The database cannot be reached, a migration fails, or a newer program has migrated further.
pub async fn open(url: &str, migrations: &[(&'static str, &'static str)]) -> Result<Database, StoreError> {
    open_with(url, migrations, &[]).await
}

/// Opens `url` as [`open`] does; some migrations also have a step in Rust.
///
/// # Errors
/// As [`open`].
pub async fn open_with(
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
        let cause = unprepared(&database, &error);
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

/// Checks that the database answers.
///
/// # Errors
/// It does not answer within [`LIMIT`].
pub async fn ping(database: &Database) -> Result<(), StoreError> {
    within("the database", sqlx::query("SELECT 1").execute(database)).await.map(drop)
}

/// Opens the database at `url` without creating or migrating it, for commands that run beside the service.
///
/// # Errors
/// The address is invalid.
pub fn open_existing(url: &str) -> Result<Database, StoreError> {
    Ok(Database::at(&url.replace("mode=rwc", "mode=rw"), 1)?)
}

/// The reason why `database` cannot be used, with its place.
pub(crate) fn unprepared(database: &Database, error: &sqlx::Error) -> StoreError {
    if let sqlx::Error::Migrate(error) = error
        && let MigrateError::VersionMissing(version) = **error
    {
        return StoreError::Newer { version };
    }
    let remedy = if has_code(error, &[NO_FILE]) {
        "; its folder must be there, and with ?mode=rwc the start makes the file"
    } else {
        ""
    };
    StoreError::unavailable("the database", format!("{}: {}{remedy}", database.place(), words(error)))
}

fn has_code(error: &sqlx::Error, codes: &[&str]) -> bool {
    error.as_database_error().and_then(DatabaseError::code).is_some_and(|code| codes.contains(&code.as_ref()))
}

/// True if a retry may succeed: the server is starting, or another instance is migrating.
fn may_pass(error: &sqlx::Error) -> bool {
    use MigrateError as M;
    use sqlx::Error as E;
    match error {
        E::Migrate(error) => match &**error {
            M::Execute(cause) | M::ExecuteMigration(cause, _) => may_pass(cause),
            _ => false,
        },
        E::Database(_) => !has_code(error, &PERMANENT),
        E::Io(_) | E::PoolTimedOut => true,
        _ => false,
    }
}
