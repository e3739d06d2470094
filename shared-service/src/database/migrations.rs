use std::future::Future;
use std::pin::Pin;
use std::time::Instant;

use log::Level;
use sqlx::migrate::{MigrateError, Migration, MigrationType};
use sqlx::{Any, Executor, Row, SqlStr, query};

use super::{Connection, Database};

/// The table of sqlx's own migrator, readable by its tools and by earlier versions of this program.
const TABLES: [&str; 2] = [
    "CREATE TABLE IF NOT EXISTS _sqlx_migrations (version BIGINT PRIMARY KEY, description TEXT NOT NULL, installed_on \
     TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP, success BOOLEAN NOT NULL, checksum BLOB NOT NULL, execution_time \
     BIGINT NOT NULL)",
    "CREATE TABLE IF NOT EXISTS _sqlx_migrations (version BIGINT PRIMARY KEY, description TEXT NOT NULL, installed_on \
     TIMESTAMPTZ NOT NULL DEFAULT now(), success BOOLEAN NOT NULL, checksum BYTEA NOT NULL, execution_time \
     BIGINT NOT NULL)",
];
const APPLIED: &str = "SELECT version, checksum FROM _sqlx_migrations WHERE success ORDER BY version";
const RECORD: &str = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
     VALUES ($1, $2, TRUE, $3, -1)";

/// The line before the text for Postgres, in a migration that has a text of its own for each database.
const POSTGRES: &str = "\n-- Postgres:\n";

/// The work of a [`Step`].
pub type Work<'c> = Pin<Box<dyn Future<Output = Result<(), sqlx::Error>> + Send + 'c>>;

/// The number of a migration, and a step in Rust that runs after its SQL in the same transaction.
pub type Step = (i64, fn(&mut Connection) -> Work<'_>);

/// The number at the start of a migration's name.
pub(crate) fn version_of(name: &str) -> i64 {
    name.split_once('_').map_or(name, |(number, _)| number).parse().unwrap_or(0)
}

/// Applies the missing migrations in one transaction, under a lock that ends with the transaction. sqlx's own migrator
/// takes a session lock, which does not work through a pooler in transaction mode.
pub(super) async fn migrate(
    database: &Database,
    migrations: &[(&'static str, &'static str)],
    steps: &[Step],
) -> Result<(), sqlx::Error> {
    let migrations: Vec<_> =
        migrations.iter().map(|&(name, sql)| migration(name, text(sql, database.is_postgres()))).collect();
    database.prepare_file().await?;
    // Usually nothing is missing, and no lock is needed. The query fails if the table does not exist yet.
    if let Ok(applied) = applied(database).await
        && missing(&applied, &migrations)?.is_empty()
    {
        return Ok(());
    }
    let mut transaction = database.begin_migration().await?;
    transaction.execute(TABLES[usize::from(database.is_postgres())]).await?;
    let missing = missing(&applied(&mut *transaction).await?, &migrations)?;
    // In a new database there are no rows to rewrite, so no migration takes long.
    let level = if missing.len() == migrations.len() { Level::Debug } else { Level::Info };
    for (number, migration) in missing.iter().enumerate() {
        let began = Instant::now();
        let (version, count) = (migration.version, missing.len());
        log::log!(level, "migration {} of {count}: {version:04} {}", number + 1, migration.description);
        let done = transaction.execute(migration.sql.clone()).await;
        done.map_err(|error| MigrateError::ExecuteMigration(error, migration.version))?;
        for (_, work) in steps.iter().filter(|(version, _)| *version == migration.version) {
            work(&mut transaction).await?;
        }
        let record = query(RECORD).bind(migration.version).bind(migration.description.to_string());
        record.bind(migration.checksum.to_vec()).execute(&mut *transaction).await?;
        log::log!(level, "migration {version:04} took {} ms", began.elapsed().as_millis());
    }
    transaction.commit().await
}

/// The part of `sql` for one of the two databases.
fn text(sql: &'static str, is_postgres: bool) -> &'static str {
    sql.split_once(POSTGRES).map_or(sql, |(sqlite, postgres)| if is_postgres { postgres } else { sqlite })
}

fn migration(name: &'static str, sql: &'static str) -> Migration {
    let (_, description) = name.split_once('_').unwrap_or((name, ""));
    Migration::new(version_of(name), description.into(), MigrationType::Simple, SqlStr::from_static(sql), false)
}

/// The versions and checksums of the applied migrations.
pub(crate) async fn applied<'c>(on: impl Executor<'c, Database = Any>) -> Result<Vec<(i64, Vec<u8>)>, sqlx::Error> {
    let rows = query(APPLIED).fetch_all(on).await?;
    rows.iter().map(|row| Ok((row.try_get("version")?, row.try_get("checksum")?))).collect()
}

/// The version of an applied migration that differs from that of the same number in `migrations`.
pub(crate) fn changed(
    applied: &[(i64, Vec<u8>)],
    migrations: &[(&'static str, &'static str)],
    is_postgres: bool,
) -> Option<i64> {
    let mut known = migrations.iter().map(|&(name, sql)| migration(name, text(sql, is_postgres)));
    let is_changed = |known: &Migration| {
        applied.iter().any(|(version, checksum)| *version == known.version && *checksum != *known.checksum)
    };
    known.find(is_changed).map(|known| known.version)
}

/// The migrations that are not applied yet. Fails if an applied one is unknown or changed.
fn missing<'m>(applied: &[(i64, Vec<u8>)], migrations: &'m [Migration]) -> Result<Vec<&'m Migration>, MigrateError> {
    for (version, checksum) in applied {
        let known = migrations.iter().find(|migration| migration.version == *version);
        let known = known.ok_or(MigrateError::VersionMissing(*version))?;
        if known.checksum != *checksum {
            return Err(MigrateError::VersionMismatch(*version));
        }
    }
    let is_missing = |migration: &&Migration| applied.iter().all(|(version, _)| *version != migration.version);
    Ok(migrations.iter().filter(is_missing).collect())
}
