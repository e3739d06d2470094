//! The peak memory of a separate process.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use futures_util::future::join_all;
use reqwest::Client;
use serde_json::json;
use uuid::Uuid;

use crate::library::{Database, Library, SECRET, book_with, on_each};
use crate::transfer::import;

/// The memory limit of the container in `deploy/k8s`.
const CONTAINER: u64 = 128 << 20;
/// The number of concurrent callers: few, as other tests run at the same time.
const CALLERS: usize = 2;

/// The program, as production runs it.
struct Process {
    child: Child,
    library: Library,
}

impl Process {
    fn start(database: &Database) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_books-service"))
            .env_clear()
            .env("BOOKS_DATABASE_URL", &database.url)
            .env("BOOKS_ADDR", "127.0.0.1:0")
            .env("ACCESS_TOKEN_SECRET", SECRET)
            .current_dir(std::env::temp_dir())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map(Result::unwrap);
        let addr = lines.find_map(|line| line.split_once(" started on ").map(|(_, addr)| addr.to_owned())).unwrap();
        std::thread::spawn(move || lines.for_each(drop));
        let library = Library { url: format!("http://{addr}"), client: Client::new() };
        Self { child, library }
    }

    /// The peak resident memory of the process, in bytes.
    fn greatest(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        line.trim().strip_suffix(" kB").unwrap().parse::<u64>().unwrap() * 1024
    }

    /// Reads `count` lists, several at a time.
    async fn read(&self, count: usize, query: impl Fn(usize) -> String) {
        join_all((0..CALLERS).map(async |caller| {
            for number in (caller..count).step_by(CALLERS) {
                let path = format!("/books?{}", query(number));
                // On a busy machine, some requests get 503.
                while self.library.member().get(&path).await.status != 200 {}
            }
        }))
        .await;
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

#[tokio::test]
async fn unknown_parameters_take_no_memory() {
    let database = Database::sqlite();
    let process = Process::start(&database);
    let junk = "x".repeat(60_000);
    process.read(100, |number| format!("limit=1&ignored={number}{junk}")).await;
    let before = process.greatest();
    process.read(1_000, |number| format!("ignored={number}{junk}&limit=1")).await;
    let after = process.greatest();
    println!("{before} bytes after 100 reads, {after} after 1,100");
    assert!(after < before + (8 << 20), "from {before} to {after} bytes");
    drop(process);
    database.remove().await;
}

#[tokio::test]
async fn different_lists_fit_in_the_container() {
    on_each(async |database| {
        let process = Process::start(database);
        let words = "Wort ".repeat(99);
        let line = |number| {
            book_with(&json!({"id": Uuid::now_v7().to_string(), "title": format!("{words}{number}")})).to_string()
        };
        import(database, &(0..500).map(line).collect::<Vec<_>>().join("\n"));
        process.read(500, |number| format!("limit={}&q=wort&yearTo={}", 500 - number % 50, 2000 + number / 50)).await;
        let greatest = process.greatest();
        println!("{greatest} bytes");
        assert!(greatest < CONTAINER, "{greatest} bytes");
    })
    .await;
}
