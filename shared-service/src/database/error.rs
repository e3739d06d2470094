use std::fmt::Display;

use shared_claims::Problem;
use sqlx::error::DatabaseError;
use sqlx::migrate::MigrateError;

/// `SQLITE_CANTOPEN`: the file or its folder is missing, or cannot be written.
const NO_FILE: &str = "14";
/// Codes of errors that a retry does not resolve: a missing file; in Postgres, a wrong password, a refused user, an
/// unknown database and a missing privilege.
const PERMANENT: [&str; 5] = [NO_FILE, "28P01", "28000", "3D000", "42501"];
/// Codes of a cancelled statement: `query_canceled` of Postgres, `SQLITE_INTERRUPT`.
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
    /// The error of a store that did not answer.
    pub fn unavailable(store: &'static str, cause: impl Display) -> Self {
        Self::Unavailable { store, cause: cause.to_string() }
    }

    /// The error of a store that returned an invalid record.
    pub fn corrupt(store: &'static str, what: impl Display) -> Self {
        Self::Corrupt { store, what: what.to_string() }
    }

    /// Replaces the name of the store in an error of "the database".
    pub(super) fn of(self, store: &'static str) -> Self {
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
        sqlx::Error::Io(cause) => cause.to_string(),
        // The pool tries again where the server refuses a connection, and then only reports the time.
        sqlx::Error::PoolTimedOut => "no connection in time: the server accepts none, or all are in use".to_owned(),
        sqlx::Error::Database(stopped) if has_code(error, &STOPPED) => {
            format!("the time for this call was up, and the database stopped it: {}", stopped.message())
        }
        // `Display` would add the line number in Postgres's own source.
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

/// The reason why the database at `place`, a file or an address, cannot be used.
pub(crate) fn unprepared(place: &str, error: &sqlx::Error) -> StoreError {
    if let sqlx::Error::Migrate(error) = error {
        match **error {
            MigrateError::VersionMissing(version) => return StoreError::Newer { version },
            MigrateError::VersionMismatch(version) => {
                return StoreError::unavailable("the database", format!("{place}: {}", other_migration(version)));
            }
            _ => {}
        }
    }
    let remedy = if has_code(error, &[NO_FILE]) {
        "; its folder must be there, and with ?mode=rwc the start makes the file"
    } else {
        ""
    };
    StoreError::unavailable("the database", format!("{place}: {}{remedy}", words(error)))
}

/// The description of a database in which the migration `version` is not the one of this program.
pub(crate) fn other_migration(version: i64) -> String {
    format!("migration {version:04} is another one there: is it the database of another service?")
}

fn has_code(error: &sqlx::Error, codes: &[&str]) -> bool {
    error.as_database_error().and_then(DatabaseError::code).is_some_and(|code| codes.contains(&code.as_ref()))
}

/// True if a retry may succeed: the server is starting, or another instance is migrating.
pub(super) fn may_pass(error: &sqlx::Error) -> bool {
    use sqlx::Error as E;
    match error {
        E::Migrate(error) => matches!(&**error, MigrateError::ExecuteMigration(cause, _) if may_pass(cause)),
        E::Database(_) => !has_code(error, &PERMANENT),
        E::Io(_) | E::PoolTimedOut => true,
        _ => false,
    }
}

/// True if the server or a pooler closed the connection before it was used.
pub(super) fn hung_up(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_) => true,
        sqlx::Error::Database(error) => {
            error.code().is_some_and(|code| ["57P", "08"].iter().any(|class| code.starts_with(class)))
        }
        _ => false,
    }
}
