use std::time::{Duration, Instant};

use super::{Desk, Ended};
use crate::database::Database;

/// One database of each kind, with a desk at it.
async fn each() -> [(Database, Desk); 2] {
    [Database::sqlite(), Database::postgres().await].map(|database| {
        let desk = Desk::new().set("AUTH_DATABASE_URL", &database.url);
        (database, desk)
    })
}

async fn count(database: &Database, sql: &'static str) -> i64 {
    let mut connection = database.connect().await;
    sqlx::query_scalar(sql).fetch_one(&mut connection).await.unwrap()
}

#[tokio::test]
async fn instances_that_start_together_on_an_empty_database_migrate_it_once() {
    for round in 0..4 {
        for (database, desk) in each().await {
            let started: Vec<_> = (0..5).map(|_| desk.command(&["users", "list"]).spawn().unwrap()).collect();
            for process in started {
                Ended::from(process.wait_with_output().unwrap()).is(0);
            }
            let applied = count(&database, "SELECT COUNT(*) FROM _sqlx_migrations WHERE success").await;
            let known = i64::try_from(auth_service::app::migrations().len()).unwrap();
            assert_eq!(applied, known, "{} in round {round}", database.url);
            assert_eq!(count(&database, "SELECT COUNT(*) FROM _sqlx_migrations").await, known);
        }
    }
}

#[tokio::test]
async fn an_older_program_leaves_a_newer_database_alone() {
    const NEWER: &str = "auth-service: this database was made by a newer version (migration 0099): start that version, \
        or restore a backup from before";
    for (database, desk) in each().await {
        desk.run(&["users", "list"], "").is(0);
        let later = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
            SELECT 99, 'later', success, checksum, 0 FROM _sqlx_migrations WHERE version = 1";
        database.execute(later).await;
        for arguments in [&["serve"][..], &["users", "list"]] {
            let began = Instant::now();
            let ended = desk.run(arguments, "").is(1);
            assert_eq!(ended.err.lines().last(), Some(NEWER), "{}", database.url);
            assert!(!ended.err.contains("trying again") && began.elapsed() < Duration::from_secs(5), "{ended:?}");
        }
        let ended = desk.run(&["doctor"], "").is(1);
        assert!(ended.out.contains("made by a newer version (migration 0099)"), "{ended:?}");
    }
}

#[test]
fn a_backup_is_the_database_at_one_moment() {
    let desk = Desk::new();
    desk.run(&["users", "add", "anna"], "vK7#qz!Lw2").is(0);
    let _service = desk.serve();
    desk.run(&["backup", "copy.db"], "").is(0);
    desk.run(&["users", "add", "ben"], "vK7#qz!Lw2").is(0);
    let copy = Desk::new().set("AUTH_DATABASE_URL", &format!("sqlite://{}/copy.db", desk.folder.display()));
    let people = copy.run(&["users", "list"], "").is(0).out;
    assert!(people.contains("anna") && !people.contains("ben"), "{people}");
    let mode =
        std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(desk.folder.join("copy.db")).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600, "it holds hashes: for its owner alone");
    let streamed = desk.command(&["backup", "-"]).output().unwrap();
    assert!(streamed.status.success() && streamed.stdout.starts_with(b"SQLite format 3\0"), "{streamed:?}");
    std::fs::write(copy.folder.join("streamed.db"), streamed.stdout).unwrap();
    let people = copy.set("AUTH_DATABASE_URL", "sqlite://streamed.db").run(&["users", "list"], "").is(0).out;
    assert!(people.contains("anna") && people.contains("ben"), "{people}");
    let beside = std::fs::read_dir(&desk.folder).unwrap().map(|file| file.unwrap().file_name());
    assert!(beside.into_iter().all(|name| !name.to_string_lossy().contains("backup")), "nothing is left");
    for (settings, file, expected, why) in [
        (&desk, "copy.db", "copy.db: File exists", "what is there stays"),
        (&desk, "no/such/copy.db", "no/such/copy.db: No such file", "no folder"),
    ] {
        let ended = settings.run(&["backup", file], "").is(1);
        assert!(ended.err.contains(expected), "{why}: {ended:?}");
    }
    let gone = Desk::new().set("AUTH_DATABASE_URL", "sqlite://gone.db?mode=rwc");
    gone.run(&["backup", "copy.db"], "").is(1);
    assert!(!gone.folder.join("copy.db").exists() && !gone.folder.join("gone.db").exists(), "nothing is left");
    let postgres = Desk::new().set("AUTH_DATABASE_URL", "postgres://user:password@localhost/auth");
    let ended = postgres.run(&["backup", "copy.db"], "").is(1);
    assert!(ended.err.contains("use pg_dump"), "{ended:?}");
}
