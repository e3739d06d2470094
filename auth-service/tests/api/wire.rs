//! Malformed and slow requests, below HTTP.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use crate::service::{MEMBER, Service};

const GET: &str = "GET /livez HTTP/1.1\r\nHost: a\r\n";
const POST: &str = "POST /login HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n";
const BODY: &str = r#"{"username":"anna","password":"x"}"#;
const CHUNKED: &str = "Transfer-Encoding: chunked\r\n";

/// Sends `bytes` at once; returns all responses, and true if the connection is closed within five seconds of the last.
async fn told(addr: SocketAddr, bytes: &[u8]) -> (Vec<u8>, bool) {
    let mut stream = TcpStream::connect(addr).await.unwrap();
    // A server that refuses a head of megabytes closes the connection before it has read all of it.
    let _ = stream.write_all(bytes).await;
    let mut answer = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        match timeout(Duration::from_secs(5), stream.read(&mut buffer)).await {
            Ok(Ok(0) | Err(_)) => return (answer, true),
            Ok(Ok(length)) => answer.extend(&buffer[..length]),
            Err(_) => return (answer, false),
        }
    }
}

/// The statuses of the responses, and the problem details of the last one.
fn read(answer: &[u8]) -> (Vec<u16>, Option<Value>) {
    let text = String::from_utf8_lossy(answer);
    let heads = text.split("HTTP/1.1 ").skip(1);
    let statuses = heads.map(|head| head[..3].parse().unwrap()).collect();
    let last = text.rsplit("HTTP/1.1 ").next().unwrap_or_default();
    let problem = last.split_once("\r\n\r\n").filter(|(head, _)| head.contains("application/problem+json"));
    (statuses, problem.map(|(_, body)| serde_json::from_str(body).unwrap()))
}

#[tokio::test]
async fn malformed_http_is_400_and_the_connection_is_closed() {
    let service = Service::start([]).await;
    let length = BODY.len();
    let sized = |header: &str| format!("{POST}{header}\r\n\r\n{BODY}");
    let chunk = |size: &str| format!("{POST}{CHUNKED}\r\n{size}\r\n{BODY}\r\n0\r\n\r\n");
    // actix-http rejects these with a status alone, before any service sees them.
    let refused = [
        ("a length and chunks", format!("{POST}Content-Length: {length}\r\n{CHUNKED}\r\n{BODY}"), 400),
        (
            "chunks and a length",
            format!("{POST}{CHUNKED}Content-Length: {length}\r\n\r\n22\r\n{BODY}\r\n0\r\n\r\n"),
            400,
        ),
        ("two lengths", sized("Content-Length: 34\r\nContent-Length: 35"), 400),
        ("one length twice", sized("Content-Length: 34\r\nContent-Length: 34"), 400),
        ("a list of lengths", sized("Content-Length: 34, 34"), 400),
        ("a length with a sign", sized("Content-Length: +34"), 400),
        ("a negative length", sized("Content-Length: -1"), 400),
        ("a hexadecimal length", sized("Content-Length: 0x22"), 400),
        ("a length beyond all numbers", sized("Content-Length: 99999999999999999999999"), 400),
        ("an empty length", sized("Content-Length: "), 400),
        ("an encoding that is no encoding", sized("Transfer-Encoding: identity"), 400),
        ("an encoding that only ends like one", sized("Transfer-Encoding: xchunked"), 400),
        ("an encoding behind a vertical tab", sized("Transfer-Encoding: \u{b}chunked"), 400),
        ("chunks, and then something else", sized("Transfer-Encoding: chunked, identity"), 400),
        ("two encodings", sized("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity"), 400),
        ("chunks in HTTP/1.0", chunk("22").replace("HTTP/1.1", "HTTP/1.0"), 400),
        ("a header on two lines", format!("{GET}X-A: b\r\n c\r\n\r\n"), 400),
        ("a header with a space before the colon", format!("{GET}X-A : b\r\n\r\n"), 400),
        ("a header without a colon", format!("{GET}XA\r\n\r\n"), 400),
        ("a header with a NUL", format!("{GET}X-A: b\0c\r\n\r\n"), 400),
        ("a header with half a line end", format!("{GET}X-A: b\rc\r\n\r\n"), 400),
        ("two hosts", format!("{GET}Host: b\r\n\r\n"), 400),
        ("no host", "GET /livez HTTP/1.1\r\n\r\n".to_owned(), 400),
        ("HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned(), 400),
        ("HTTP/0.9", "GET /livez\r\n".to_owned(), 400),
        ("HTTP/9.9", GET.replace("1.1", "9.9") + "\r\n", 400),
        ("a method of signs", "G@T /livez HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(), 400),
        ("a path that is no ASCII", "GET /é HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(), 400),
        ("TLS", "\u{16}\u{3}\u{1}\0\u{5}\u{1}\0\0\u{1}\u{3}\u{3}\0\0\0\r\n".to_owned(), 400),
        ("200 headers", format!("{GET}{}\r\n", "X: a\r\n".repeat(200)), 431),
        ("a header of 200 KB", format!("{GET}X: {}\r\n\r\n", "a".repeat(200_000)), 431),
        ("a path of 200 KB", format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "a".repeat(200_000)), 431),
    ];
    for (why, request, status) in refused {
        let (answer, closed) = told(service.addr, request.as_bytes()).await;
        assert_eq!(read(&answer).0, [status], "{why}: {}", String::from_utf8_lossy(&answer));
        assert!(closed, "{why}: the start of a next request is unknown");
    }
    service.log_in(MEMBER).await;
}

#[tokio::test]
async fn malformed_body_framing_is_4xx() {
    let service = Service::start([]).await;
    let chunk = |size: &str| format!("{POST}{CHUNKED}\r\n{size}\r\n{BODY}\r\n0\r\n\r\n");
    let refused = [
        ("a chunk of more than there are numbers for", chunk("FFFFFFFFFFFFFFFFF"), 400),
        ("a chunk of a negative size", chunk("-1"), 400),
        ("a chunk of a size with a prefix", chunk("0x22"), 400),
        ("a chunk without a size", chunk(""), 400),
        ("a chunk without a line end behind it", chunk("22").replace("}\r\n", "}"), 400),
        ("chunks with half a line end", chunk("22").replace("22\r\n", "22\n"), 400),
        ("a chunk longer than its size", chunk("21"), 400),
        ("another host to connect to", "CONNECT a:80 HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(), 404),
    ];
    for (why, request, status) in refused {
        let (answer, closed) = told(service.addr, request.as_bytes()).await;
        let (statuses, problem) = read(&answer);
        let text = String::from_utf8_lossy(&answer);
        assert_eq!(statuses, [status], "{why}: {text}");
        let problem = problem.unwrap_or_else(|| panic!("{why}: no problem+json: {text}"));
        assert_eq!(problem["status"], status, "{why}");
        assert!(problem["code"].is_string() && problem["requestId"].is_string(), "{why}: {problem}");
        for header in ["x-request-id: ", "x-content-type-options: nosniff", "cache-control: no-store"] {
            assert!(text.contains(header), "{why}: {header} is missing: {text}");
        }
        assert!(closed, "{why}: the start of a next request is unknown");
    }
    service.log_in(MEMBER).await;
}

#[tokio::test]
async fn unusual_but_valid_http_is_answered() {
    let service = Service::start([]).await;
    let last = "Connection: close\r\n\r\n";
    let chunked = |chunks: &str| format!("{POST}Connection: close\r\n{CHUNKED}\r\n{chunks}");
    let answered: [(&str, String, &[u16]); 12] = [
        ("three at once", format!("{GET}\r\n{GET}\r\n{GET}{last}"), &[200, 200, 200]),
        ("one that is good, one that is not", format!("{GET}\r\nBAD\r\n\r\n{GET}{last}"), &[200, 400]),
        ("a body that nobody reads", format!("{GET}Content-Length: 5\r\n\r\nhello{GET}{last}"), &[200, 200]),
        (
            "a body that looks like a request",
            format!("GET /me HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n{GET}\r\n{GET}{last}", GET.len() + 2),
            &[401, 200],
        ),
        ("chunks", chunked(&format!("22\r\n{BODY}\r\n0\r\n\r\n")), &[401]),
        ("chunks with an extension", chunked(&format!("22;a=b\r\n{BODY}\r\n0\r\n\r\n")), &[401]),
        ("a long extension", chunked(&format!("22;a={}\r\n{BODY}\r\n0\r\n\r\n", "b".repeat(200_000))), &[401]),
        ("a size with zeros before it", chunked(&format!("{}22\r\n{BODY}\r\n0\r\n\r\n", "0".repeat(100))), &[401]),
        ("chunks with a trailer", chunked(&format!("22\r\n{BODY}\r\n0\r\nX-A: b\r\n\r\n")), &[401]),
        ("empty lines before it", format!("\r\n\r\n{GET}{last}"), &[200]),
        ("an offer to go on with HTTP/2", format!("{GET}Connection: close, Upgrade\r\nUpgrade: h2c\r\n\r\n"), &[200]),
        ("an absolute address", format!("GET http://a/livez HTTP/1.1\r\nHost: a\r\n{last}"), &[200]),
    ];
    for (why, request, expected) in answered {
        let (answer, closed) = told(service.addr, request.as_bytes()).await;
        assert_eq!(read(&answer).0, expected, "{why}: {}", String::from_utf8_lossy(&answer));
        assert!(closed, "{why}");
    }
}

/// Java's `HttpClient` offers HTTP/2 in this way, and would send its next request on a connection that is closed without
/// notice.
#[tokio::test]
async fn offered_upgrade_is_declined_and_the_close_is_announced() {
    let service = Service::start([]).await;
    for offer in ["Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAEAAEAA", "upgrade"] {
        let (answer, closed) = told(service.addr, format!("{GET}Connection: {offer}\r\n\r\n").as_bytes()).await;
        let answer = String::from_utf8_lossy(&answer);
        assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("\r\nconnection: close\r\n"), "{answer}");
        assert!(!answer.contains("upgrade") && closed, "{answer}");
    }
}

/// actix-http takes all that follows `Upgrade: websocket` for the body.
#[tokio::test]
async fn body_beside_an_offered_websocket_ends_after_its_length() {
    let service = Service::start([]).await;
    for offer in ["Upgrade: websocket", "upgrade: WebSocket\r\nConnection: Upgrade"] {
        for (call, length, rest, expected) in [
            (POST, BODY.len(), BODY.to_owned(), "HTTP/1.1 401"),
            (POST, BODY.len(), format!("{BODY}{GET}\r\n"), "HTTP/1.1 401"),
            (&*POST.replace("/login", "/logout"), 0, String::new(), "HTTP/1.1 401"),
            (&*POST.replace("/login", "/nowhere"), BODY.len(), BODY.to_owned(), "HTTP/1.1 404"),
            (GET, 0, String::new(), "HTTP/1.1 200"),
        ] {
            let began = Instant::now();
            let request = format!("{call}{offer}\r\nContent-Length: {length}\r\n\r\n{rest}");
            let (answer, closed) = told(service.addr, request.as_bytes()).await;
            let answer = String::from_utf8_lossy(&answer);
            assert!(answer.starts_with(expected) && answer.matches("HTTP/1.1").count() == 1, "{request}: {answer}");
            assert!(closed && began.elapsed() < Duration::from_secs(5), "{request}");
        }
    }
}

/// An incomplete chunk, after which nothing more is sent.
#[tokio::test]
async fn endless_chunk_is_one_4xx_and_the_connection_is_closed() {
    let service = Service::start([]).await;
    let of = |call: &str, rest: &str| format!("{}{CHUNKED}\r\n{rest}", POST.replace("POST /login", call));
    let cases = [
        ("sixteen digits", of("POST /login", &format!("FFFFFFFFFFFFFFFF\r\n{BODY}")), 408),
        ("sixteen digits and an end", of("POST /login", &format!("FFFFFFFFFFFFFFFF\r\n{BODY}\r\n0\r\n\r\n")), 408),
        (
            "sixteen digits of a body that is too long",
            of("POST /login", &format!("FFFFFFFFFFFFFFFF\r\n{}", " ".repeat(70_000))),
            413,
        ),
        ("where there is nothing", of("POST /nowhere", "FFFFFFFFFFFFFFFF\r\n{"), 404),
        ("where no body is read", of("DELETE /me/sessions", "FFFFFFFFFFFFFFFF\r\n{"), 401),
        ("where another method is", of("POST /me", "FFFFFFFFFFFFFFFF\r\n{"), 405),
        ("the largest signed number", of("POST /login", &format!("7FFFFFFFFFFFFFFF\r\n{BODY}")), 408),
        ("a size without an end", of("POST /login", &"0".repeat(1000)), 408),
        ("an extension without an end", of("POST /login", &format!("22;a={}", "b".repeat(200_000))), 408),
        (
            "a trailer without an end",
            of("POST /login", &format!("22\r\n{BODY}\r\n0\r\nX-A: {}", "b".repeat(200_000))),
            408,
        ),
        (
            "trailers without an end",
            of("POST /login", &format!("22\r\n{BODY}\r\n0\r\n{}", "X-A: b\r\n".repeat(20_000))),
            408,
        ),
        ("no line end behind the chunk", of("POST /login", &format!("22\r\n{BODY}")), 408),
        ("no last chunk", of("POST /login", &format!("22\r\n{BODY}\r\n")), 408),
    ];
    let asked = cases.map(async |(why, request, status)| {
        let mut stream = TcpStream::connect(service.addr).await.unwrap();
        let started = Instant::now();
        let mut answer = Vec::new();
        stream.write_all(request.as_bytes()).await.unwrap();
        let end = timeout(Duration::from_secs(12), stream.read_to_end(&mut answer)).await;
        end.unwrap_or_else(|_| panic!("{why}: the connection stays open")).unwrap();
        let (statuses, problem) = read(&answer);
        assert_eq!(statuses, [status], "{why}: {}", String::from_utf8_lossy(&answer));
        assert_eq!(problem.unwrap()["status"], status, "{why}");
        assert!(status == 408 || started.elapsed() < Duration::from_secs(4), "{why}: {:?}", started.elapsed());
    });
    join_all(asked).await;
}

/// The way in which a client is slow, one step a second.
#[derive(Clone, Copy, Debug)]
enum Slow {
    /// It sends nothing.
    Silent,
    /// The head of its first request, byte by byte.
    Head,
    /// A body.
    Body,
    /// A chunked body.
    Chunks,
}

/// The time until the service closed the connection, and its response.
async fn dawdle(addr: SocketAddr, slow: Slow) -> (Duration, Vec<u8>) {
    let mut stream = TcpStream::connect(addr).await.unwrap();
    let (first, drip) = match slow {
        Slow::Silent => (String::new(), ""),
        Slow::Head => ("GET /livez HTTP/1.1\r\nHo".to_owned(), "x"),
        Slow::Body => (format!("{POST}Content-Length: 60000\r\n\r\n{{"), " "),
        Slow::Chunks => (format!("{POST}{CHUNKED}\r\n"), "1\r\n \r\n"),
    };
    let started = Instant::now();
    let mut answer = Vec::new();
    let (mut reader, mut writer) = stream.split();
    let write = async {
        let mut broken = writer.write_all(first.as_bytes()).await.is_err();
        while !broken {
            sleep(Duration::from_secs(1)).await;
            broken = writer.write_all(drip.as_bytes()).await.is_err();
        }
    };
    let read = async { while reader.read_buf(&mut answer).await.is_ok_and(|length| length > 0) {} };
    tokio::select! { () = read => {}, () = async { write.await; std::future::pending::<()>().await } => {} }
    (started.elapsed(), answer)
}

#[tokio::test]
#[ignore = "long: ./test --long runs it"]
async fn an_idle_connection_is_kept_for_a_while_and_not_for_ever() {
    let service = Service::start([]).await;
    // The second request announces a body that never comes; the service responds without it.
    for first in [format!("{GET}\r\n"), format!("{GET}{CHUNKED}\r\n")] {
        let mut stream = TcpStream::connect(service.addr).await.unwrap();
        stream.write_all(first.as_bytes()).await.unwrap();
        let started = Instant::now();
        let mut answer = Vec::new();
        timeout(Duration::from_secs(90), stream.read_to_end(&mut answer)).await.expect("closed within 90 s").unwrap();
        assert_eq!(read(&answer).0, [200]);
        let kept = started.elapsed();
        assert!(
            kept > Duration::from_mins(1) || first.contains(CHUNKED),
            "a proxy keeps connections for 60 s: {kept:?}"
        );
    }
}

#[tokio::test]
async fn slow_clients_are_disconnected_and_delay_no_other() {
    let service = Service::start([]).await;
    let slow = [Slow::Silent, Slow::Head, Slow::Body, Slow::Chunks];
    let crowd = slow.iter().flat_map(|slow| std::iter::repeat_n(*slow, 40));
    let crowd = join_all(crowd.map(async |slow| (slow, dawdle(service.addr, slow).await)));
    let honest = async {
        for _ in 0..20 {
            sleep(Duration::from_millis(500)).await;
            let started = Instant::now();
            service.nobody().get("/livez").await.is(200);
            service.log_in(MEMBER).await;
            // A request delayed by the slow clients would take three times as long, even on a busy machine.
            assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
        }
    };
    let (crowd, ()) = futures_util::future::join(crowd, honest).await;
    for (slow, (after, answer)) in crowd {
        assert!(after < Duration::from_secs(16), "{slow:?} was served for {after:?}");
        let (statuses, problem) = read(&answer);
        assert_eq!(statuses, [408], "{slow:?}: {}", String::from_utf8_lossy(&answer));
        if matches!(slow, Slow::Body | Slow::Chunks) {
            assert_eq!(problem.unwrap()["code"], "request_timeout", "{slow:?}");
        }
    }
}
