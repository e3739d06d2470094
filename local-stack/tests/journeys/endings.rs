use std::cell::RefCell;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;

use futures_util::future::join_all;
use rustix::process::Signal;
use serde_json::json;

use crate::local_stack::start;
use crate::process::{Folder, Output};
use crate::stack::a_book;

/// A request whose service waits for its body.
struct InFlight {
    stream: BufReader<TcpStream>,
    body: String,
}

#[tokio::test]
async fn shutdown_finishes_requests_in_flight() {
    for signal in [Signal::TERM, Signal::INT] {
        let folder = Folder::new();
        let (running, stack) = start(&folder).await;
        let john = stack.john().await;
        let login = json!({"username": "john", "password": "password123admin"}).to_string();
        let login = InFlight::send(&stack.auth, "POST /login HTTP/1.1", login);
        let add = format!("POST /books HTTP/1.1\r\nAuthorization: Bearer {}", john.access);
        let add = InFlight::send(&stack.books, &add, a_book("Emma").to_string());
        running.signal(signal);
        running.says(|output: &Output| output.err.iter().find(|line| line.contains("stopping")).cloned()).await;
        assert!(login.finish().starts_with("HTTP/1.1 200 "), "{signal:?}");
        assert!(add.finish().starts_with("HTTP/1.1 201 "), "{signal:?}");
        let (code, output) = running.end().await;
        assert_eq!(code, Some(0), "{signal:?}: {output:#?}");
    }
}

#[tokio::test]
async fn hangup_without_tls_changes_nothing() {
    let folder = Folder::new();
    let (running, stack) = start(&folder).await;
    for _ in 0..3 {
        running.signal(Signal::HUP);
        stack.auth().get("/livez").await.is(200);
        stack.books().get("/livez").await.is(200);
    }
    running.signal(Signal::TERM);
    let (code, output) = running.end().await;
    assert_eq!(code, Some(0), "{output:#?}");
}

/// An acknowledged write is on disk.
#[tokio::test]
async fn a_kill_loses_nothing_that_was_acknowledged() {
    let folder = Folder::new();
    let (running, stack) = start(&folder).await;
    let (first, left) = (stack.john().await, stack.anna().await);
    let john = stack.refresh(&first.refresh).await.tokens();
    stack.auth().post("/logout", json!({"token": left.refresh})).await.is(200);
    let added = RefCell::new(Vec::new());
    let librarian = stack.books().bearer(&john.access);
    let add_books = async || {
        while let Ok(answer) = librarian.try_post("/books", a_book("Emma")).await {
            added.borrow_mut().push(answer.is(201).header("location").to_owned());
            if added.borrow().len() == 40 {
                running.signal(Signal::KILL);
            }
        }
    };
    join_all([add_books(), add_books(), add_books(), add_books()]).await;
    assert_eq!(running.end().await.0, None, "a killed process has no exit code");

    let (_again, stack) = start(&folder).await;
    let john = stack.refresh(&john.refresh).await.tokens();
    stack.refresh(&left.refresh).await.refused(403, "invalid_refresh_token");
    for place in added.into_inner() {
        stack.books().bearer(&john.access).get(&place).await.is(200);
    }
}

impl InFlight {
    /// Sends all but the body of a request, and waits until the service asks for that (RFC 9110 section 10.1.1).
    fn send(base: &str, head: &str, body: String) -> Self {
        let mut stream = TcpStream::connect(base.strip_prefix("http://").unwrap()).unwrap();
        let length = body.len();
        let rest = "Host: localhost\r\nContent-Type: application/json\r\nConnection: close\r\nExpect: 100-continue";
        write!(stream, "{head}\r\n{rest}\r\nContent-Length: {length}\r\n\r\n").unwrap();
        let mut stream = BufReader::new(stream);
        let mut line = String::new();
        stream.read_line(&mut line).unwrap();
        assert!(line.starts_with("HTTP/1.1 100 "), "{line}");
        stream.read_line(&mut line).unwrap();
        Self { stream, body }
    }

    /// Sends the body; the whole answer.
    fn finish(mut self) -> String {
        self.stream.get_mut().write_all(self.body.as_bytes()).unwrap();
        let mut answer = String::new();
        self.stream.read_to_string(&mut answer).unwrap();
        answer
    }
}
