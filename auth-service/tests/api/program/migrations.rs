use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{Desk, Ended};
use crate::database::Database;
use crate::service::GOOD;

/// One database of each kind, each with a desk that uses it.
async fn each() -> Vec<(Database, Desk)> {
    let with_desk = |database: Database| {
        let desk = Desk::new().set("AUTH_DATABASE_URL", &database.url);
        (database, desk)
    };
    Database::each().await.into_iter().map(with_desk).collect()
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
            let known = i64::try_from(auth_service::app::MIGRATIONS.len()).unwrap();
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

#[tokio::test]
async fn emails_of_old_spellings_get_the_one_spelling() {
    const LOGINS: [(&str, &str); 8] = [
        ("anna", "anna@xn--mller-kva.example"),
        ("anna", "Anna@mu\u{308}ller.example"),
        ("anna", "anna@müller.example"),
        ("ben", "ben@müller.example"),
        ("ben", "ben@XN--mller-kva.example"),
        ("carla", "carla@example.org"),
        ("dora", "dora@xn--mller-kva.example"),
        ("dora", "dora@mu\u{308}ller.example"),
    ];
    for (database, desk) in each().await {
        for (name, stored) in [
            ("anna", "anna@xn--mller-kva.example"),
            ("ben", "ben@mu\u{308}ller.example"),
            ("carla", "carla@EXAMPLE.org"),
            ("dora", "dora@xn--mller-kva.example"),
            ("emil", "dora@mu\u{308}ller.example"),
            ("fred", "fred@localhost"),
        ] {
            desk.run(&["users", "add", name], GOOD).is(0);
            database.execute(&format!("UPDATE users SET email = '{stored}' WHERE username = '{name}'")).await;
        }
        database.execute("DELETE FROM _sqlx_migrations WHERE version = 7").await;
        let started: Vec<_> = (0..3).map(|_| desk.command(&["users", "export"]).spawn().unwrap()).collect();
        let ended = started.into_iter().map(|process| Ended::from(process.wait_with_output().unwrap()).is(0));
        let (out, log) = ended.fold((String::new(), String::new()), |(_, log), ended| (ended.out, log + &ended.err));
        let exported: Vec<Value> = out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let of = |name: &str| exported.iter().find(|user| user["username"] == name).unwrap();
        for (name, email) in [
            ("anna", "anna@müller.example"),
            ("ben", "ben@müller.example"),
            ("carla", "carla@example.org"),
            ("dora", "dora@müller.example"),
            ("emil", "dora@mu\u{308}ller.example"),
            ("fred", "fred@localhost"),
        ] {
            assert_eq!(of(name)["email"], email, "{name}");
            let lines: Vec<_> = log.lines().filter(|line| line.contains(of(name)["id"].as_str().unwrap())).collect();
            assert_eq!(lines.len(), usize::from(["emil", "fred"].contains(&name)), "{log}");
        }
        assert!(!log.contains('@'), "{log}");
        let service = desk.serve();
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        for (name, login) in LOGINS.into_iter().chain([("emil", "emil"), ("fred", "fred")]) {
            let request = client.post(service.url("/login")).json(&json!({"username": login, "password": GOOD}));
            let answer: Value = request.send().await.unwrap().json().await.unwrap();
            let token = answer["accessToken"].as_str().unwrap_or_else(|| panic!("{login}: {answer}"));
            let me = client.get(service.url("/me")).bearer_auth(token).send().await.unwrap();
            assert_eq!(me.json::<Value>().await.unwrap()["username"], name, "{login}");
        }
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
    assert_eq!(mode & 0o777, 0o600, "only the owner may read it: it holds hashes");
    let streamed = desk.command(&["backup", "-"]).output().unwrap();
    assert!(streamed.status.success() && streamed.stdout.starts_with(b"SQLite format 3\0"), "{streamed:?}");
    std::fs::write(copy.folder.join("streamed.db"), streamed.stdout).unwrap();
    let people = copy.set("AUTH_DATABASE_URL", "sqlite://streamed.db").run(&["users", "list"], "").is(0).out;
    assert!(people.contains("anna") && people.contains("ben"), "{people}");
    let beside = std::fs::read_dir(&desk.folder).unwrap().map(|file| file.unwrap().file_name());
    assert!(beside.into_iter().all(|name| !name.to_string_lossy().contains("backup")), "no draft is left");
    for (settings, file, expected, why) in [
        (&desk, "copy.db", "copy.db: File exists", "what is there stays"),
        (&desk, "no/such/copy.db", "no/such/copy.db: No such file", "no folder"),
    ] {
        let ended = settings.run(&["backup", file], "").is(1);
        assert!(ended.err.contains(expected), "{why}: {ended:?}");
    }
    let gone = Desk::new().set("AUTH_DATABASE_URL", "sqlite://gone.db?mode=rwc");
    gone.run(&["backup", "copy.db"], "").is(1);
    assert!(!gone.folder.join("copy.db").exists() && !gone.folder.join("gone.db").exists(), "no file is left");
    let postgres = Desk::new().set("AUTH_DATABASE_URL", "postgres://user:password@localhost/auth");
    let ended = postgres.run(&["backup", "copy.db"], "").is(1);
    assert!(ended.err.contains("use pg_dump"), "{ended:?}");
}
