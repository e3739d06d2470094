//! The migration of a database of an earlier version.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::json;
use sqlx::{AnyConnection, AssertSqlSafe, Connection};
use tokio::time::sleep;

use crate::library::{Database, Library, book_with, on_each};
use crate::transfer::import;

const BOOKS: i64 = 10_000;
const NEW_KEYS: &str = "SELECT COUNT(*) FROM books WHERE title_key LIKE 'le pere %'";
const OLD_KEYS: &str = "SELECT COUNT(*) FROM books WHERE title_key LIKE 'le père %'";
const RECORDED: &str = "SELECT COUNT(*) FROM _sqlx_migrations WHERE version = 2";

/// Adds books with the sort keys of the first version, which keep accents.
async fn fill(database: &Database, books: i64) {
    let line = |number| book_with(&json!({"title": format!("Le Père {number}"), "author": "Honoré"})).to_string();
    import(database, &(0..books).map(line).collect::<Vec<_>>().join("\n"));
    database.execute("UPDATE books SET title_key = REPLACE(title_key, 'pere', 'père'), author_key = 'honoré'").await;
    database.execute("DELETE FROM _sqlx_migrations WHERE version = 2").await;
}

/// Starts a program that opens, and so migrates, the database and then exports all books.
fn start(database: &Database) -> Child {
    let mut program = Command::new(env!("CARGO_BIN_EXE_books-service"));
    program.arg("export").env_clear().env("BOOKS_DATABASE_URL", &database.url).current_dir(std::env::temp_dir());
    program.stdout(Stdio::null()).stderr(Stdio::inherit()).spawn().unwrap()
}

/// Locks one book, so that the migration of Postgres waits at the middle of the books. `SQLite` has no row locks.
async fn hold_one_book(database: &Database) -> AnyConnection {
    let mut connection = AnyConnection::connect(&database.url).await.unwrap();
    sqlx::query("BEGIN").execute(&mut connection).await.unwrap();
    if database.file().is_none() {
        let middle = format!("SELECT id FROM books ORDER BY id LIMIT 1 OFFSET {} FOR UPDATE", BOOKS / 2);
        sqlx::query(AssertSqlSafe(middle)).execute(&mut connection).await.unwrap();
    }
    connection
}

/// True if the migration has many uncommitted writes.
async fn is_halfway(database: &Database) -> bool {
    if let Some(file) = database.file() {
        return std::fs::metadata(file.with_extension("db-wal")).is_ok_and(|log| log.len() > 1 << 18);
    }
    let waiting = "SELECT COUNT(*) FROM pg_stat_activity WHERE datname = current_database() \
        AND wait_event_type = 'Lock' AND query LIKE 'UPDATE books%'";
    database.count(waiting).await > 0
}

async fn has_new_keys(database: &Database, books: i64) {
    assert_eq!(database.count(RECORDED).await, 1);
    assert_eq!((database.count(NEW_KEYS).await, database.count(OLD_KEYS).await), (books, 0));
    let library = Library::start(&database.url, []).await;
    let answer = library.member().get("/books?q=7+PERE+honore&limit=1").await.is(200);
    assert_ne!(answer.header("x-total-count"), "0");
}

#[tokio::test]
async fn instances_that_start_together_fold_keys_once() {
    on_each(async |database| {
        fill(database, 2_000).await;
        let revision = database.count("SELECT revision FROM catalogue").await;
        let programs: Vec<Child> = (0..3).map(|_| start(database)).collect();
        for mut program in programs {
            assert!(program.wait().unwrap().success());
        }
        assert_eq!(database.count("SELECT revision FROM catalogue").await, revision + 1);
        has_new_keys(database, 2_000).await;
    })
    .await;
}

#[tokio::test]
async fn migration_that_is_killed_halfway_is_done_by_the_next_start() {
    on_each(async |database| {
        fill(database, BOOKS).await;
        let mut held = hold_one_book(database).await;
        let mut program = start(database);
        while !is_halfway(database).await {
            assert!(program.try_wait().unwrap().is_none(), "the migration ended too early");
            sleep(Duration::from_millis(2)).await;
        }
        program.kill().unwrap();
        program.wait().unwrap();
        sqlx::query("ROLLBACK").execute(&mut held).await.unwrap();
        assert_eq!(database.count(RECORDED).await, 0);
        assert_eq!(
            (database.count(NEW_KEYS).await, database.count(OLD_KEYS).await),
            (0, BOOKS),
            "the killed migration was rolled back"
        );
        assert!(start(database).wait().unwrap().success());
        has_new_keys(database, BOOKS).await;
    })
    .await;
}

#[tokio::test]
async fn total_that_an_older_instance_left_wrong_is_right_after_a_start() {
    on_each(async |database| {
        fill(database, 3).await;
        database.execute("UPDATE catalogue SET books = 7").await;
        let library = Library::start(&database.url, []).await;
        let member = library.member();
        assert_eq!(member.get("/books").await.is(200).header("x-total-count"), "3");
        library.add(book_with(&json!({"title": "One more"}))).await;
        assert_eq!(member.get("/books?limit=1").await.is(200).header("x-total-count"), "4");
        assert_eq!(member.get("/books?title=more").await.is(200).header("x-total-count"), "1");
    })
    .await;
}

/// The stored total after each kind of write, and after failed writes.
#[tokio::test]
async fn stored_total_is_the_number_of_books() {
    on_each(async |database| {
        let library = Library::start(&database.url, [("DEMO_DATA", "true")]).await;
        let admin = library.admin();
        let book = library.add(book_with(&json!({}))).await;
        let path = format!("/books/{}", book["id"].as_str().unwrap());
        admin.delete(&path).await.is(204);
        admin.delete(&path).await.problem(404, "not_found");
        import(database, &(0..250).map(|_| book_with(&json!({})).to_string()).collect::<Vec<_>>().join("\n"));
        let there = database.count("SELECT COUNT(*) FROM books").await;
        assert_eq!((there, database.count("SELECT books FROM catalogue").await), (253, 253));
    })
    .await;
}
