//! The examples of `docs/clients.md`, unchanged: each is run with valid tokens, with an expired access token, and after
//! the end of the session.

/// The example in Rust.
mod session;

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use self::session::Session;
use crate::local_stack::start;
use crate::process::{Folder, file, root};
use crate::stack::Stack;

/// The examples: language in the Markdown, program that runs it, lines that make its tokens invalid.
const EXAMPLES: [(&str, &str, [&str; 2]); 3] = [
    ("sh", "sh", ["access=expired", "refresh=over"]),
    ("js", "node", ["session.access = 'expired';", "session.token = 'over';"]),
    ("python", "target/tools/httpx/bin/python", ["session.access = \"expired\"", "session.refresh = \"over\""]),
];

const LATER: &str = "a quarter of an hour later";

/// The code in `language` that docs/clients.md shows.
fn example(language: &str) -> String {
    let text = file("docs/clients.md");
    let (_, code) = text.split_once(&format!("```{language}\n")).unwrap_or_else(|| panic!("no {language} example"));
    code.split_once("```").unwrap().0.to_owned()
}

/// Runs `code`. Returns true if it exits with 0, and its output.
fn run(folder: &Path, program: &str, code: &str) -> (bool, String) {
    let script = folder.join("example.mjs");
    fs::write(&script, code).unwrap();
    let path = if program.contains('/') { root().join(program) } else { program.into() };
    // Both services are local, whatever proxy the environment names.
    let done = Command::new(path).arg(&script).current_dir(folder).env("no_proxy", "*").output();
    let done = done.unwrap_or_else(|error| panic!("{program}: {error}: run ./test, which installs what is missing"));
    let [printed, said] = [done.stdout, done.stderr].map(|text| String::from_utf8(text).unwrap());
    println!("{program}: {said}");
    (done.status.success(), printed)
}

/// The number of anna's sessions besides the caller's.
async fn open_sessions(stack: &Stack) -> usize {
    let asks = stack.anna().await;
    let sessions = stack.auth().bearer(&asks.access).get("/me/sessions").await.is(200).json();
    stack.auth().bearer(&asks.access).delete("/me/sessions").await.is(204);
    sessions.as_array().unwrap().len() - 1
}

#[tokio::test]
#[cfg_attr(not(feature = "all-tests"), ignore = "needs curl, Node and Python: ./test")]
async fn every_example_logs_in_reads_refreshes_logs_out_and_says_when_it_cannot() {
    let folder = Folder::new();
    let (_running, stack) = start(&folder).await;
    for (language, program, spoil) in EXAMPLES {
        let code = example(language).replace("http://localhost:3000", &stack.auth);
        let code = code.replace("http://localhost:4000", &stack.books);
        let line = code.lines().find(|line| line.ends_with(LATER)).unwrap_or_else(|| panic!("{language}: no {LATER}"));
        for (later, goes_on, why) in [
            (line.to_owned(), true, "nothing has expired"),
            (spoil[0].to_owned(), true, "it refreshes"),
            (spoil.join("\n"), false, "the refresh is refused: nothing is shown as if it were an answer"),
        ] {
            let (ended_well, printed) = run(folder.path(), program, &code.replace(line, &later));
            let shown = printed.contains("The Divine Comedy");
            assert_eq!([ended_well, shown], [goes_on; 2], "{language}: {why}: {printed}");
            assert_eq!(open_sessions(&stack).await == 0, goes_on, "{language}: logout ends the session");
        }
    }
}

#[test]
fn lines_of_the_readme_stand_in_the_example_service() {
    let (readme, example) = (file("README.md"), file("examples/orders-service/src/main.rs"));
    let (_, shown) = readme.split_once("```rust\n").unwrap();
    let lines: Vec<&str> = shown.split_once("```").unwrap().0.lines().map(str::trim).collect();
    assert!(lines.len() > 5, "README.md shows no code");
    for line in lines {
        assert!(example.lines().any(|one| one.trim() == line), "the example lacks a line of README.md: {line}");
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
