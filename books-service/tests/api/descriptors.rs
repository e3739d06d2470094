//! The limit on open files.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use uuid::Uuid;

const SECRET: &str = "a secret of the operator's, of 32 bytes and more";

/// The program, started with a soft and a hard limit of open files.
struct Limited {
    program: Child,
    file: std::path::PathBuf,
    addr: String,
    /// Its log up to the start.
    log: String,
}

impl Limited {
    fn start(soft: u32, hard: u32) -> Self {
        let file = std::env::temp_dir().join(format!("books-{}.db", Uuid::new_v4().simple()));
        let script = format!("ulimit -Sn {soft} && ulimit -Hn {hard} && exec \"$0\"");
        let mut program = Command::new("sh");
        program.args(["-c", &script, env!("CARGO_BIN_EXE_books-service")]).env_clear().env("WORKERS", "2");
        program.env("ACCESS_TOKEN_SECRET", SECRET).env("BOOKS_ADDR", "127.0.0.1:0");
        program.env("BOOKS_DATABASE_URL", format!("sqlite://{}?mode=rwc", file.display()));
        let mut program = program.current_dir(std::env::temp_dir()).stderr(Stdio::piped()).spawn().unwrap();
        let (mut lines, mut log) = (BufReader::new(program.stderr.take().unwrap()).lines(), String::new());
        while !log.contains("connections at once") {
            log += &(lines.next().unwrap().unwrap() + "\n");
        }
        // The program must not write into a closed pipe.
        std::thread::spawn(move || lines.map_while(Result::ok).for_each(drop));
        let addr = log.split("started on ").nth(1).unwrap().lines().next().unwrap().to_owned();
        Self { program, file, addr, log }
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(&self.addr).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
        stream
    }
}

impl Drop for Limited {
    fn drop(&mut self) {
        self.program.kill().unwrap();
        self.program.wait().unwrap();
        for suffix in ["", "-wal", "-shm"] {
            drop(std::fs::remove_file(format!("{}{suffix}", self.file.display())));
        }
    }
}

/// True if a request on `stream` is answered 200.
fn is_served(stream: &mut TcpStream) -> bool {
    stream.write_all(b"GET /readyz HTTP/1.1\r\nHost: test\r\n\r\n").unwrap();
    let mut answer = [0; 4096];
    stream.read(&mut answer).is_ok_and(|length| answer[..length].starts_with(b"HTTP/1.1 200"))
}

#[test]
fn start_raises_the_soft_limit() {
    let limited = Limited::start(256, 1000);
    assert!(limited.log.contains("872 connections at once"), "{}", limited.log);
    let mut connections: Vec<_> = (0..500).map(|_| limited.connect()).collect();
    for (number, stream) in connections.iter_mut().enumerate() {
        assert!(is_served(stream), "{number}");
    }
}

#[test]
fn connections_beyond_the_hard_limit_wait() {
    let limited = Limited::start(128, 128);
    assert!(limited.log.contains("64 connections at once"), "{}", limited.log);
    let mut connections: Vec<_> = (0..64).map(|_| limited.connect()).collect();
    for _ in 0..2 {
        assert!(connections.iter_mut().all(is_served));
    }
    let mut waiting: Vec<_> = (0..64).map(|_| limited.connect()).collect();
    assert!(!is_served(&mut waiting[0]), "no connection is free for it");
    assert!(connections.iter_mut().all(is_served), "open connections are served");
    drop(connections);
    assert!(waiting.iter_mut().all(|stream| is_served(stream) || is_served(stream)), "waiting connections are served");
}

#[test]
fn doctor_shows_the_limit_and_warns_of_a_low_one() {
    for (limit, says) in [(1000, "ok    files"), (128, "warn  files")] {
        let script = format!("ulimit -n {limit} && exec \"$0\" doctor");
        let mut doctor = Command::new("sh");
        doctor
            .args(["-c", &script, env!("CARGO_BIN_EXE_books-service")])
            .env_clear()
            .env("ACCESS_TOKEN_SECRET", SECRET);
        let printed = doctor.current_dir(std::env::temp_dir()).output().unwrap().stdout;
        let printed = String::from_utf8(printed).unwrap();
        assert!(printed.contains(says) && printed.contains(&format!("{limit} open files")), "{printed}");
    }
}
