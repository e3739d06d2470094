//! Closed-loop load over plain sockets: each connection has one request in flight.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// The responses of a load, and the time that they took.
#[derive(Debug, Default)]
pub struct Load {
    pub responses: u32,
    /// The number of responses that are neither 200 nor 401.
    pub failures: u32,
    pub time: Duration,
}

pub struct Response<'a> {
    pub status: u16,
    pub body: &'a str,
}

/// A connection that is kept open.
pub struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Connection {
    pub fn open(addr: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(addr)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        Ok(Self { stream, buffer: Vec::new() })
    }

    pub fn send(&mut self, request: &str) -> io::Result<()> {
        self.stream.write_all(request.as_bytes())
    }

    /// Reads one response, whose head must have a `Content-Length`.
    pub fn receive(&mut self) -> io::Result<Response<'_>> {
        let wrong = || io::Error::other("not a response with a length");
        self.buffer.clear();
        let mut whole = usize::MAX;
        let mut head = 0;
        while self.buffer.len() < whole {
            let mut part = [0; 8192];
            let read = self.stream.read(&mut part)?;
            self.buffer.extend_from_slice(&part[..read]);
            if read == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            if whole == usize::MAX
                && let Some(end) = self.buffer.windows(4).position(|four| four == b"\r\n\r\n")
            {
                head = end + 4;
                whole = head + length(&self.buffer[..end]).ok_or_else(wrong)?;
            }
        }
        let text = str::from_utf8(&self.buffer).map_err(|_| wrong())?;
        let status = text.get(9..12).and_then(|status| status.parse().ok()).ok_or_else(wrong)?;
        Ok(Response { status, body: &text[head..] })
    }
}

fn length(head: &[u8]) -> Option<usize> {
    let fields = str::from_utf8(head).ok()?.lines().filter_map(|line| line.split_once(':'));
    let mut lengths = fields.filter(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    lengths.next()?.1.trim().parse().ok()
}

/// The text of a request.
pub fn request(method: &str, path: &str, token: &str, body: &str) -> String {
    let authorization = if token.is_empty() { String::new() } else { format!("Authorization: Bearer {token}\r\n") };
    let about_body = if body.is_empty() {
        String::new()
    } else {
        format!("Content-Type: application/json\r\nContent-Length: {}\r\n", body.len())
    };
    format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\n{authorization}{about_body}\r\n{body}")
}

/// Sends each of `requests` on its own connection, repeatedly for `time`. After each response, `next` may
/// replace the request.
pub fn load(
    addr: SocketAddr,
    requests: &mut [String],
    time: Duration,
    next: impl Fn(&str) -> Option<String>,
) -> io::Result<Load> {
    let mut connections = requests.iter().map(|_| Connection::open(addr)).collect::<io::Result<Vec<_>>>()?;
    let began = Instant::now();
    for (connection, request) in connections.iter_mut().zip(&*requests) {
        connection.send(request)?;
    }
    let mut load = Load::default();
    let mut is_over = false;
    while !is_over {
        is_over = began.elapsed() >= time;
        for (connection, request) in connections.iter_mut().zip(&mut *requests) {
            let response = connection.receive()?;
            load.count(response.status);
            if let Some(next) = next(response.body) {
                *request = next;
            }
            if !is_over {
                connection.send(request)?;
            }
        }
    }
    load.time = began.elapsed();
    Ok(load)
}

impl Load {
    fn count(&mut self, status: u16) {
        self.responses += 1;
        self.failures += u32::from(![200, 401].contains(&status));
    }
}
