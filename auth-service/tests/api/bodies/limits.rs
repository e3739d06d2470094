//! The limits of a body's size and time.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use super::{ROUTES, ask, caller};
use crate::forge::tampered;
use crate::service::{ADMIN, MEMBER, Service};

/// A JSON body of 64 KB and `more` bytes, with the only member `pad`.
fn of_size(more: usize) -> String {
    let frame = r#"{"pad":""}"#;
    format!(r#"{{"pad":"{}"}}"#, "x".repeat(64 * 1024 - frame.len() + more))
}

#[tokio::test]
async fn a_body_has_at_most_64_kilobytes() {
    let service = Service::start([]).await;
    let admin = service.admin().await;
    let (largest, larger) = (of_size(0), of_size(1));
    for (method, path, _, good) in ROUTES {
        let admin = caller(&admin, path);
        println!("{method} {path}");
        ask(&admin, (method, path), "", &largest).await.is(good);
        ask(&admin, (method, path), "", &larger).await.fails(413, "content_too_large");
        let bearer = admin.headers.first().map_or("", |(_, value)| value);
        let head = format!("{method} {path} HTTP/1.1\r\nAuthorization: {bearer}");
        assert_eq!(status_of_chunks(&service, &head, &largest), good);
        assert_eq!(status_of_chunks(&service, &head, &larger), 413);
    }
    assert_eq!(status_of_chunks(&service, "POST /login HTTP/1.1", &of_size(1 << 20)), 413, "refused before its end");
}

/// The status of the response to `body` in chunks, without a `Content-Length`.
fn status_of_chunks(service: &Service, head: &str, body: &str) -> u16 {
    let mut stream = TcpStream::connect(service.addr).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    let head = format!("{head}\r\nHost: test\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n");
    let chunks = body
        .as_bytes()
        .chunks(10_000)
        .map(|chunk| [format!("{:x}\r\n", chunk.len()).as_bytes(), chunk, b"\r\n"].concat());
    let request = [vec![head.into_bytes()], chunks.collect(), vec![b"0\r\n\r\n".to_vec()]].concat().concat();
    // The service may respond and close the connection before the end of the body; the rest then cannot be sent.
    drop(stream.write_all(&request));
    drop(stream.shutdown(Shutdown::Write));
    let mut start = [0; 12];
    stream.read_exact(&mut start).expect("a response");
    std::str::from_utf8(&start[9..]).unwrap().parse().unwrap()
}

/// Sends the head of a request without its body, and returns the response.
fn ask_without_body(service: &Service, head: &str) -> String {
    let mut stream = TcpStream::connect(service.addr).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    stream.write_all(format!("{head}\r\nHost: test\r\nContent-Type: application/json\r\n\r\n").as_bytes()).unwrap();
    let mut answer = vec![0; 8192];
    let length = stream.read(&mut answer).expect("a response before the body");
    String::from_utf8_lossy(&answer[..length]).into_owned()
}

#[tokio::test]
async fn role_is_checked_before_the_body_is_read() {
    let service = Service::start([]).await;
    let (member, admin) = (service.log_in(MEMBER).await.access, service.log_in(ADMIN).await.access);
    let bearer = |token: &str| format!("\r\nAuthorization: Bearer {token}");
    for (method, path, as_member) in
        [("PUT", "/me/password", 413), ("DELETE", "/me", 413), ("POST", "/users", 403), ("PATCH", "/users/1", 403)]
    {
        for (token, status, why) in [
            (String::new(), 401, "nobody"),
            (bearer(&tampered(&admin)), 401, "tampered"),
            (bearer(&member), as_member, "a member"),
            (bearer(&admin), 413, "an admin, whose body is too large"),
        ] {
            for length in ["Content-Length: 1000000000", "Transfer-Encoding: chunked", "Content-Length: 10"] {
                if status == 413 && length != "Content-Length: 1000000000" {
                    continue;
                }
                let answer = ask_without_body(&service, &format!("{method} {path} HTTP/1.1{token}\r\n{length}"));
                assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{why}, {length}: {answer}");
            }
        }
    }
}
