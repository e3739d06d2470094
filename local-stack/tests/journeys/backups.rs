use std::collections::HashMap;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::json;

use crate::process::{Folder, Program, file};
use crate::stack::{PASSWORD, Stack, a_book, unique};
use crate::targets::{Database, binary, execute, is_outside, logged, random_secret};

/// The runbook's four blocks of commands: backup and restore of `SQLite`, backup and restore of Postgres.
fn commands() -> [String; 4] {
    let runbook = file("docs/runbook.md");
    let (_, section) = runbook.split_once("## Back up and restore").unwrap();
    let (section, _) = section.split_once("\n## ").unwrap();
    let blocks = section.split("\n\n").filter(|part| part.trim_start_matches('\n').starts_with("    "));
    blocks.map(str::to_owned).collect::<Vec<_>>().try_into().unwrap()
}

/// A folder in which both services run, and their settings.
struct House {
    folder: Folder,
    settings: HashMap<&'static str, String>,
}

impl House {
    fn new(people: &str, library: &str) -> Self {
        let settings = HashMap::from([
            ("AUTH_ADDR", "127.0.0.1:0".to_owned()),
            ("BOOKS_ADDR", "127.0.0.1:0".to_owned()),
            ("AUTH_DATABASE_URL", people.to_owned()),
            ("BOOKS_DATABASE_URL", library.to_owned()),
            ("ACCESS_TOKEN_SECRET", random_secret()),
            ("REFRESH_TOKEN_SECRET", random_secret()),
            ("DEMO_DATA", "true".to_owned()),
            ("BCRYPT_COST", "4".to_owned()),
            ("IP_RATE_LIMIT", "0".to_owned()),
        ]);
        Self { folder: Folder::new(), settings }
    }

    async fn start(&self) -> ([Program; 2], Stack) {
        let settings: Vec<(&str, &str)> = self.settings.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let start = |name| Program::start(&binary(name), self.folder.path(), &settings);
        let [auth, books] = ["auth-service", "books-service"].map(start);
        let stack = Stack::new("backups", logged(&auth).await, logged(&books).await);
        ([auth, books], stack)
    }

    /// Runs commands of the runbook as its reader does: with our programs in the path, and the settings set. Repeats
    /// `meanwhile` until the commands have ended.
    async fn follow(&self, commands: &str, meanwhile: impl AsyncFn()) {
        let ours = binary("auth-service").parent().map(Path::to_owned).unwrap();
        let script = format!("PATH={}:$PATH\n{commands}", ours.display());
        let mut shell = Command::new("sh");
        shell.args(["-euc", &script]).current_dir(self.folder.path()).envs(&self.settings);
        let mut shell = shell.spawn().unwrap();
        let status = loop {
            meanwhile().await;
            if let Some(status) = shell.try_wait().unwrap() {
                break status;
            }
        };
        assert!(status.success(), "{commands}");
    }
}

/// Registers a user and adds a book; returns their common name.
async fn change(stack: &Stack) -> String {
    let name = unique("carla");
    stack.auth().post("/register", json!({"username": name, "password": PASSWORD})).await.is(201);
    let john = stack.books().bearer(stack.john().await.access);
    john.post("/books", a_book(&name)).await.is(201);
    name
}

/// For the user and for the book of this name: true if it exists.
async fn is_there(stack: &Stack, name: &str) -> [bool; 2] {
    let answer = stack.auth().post("/login", json!({"username": name, "password": PASSWORD})).await;
    let anna = stack.books().bearer(stack.anna().await.access);
    let books = anna.get(&format!("/books?title={name}")).await.is(200).json();
    [answer.is_ok(), !books.as_array().unwrap().is_empty()]
}

/// Backs up while the services write, writes more, kills the services, and restores the backup. What `upgrade` adds
/// before the restore must be gone after it.
async fn back_up_and_restore(house: &House, [out, back]: [&str; 2], upgrade: impl AsyncFn()) {
    let (programs, stack) = house.start().await;
    let before = change(&stack).await;
    house.follow(out, async || drop(change(&stack).await)).await;
    let after = change(&stack).await;
    for program in programs {
        program.signal(Signal::KILL);
        program.end().await;
    }
    upgrade().await;

    house.follow(back, async || tokio::time::sleep(Duration::from_millis(20)).await).await;
    let (_programs, stack) = house.start().await;
    assert_eq!(is_there(&stack, &before).await, [true, true], "changes before the backup");
    assert_eq!(is_there(&stack, &after).await, [false, false], "changes after the backup");
    let last = change(&stack).await;
    assert_eq!(is_there(&stack, &last).await, [true, true], "changes after the restore");
}

#[tokio::test]
async fn sqlite_is_backed_up_and_restored_as_the_runbook_says() {
    let [out, back, ..] = commands();
    let house = House::new("sqlite://auth.db?mode=rwc", "sqlite://books.db?mode=rwc");
    back_up_and_restore(&house, [&out, &back], async || ()).await;
}

#[tokio::test]
#[cfg_attr(not(feature = "all-tests"), ignore = "needs Postgres: ./test")]
async fn postgres_is_backed_up_and_restored_as_the_runbook_says() {
    if is_outside("a backup of a Postgres of our own") {
        return;
    }
    let [_, _, out, back] = commands();
    let (people, library) = (Database::new().await, Database::new().await);
    // A restore must remove this table: else the next upgrade, and the second call below, could not create it.
    let upgrade = async || {
        for url in [&people.url, &library.url] {
            execute(url, "CREATE TABLE of_a_newer_version (id BIGINT)".to_owned()).await;
        }
    };
    back_up_and_restore(&House::new(&people.url, &library.url), [&out, &back], upgrade).await;
    upgrade().await;
    people.remove().await;
    library.remove().await;
}
