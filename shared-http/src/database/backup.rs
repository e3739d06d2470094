use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use super::kind::Kind;
use super::{StoreError, look};

/// Why there is no backup.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// Postgres has tools of its own.
    #[error("this is Postgres: use pg_dump, as docs/runbook.md shows")]
    NotAFile,
    /// The new file; one that is there stays as it is.
    #[error("{0}: {1}")]
    File(String, io::Error),
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Copies the `SQLite` database at `url`, as it stands at one moment, into the new file `to`, which only its owner can
/// read. The service may run and write meanwhile: the copy is one read transaction, so it holds what `-wal` holds too.
/// When this returns, the copy is on the disk.
///
/// # Errors
/// See [`BackupError`]; then there is no file `to`, unless it was there before.
pub async fn backup(url: &str, to: &Path) -> Result<(), BackupError> {
    if Kind::of(url) == Kind::Postgres {
        return Err(BackupError::NotAFile);
    }
    let named = |error| BackupError::File(to.display().to_string(), error);
    // SQLite takes an empty file for none; so nobody else can open it in between.
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(to).map_err(named)?;
    let copied = copy(url, to).await;
    if copied.is_err() {
        // It was made above, and is worth nothing.
        drop(fs::remove_file(to));
    }
    copied?;
    File::open(to).and_then(|file| file.sync_all()).map_err(named)
}

async fn copy(url: &str, to: &Path) -> Result<(), StoreError> {
    let to = to.to_str().ok_or_else(|| StoreError::unavailable("the backup", "its path is not UTF-8"))?;
    sqlx::query("VACUUM INTO $1").bind(to.to_owned()).execute(&look(url)?).await?;
    Ok(())
}
