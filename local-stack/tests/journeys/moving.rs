//! Users and books move from SQLite to Postgres, as docs/runbook.md says, and no user is logged out.

use std::io::Write;
use std::process::{Command, Stdio};

use rustix::process::Signal;
use serde_json::json;

use crate::process::{Folder, Program};
use crate::stack::{PASSWORD, Stack, a_book, unique};
use crate::targets::{Database, binary, execute, is_outside, logged, random_secret, redis_url};

/// Runs one of our programs with `input`; returns its output.
pub fn run(program: &str, arguments: &[&str], settings: &[(&str, &str)], folder: &Folder, input: &[u8]) -> Vec<u8> {
    let mut command = Command::new(binary(program));
    command.args(arguments).env_clear().envs(settings.iter().copied()).current_dir(folder.path());
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(input).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{program} {arguments:?}");
    output.stdout
}

async fn start(folder: &Folder, settings: &[(&str, &str)]) -> (Stack, [Program; 2]) {
    let ours = [
        ("AUTH_ADDR", "127.0.0.1:0"),
        ("BOOKS_ADDR", "127.0.0.1:0"),
        ("DEMO_DATA", "true"),
        ("BCRYPT_COST", "4"),
        ("IP_RATE_LIMIT", "0"),
    ];
    let settings = [&ours, settings].concat();
    let programs =
        ["auth-service", "books-service"].map(|name| Program::start(&binary(name), folder.path(), &settings));
    let stack = Stack::new("two services", logged(&programs[0]).await, logged(&programs[1]).await);
    (stack, programs)
}

#[tokio::test]
#[cfg_attr(not(feature = "all-tests"), ignore = "needs Postgres and Redis: ./test")]
async fn move_to_postgres_ends_no_session() {
    if is_outside("moving to Postgres") {
        return;
    }
    let (folder, people, library) = (Folder::new(), Database::new().await, Database::new().await);
    let (redis, access, refresh) = (redis_url(), random_secret(), random_secret());
    let shared = [("REDIS_URL", &*redis), ("ACCESS_TOKEN_SECRET", &*access), ("REFRESH_TOKEN_SECRET", &*refresh)];
    let before =
        [("AUTH_DATABASE_URL", "sqlite://auth.db?mode=rwc"), ("BOOKS_DATABASE_URL", "sqlite://books.db?mode=rwc")];
    let after = [("AUTH_DATABASE_URL", &*people.url), ("BOOKS_DATABASE_URL", &*library.url)];

    let (stack, programs) = start(&folder, &[&before[..], &shared].concat()).await;
    let name = unique("visitor");
    stack.auth().post("/register", json!({"username": name, "password": PASSWORD})).await.is(201);
    let tokens = stack.log_in(&name, PASSWORD).await;
    let john = stack.john().await.access;
    stack.books().bearer(&john).post("/books", a_book("Persuasion")).await.is(201);
    let books = stack.books().bearer(&john).get("/books").await.is(200);
    for program in programs {
        program.signal(Signal::TERM);
        assert_eq!(program.end().await.0, Some(0));
    }

    let lines = run("auth-service", &["users", "export"], &before, &folder, b"");
    run("auth-service", &["users", "import", "-"], &after, &folder, &lines);
    assert_eq!(run("auth-service", &["users", "export"], &after, &folder, b""), lines);
    let lines = run("books-service", &["export"], &before, &folder, b"");
    run("books-service", &["import", "-"], &after, &folder, &lines);
    assert_eq!(run("books-service", &["export"], &after, &folder, b""), lines);

    let (stack, programs) = start(&folder, &[&after[..], &shared].concat()).await;
    stack.auth().bearer(&tokens.access).get("/me").await.is(200);
    let next = stack.refresh(&tokens.refresh).await.tokens();
    let now = stack.books().bearer(&next.access).get("/books").await.is(200);
    assert_eq!(now.body, books.body);
    stack.log_in(&name, PASSWORD).await;
    stack.john().await;
    drop(programs);
    people.remove().await;
    library.remove().await;
}

#[tokio::test]
async fn a_copy_of_a_running_sqlite_has_all_that_was_acknowledged() {
    if is_outside("a backup") {
        return;
    }
    let (folder, access, refresh) = (Folder::new(), random_secret(), random_secret());
    let shared = [("ACCESS_TOKEN_SECRET", &*access), ("REFRESH_TOKEN_SECRET", &*refresh)];
    let database =
        [("AUTH_DATABASE_URL", "sqlite://auth.db?mode=rwc"), ("BOOKS_DATABASE_URL", "sqlite://books.db?mode=rwc")];
    let (stack, _programs) = start(&folder, &[&database[..], &shared].concat()).await;
    let mut names = vec![];
    for _ in 0..10 {
        names.push(unique("visitor"));
        let body = json!({"username": names.last(), "password": PASSWORD});
        stack.auth().post("/register", body).await.is(201);
    }
    let session = stack.log_in(&names[0], PASSWORD).await;
    let place = format!("sqlite://{}/auth.db", folder.path().display());
    execute(&place, format!("VACUUM INTO '{}/copy.db'", folder.path().display())).await;
    let next = stack.refresh(&session.refresh).await.tokens();

    // The copy gets another refresh secret: every user must log in again, and no token used since the copy works again.
    let fresh = random_secret();
    let copy =
        [("AUTH_DATABASE_URL", "sqlite://copy.db?mode=rwc"), ("BOOKS_DATABASE_URL", "sqlite://books2.db?mode=rwc")];
    let secrets = [("ACCESS_TOKEN_SECRET", &*access), ("REFRESH_TOKEN_SECRET", &*fresh)];
    let (restored, _others) = start(&folder, &[&copy[..], &secrets].concat()).await;
    for name in &names {
        restored.log_in(name, PASSWORD).await;
    }
    for token in [session.refresh, next.refresh] {
        restored.refresh(&token).await.refused(403, "invalid_refresh_token");
    }
}
