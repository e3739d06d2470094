//! The examples of `docs/clients.md`, as they stand there: each alone, and each with an access token that has expired.

/// The one in Rust.
mod session;

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use self::session::Session;
use crate::local_stack::start;
use crate::process::{Folder, file};
use crate::stack::Stack;

/// An example: its language in the Markdown, the program that runs it, and how its access token is spoilt.
const EXAMPLES: [(&str, &str, &str); 3] = [
    ("sh", "sh", "access=expired"),
    ("js", "node", "session.access = 'expired';"),
    ("python", "python3", "session.access = \"expired\""),
];

const LATER: &str = "a quarter of an hour later";

/// The code in `language` that docs/clients.md shows.
fn example(language: &str) -> String {
    let text = file("docs/clients.md");
    let (_, code) = text.split_once(&format!("```{language}\n")).unwrap_or_else(|| panic!("nothing in {language}"));
    code.split_once("```").unwrap().0.to_owned()
}

/// What `code` prints.
fn run(folder: &Path, program: &str, code: &str) -> String {
    let script = folder.join("example.mjs");
    fs::write(&script, code).unwrap();
    // Both services are next door, whatever proxy the environment names.
    let done = Command::new(program).arg(&script).current_dir(folder).env("no_proxy", "*").output();
    let done = done.unwrap_or_else(|error| panic!("{program}: {error}: run ./test, which installs what is missing"));
    assert!(done.status.success(), "{program}: {}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8(done.stdout).unwrap()
}

/// How many sessions anna has, beside the one that asks.
async fn open_sessions(stack: &Stack) -> usize {
    let asks = stack.anna().await;
    let sessions = stack.auth().bearer(&asks.access).get("/me/sessions").await.is(200).json();
    stack.auth().bearer(&asks.access).delete("/me/sessions").await.is(204);
    sessions.as_array().unwrap().len() - 1
}

#[tokio::test]
async fn every_example_logs_in_reads_refreshes_and_logs_out() {
    let folder = Folder::new();
    let (_running, stack) = start(&folder).await;
    for (language, program, spoil) in EXAMPLES {
        let code = example(language).replace("http://localhost:3000", &stack.auth);
        let code = code.replace("http://localhost:4000", &stack.books);
        let line = code.lines().find(|line| line.ends_with(LATER)).unwrap_or_else(|| panic!("{language}: no {LATER}"));
        for code in [code.clone(), code.replace(line, spoil)] {
            let printed = run(folder.path(), program, &code);
            assert!(printed.contains("The Divine Comedy"), "{language}: {printed}");
            assert_eq!(open_sessions(&stack).await, 0, "{language}: it has logged out");
        }
    }
}

#[tokio::test]
async fn the_example_in_rust_does_too() {
    let shown = example("rust");
    let compiled = include_str!("clients/session.rs");
    assert!(compiled.contains(&shown), "docs/clients.md and clients/session.rs differ");
    let folder = Folder::new();
    let (_running, stack) = start(&folder).await;
    for expired in [false, true] {
        let client = stack.client.clone();
        let mut session = Session::log_in(client, &stack.auth, "anna", "password123member").await.unwrap();
        if expired {
            session.spoil();
        }
        let books: Value = session.get(&format!("{}/books", stack.books)).await.unwrap().json().await.unwrap();
        assert_eq!(books.as_array().unwrap().len(), 3);
        session.log_out().await.unwrap();
        assert_eq!(open_sessions(&stack).await, 0);
    }
}
