//! The program's commands for operators: reports on environment and settings, and backups.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Output, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use uuid::Uuid;

use crate::library::{Database, Library};

const SECRET: &str = "a secret of the operator's, of 32 bytes and more";

/// Runs the program with these settings and no others. Returns its exit code and its output.
fn run(settings: &[(&str, &str)], arguments: &[&str]) -> (Option<i32>, String) {
    let mut program = Command::new(env!("CARGO_BIN_EXE_books-service"));
    program.args(arguments).env_clear().envs(settings.iter().copied()).current_dir(std::env::temp_dir());
    let Output { status, stdout, stderr } = program.output().unwrap();
    let text = format!("{}{}", String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap());
    assert!(!text.contains(SECRET) && !text.contains("hush-hush"), "{text}");
    (status.code(), text)
}

#[tokio::test]
async fn doctor_reports_healthy_and_broken_parts() {
    let database = Database::sqlite();
    let _library = Library::start(&database.url, [("DEMO_DATA", "true")]).await;
    let good =
        [("ACCESS_TOKEN_SECRET", SECRET), ("BOOKS_DATABASE_URL", database.url.as_str()), ("BOOKS_ADDR", "127.0.0.1:0")];
    let (code, text) = run(&good, &["doctor"]);
    assert_eq!(code, Some(0), "{text}");
    for part in ["settings", "signs as kid", "HTTP", "is free", "SQLite in", "are applied"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let bad = [("BOOKS_DATABASE_URL", "postgres://anna:hush-hush@127.0.0.1:1/books"), ("BOOKS_ADDR", "192.0.2.1:80")];
    let (code, text) = run(&bad, &["doctor"]);
    assert_eq!(code, Some(1), "{text}");
    for what in ["settings", "secret", "address", "database"] {
        assert!(text.contains(&format!("FAIL  {what}")), "{what}: {text}");
    }
    for (url, code, part) in [
        ("http://127.0.0.1:1", 0, "warn  auth        auth-service does not answer with the revocation list"),
        ("http://anna:hush-hush@127.0.0.1:1", 1, "FAIL  settings    AUTH_URL must look like"),
    ] {
        let (ended, text) = run(&[&good[..], &[("AUTH_URL", url)]].concat(), &["doctor"]);
        assert!(ended == Some(code) && text.contains(part), "{url}: {text}");
        let (_, text) = run(&[&good[..], &[("AUTH_URL", url)]].concat(), &["config"]);
        assert!(code == 1 || text.contains(&format!("AUTH_URL={url}")), "{text}");
    }
    let strict = [("AUTH_URL", "http://127.0.0.1:1"), ("REVOCATION_MAX_AGE", "30s")];
    let (ended, text) = run(&[&good[..], &strict].concat(), &["doctor"]);
    assert!(ended == Some(1) && text.contains("all tokens are refused"), "{text}");
    database.remove().await;
}

#[test]
fn hangup_without_tls_changes_nothing() {
    let file = std::env::temp_dir().join(format!("books-{}.db", Uuid::new_v4().simple()));
    let mut program = Command::new(env!("CARGO_BIN_EXE_books-service"));
    program.env_clear().env("ACCESS_TOKEN_SECRET", SECRET).env("BOOKS_ADDR", "127.0.0.1:0");
    program.env("BOOKS_DATABASE_URL", format!("sqlite://{}?mode=rwc", file.display()));
    let mut program = program.current_dir(std::env::temp_dir()).stderr(Stdio::piped()).spawn().unwrap();
    let mut log = BufReader::new(program.stderr.take().unwrap()).lines().map_while(Result::ok);
    let addr = log.find_map(|line| line.split_once("started on ").map(|(_, addr)| addr.to_owned())).unwrap();
    for _ in 0..3 {
        kill_process(Pid::from_child(&program), Signal::HUP).unwrap();
        let mut stream = TcpStream::connect(&addr).unwrap();
        write!(stream, "GET /livez HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n").unwrap();
        let answer = std::io::read_to_string(stream).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }
    kill_process(Pid::from_child(&program), Signal::TERM).unwrap();
    assert_eq!(program.wait().unwrap().code(), Some(0));
    std::fs::remove_file(&file).unwrap();
}

#[test]
fn new_databases_are_private() {
    let file = std::env::temp_dir().join(format!("books-{}.db", Uuid::new_v4().simple()));
    let url = format!("sqlite://{}?mode=rwc", file.display());
    let mut program = Command::new("sh");
    program.args(["-c", "umask 022; exec \"$@\"", "sh", env!("CARGO_BIN_EXE_books-service"), "export"]).env_clear();
    let ended = program.env("BOOKS_DATABASE_URL", &url).current_dir(std::env::temp_dir()).output().unwrap();
    assert!(ended.status.success(), "{ended:?}");
    let mode = std::fs::metadata(&file).unwrap().permissions().mode();
    std::fs::remove_file(&file).unwrap();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn effective_settings_are_shown_without_secrets() {
    let settings =
        [("ACCESS_TOKEN_SECRET", SECRET), ("BOOKS_DATABASE_URL", "postgres://anna:hush-hush@localhost/books")];
    let (code, text) = run(&settings, &["config"]);
    assert_eq!(code, Some(0), "{text}");
    for part in ["BOOKS_DATABASE_URL=postgres://anna:***@localhost/books", "BOOKS_ADDR=0.0.0.0:4000  # default"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert_eq!(run(&[], &["config"]).0, Some(1));
    assert!(run(&[], &["completions", "fish"]).1.contains("doctor"));
}

#[tokio::test]
async fn backup_whose_message_is_not_read_is_no_failure() {
    let database = Database::sqlite();
    Library::start(&database.url, []).await;
    let copy = std::env::temp_dir().join(format!("books-{}.db", Uuid::new_v4().simple()));
    let mut program = Command::new(env!("CARGO_BIN_EXE_books-service"));
    program.arg("backup").arg(&copy).env_clear().env("BOOKS_DATABASE_URL", &database.url).stdout(Stdio::piped());
    let mut program = program.current_dir(std::env::temp_dir()).spawn().unwrap();
    drop(program.stdout.take());
    assert_eq!(program.wait().unwrap().code(), Some(0));
    std::fs::remove_file(&copy).unwrap();
    database.remove().await;
}

#[tokio::test]
async fn a_backup_holds_the_books() {
    let database = Database::sqlite();
    let _library = Library::start(&database.url, [("DEMO_DATA", "true")]).await;
    let copy = std::env::temp_dir().join(format!("books-{}.db", Uuid::new_v4().simple())).display().to_string();
    let (code, text) = run(&[("BOOKS_DATABASE_URL", &database.url)], &["backup", &copy]);
    assert_eq!(code, Some(0), "{text}");
    let (_, books) = run(&[("BOOKS_DATABASE_URL", &format!("sqlite://{copy}"))], &["export"]);
    std::fs::remove_file(&copy).unwrap();
    assert!(books.contains("The Divine Comedy"), "{books}");
    database.remove().await;
}
