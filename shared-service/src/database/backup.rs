use std::error::Error;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use uuid::Uuid;

use super::{StoreError, open_existing};
use crate::settings::Kind;

const NOT_A_FILE: &str = "this is Postgres: use pg_dump, as docs/runbook.md shows";

/// Copies the `SQLite` database at `url`, as of one moment, into the new file `to`, which only its owner can read; an
/// existing file is never overwritten. The service may run and write meanwhile: the copy is one read transaction, so it
/// includes the content of `-wal`. The copy is synced to disk when this returns; an incomplete one is removed.
pub(crate) async fn backup(url: &str, to: &Path) -> Result<(), Box<dyn Error>> {
    if Kind::of(url) == Kind::Postgres {
        return Err(NOT_A_FILE.into());
    }
    let named = |error| format!("{}: {error}", to.display());
    // SQLite accepts an empty file as a new database. Creating it here, with mode 600, keeps other users out.
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(to).map_err(named)?;
    let copied = copy(url, to).await;
    if copied.is_err() {
        // This call created the file, and the copy in it is incomplete.
        drop(fs::remove_file(to));
    }
    copied?;
    Ok(File::open(to).and_then(|file| file.sync_all()).map_err(named)?)
}

/// Writes a copy as `backup` does, but to `out`. It first goes into a temporary file in the folder of the database,
/// because `SQLite` can only copy into a file.
pub(crate) async fn backup_into(url: &str, out: &mut impl Write) -> Result<(), Box<dyn Error>> {
    let kind = Kind::of(url);
    let file = kind.file().ok_or(NOT_A_FILE)?.with_added_extension(format!("backup-{}", Uuid::new_v4().simple()));
    backup(url, &file).await?;
    let copy = File::open(&file);
    // Unlinked while open: a process that is killed while it writes leaves no file behind.
    drop(fs::remove_file(&file));
    let named = |error| format!("the standard output: {error}");
    Ok(copy.and_then(|mut copy| io::copy(&mut copy, out)).and_then(|_| out.flush()).map_err(named)?)
}

async fn copy(url: &str, to: &Path) -> Result<(), StoreError> {
    let to = to.to_str().ok_or_else(|| StoreError::unavailable("the backup", "its path is not UTF-8"))?;
    sqlx::query("VACUUM INTO $1").bind(to.to_owned()).execute(&open_existing(url)?).await?;
    Ok(())
}
