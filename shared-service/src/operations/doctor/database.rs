use std::collections::BTreeSet;
use std::path::Path;

use rustix::fs::{Access, access};

use super::{CheckResult, clock};
use crate::clock::now_ms;
use crate::database::{Database, StoreError, applied, changed, open_existing, other_migration, unprepared, version_of};
use crate::settings::Kind;

const WHAT: &str = "database";
const MIGRATIONS: &str = "migrations";

/// Checks that the database at `url` answers, that its clock is right, and that it has all `migrations`. Changes
/// nothing.
pub(super) async fn database(url: &str, migrations: &[(&'static str, &'static str)]) -> Vec<CheckResult> {
    if url.is_empty() {
        return vec![CheckResult::fail(WHAT, "no address is set, see settings")];
    }
    let kind = Kind::of(url);
    if let Some(found) = kind.file().and_then(|file| file_trouble(file, url)) {
        return vec![found];
    }
    match ask(url, &kind, migrations).await {
        Ok(found) => found,
        Err(error) => vec![CheckResult::fail(WHAT, error.to_string())],
    }
}

/// Checks a database file without opening it; returns the problem, if any. `SQLite` writes a journal into the same
/// folder, so the folder is checked too.
fn file_trouble(file: &Path, url: &str) -> Option<CheckResult> {
    let shown = file.display();
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if !folder.is_dir() {
        return Some(CheckResult::fail(
            WHAT,
            format!("{shown} is not there, and its folder is not either: make the folder"),
        ));
    }
    if let Err(error) = access(folder, Access::WRITE_OK | Access::EXEC_OK) {
        return Some(CheckResult::fail(
            WHAT,
            format!("{}, the folder of {shown}, cannot be written: {error}", folder.display()),
        ));
    }
    if file.exists() {
        let writable = std::fs::OpenOptions::new().append(true).open(file);
        return writable.err().map(|error| CheckResult::fail(WHAT, format!("{shown} cannot be written: {error}")));
    }
    Some(if url.contains("mode=rwc") {
        CheckResult::ok(WHAT, format!("{shown} is not there yet: the first start makes it"))
    } else {
        CheckResult::fail(WHAT, format!("{shown} is not there; with ?mode=rwc the start makes it"))
    })
}

async fn ask(
    url: &str,
    kind: &Kind,
    migrations: &[(&'static str, &'static str)],
) -> Result<Vec<CheckResult>, StoreError> {
    let pool = open_existing(url)?;
    pool.probe().await.map_err(|error| unprepared(&pool.place(), &error))?;
    let asked = now_ms();
    sqlx::query("SELECT 1").execute(&pool).await?;
    let mut found = vec![CheckResult::ok(WHAT, format!("{kind} answers, after {} ms", now_ms() - asked))];
    if matches!(kind, Kind::Postgres) {
        found.push(clock("the database", ahead_ms(&pool).await?));
    }
    found.push(match applied(&pool).await {
        Ok(applied) => match changed(&applied, migrations, pool.is_postgres()) {
            Some(version) => CheckResult::fail(MIGRATIONS, other_migration(version)),
            None => compare(&applied.into_iter().map(|(version, _)| version).collect(), migrations),
        },
        Err(_) => CheckResult::warn(MIGRATIONS, "none was applied yet: the next start does it"),
    });
    Ok(found)
}

/// The milliseconds by which Postgres's clock is ahead of this machine's; 0 if the difference is within the round trip.
async fn ahead_ms(pool: &Database) -> Result<i64, StoreError> {
    let asked = now_ms();
    let clock = "SELECT CAST(EXTRACT(EPOCH FROM CURRENT_TIMESTAMP) * 1000 AS BIGINT)";
    let there: i64 = sqlx::query_scalar(clock).fetch_one(pool).await?;
    Ok(there - there.clamp(asked, now_ms().max(asked)))
}

fn compare(applied: &BTreeSet<i64>, migrations: &[(&str, &str)]) -> CheckResult {
    let known: BTreeSet<i64> = migrations.iter().map(|(name, _)| version_of(name)).collect();
    if let Some(version) = applied.difference(&known).next() {
        return CheckResult::fail(MIGRATIONS, StoreError::Newer { version: *version }.to_string());
    }
    let (missing, all) = (known.difference(applied).count(), known.len());
    if missing > 0 {
        return CheckResult::warn(
            MIGRATIONS,
            format!("{missing} of {all} are still to be applied: the next start does it"),
        );
    }
    CheckResult::ok(MIGRATIONS, format!("all {all} are applied"))
}

#[cfg(test)]
mod tests {
    use super::super::Status;
    use super::*;

    #[test]
    fn a_database_is_as_new_as_the_program_or_not() {
        let known = [("0001_books", ""), ("0002_shelves", "")];
        for (applied, status, why) in [
            (&[1, 2][..], Status::Ok, "all"),
            (&[1], Status::Warn, "one to come"),
            (&[], Status::Warn, "none yet"),
            (&[1, 2, 99], Status::Fail, "a newer program was here"),
            (&[1, 99], Status::Fail, "a newer program from another branch"),
        ] {
            assert_eq!(compare(&applied.iter().copied().collect(), &known).status, status, "{why}");
        }
    }
}
