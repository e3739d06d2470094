//! The requests per second that a service answers at most.

use std::io;
use std::time::{Duration, Instant};

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::servers::Service;
use crate::table::Row;

const CONNECTIONS: usize = 16;
const ROUNDS: u32 = 3;
const ROUND: Duration = Duration::from_secs(5);

/// The totals of a service over all rounds.
#[derive(Default)]
struct Load {
    requests: u32,
    cpu: Duration,
}

/// Measures the two services in turn, so that other work of the machine affects both.
pub async fn measure(without: &Service, following: &Service, token: &str) -> io::Result<[Row; 2]> {
    let [mut alone, mut with] = [Load::default(), Load::default()];
    for _ in 0..ROUNDS {
        alone.round(without, token).await?;
        with.round(following, token).await?;
    }
    let figure = |figure: fn(&Load) -> f64, unit: &str| {
        let (with, alone) = (figure(&with), figure(&alone));
        format!("{:.2} ({with:.0} to {alone:.0}{unit})", with / alone)
    };
    Ok([
        Row::figure("`GET /books` a second, polling 100,000 to no polling", figure(Load::per_second, "")),
        Row::figure("CPU of books-service for one, the same", figure(Load::micros, " µs")),
    ])
}

impl Load {
    async fn round(&mut self, books: &Service, token: &str) -> io::Result<()> {
        let request = format!("GET /books HTTP/1.1\r\nHost: books\r\nAuthorization: Bearer {token}\r\n\r\n");
        let (before, until) = (books.cpu()?, Instant::now() + ROUND);
        let mut connections = JoinSet::new();
        for _ in 0..CONNECTIONS {
            let stream = TcpStream::connect(books.addr).await?;
            stream.set_nodelay(true)?;
            connections.spawn(ask_until(until, BufReader::new(stream), request.clone()));
        }
        while let Some(answered) = connections.join_next().await {
            self.requests += answered??;
        }
        self.cpu += books.cpu()?.since(&before);
        Ok(())
    }

    fn per_second(&self) -> f64 {
        f64::from(self.requests) / (ROUND * ROUNDS).as_secs_f64()
    }

    fn micros(&self) -> f64 {
        self.cpu.as_secs_f64() * 1e6 / f64::from(self.requests)
    }
}

/// Sends one request after the other, and returns the number of responses.
async fn ask_until(until: Instant, mut stream: BufReader<TcpStream>, request: String) -> io::Result<u32> {
    let mut answered = 0;
    while Instant::now() < until {
        stream.write_all(request.as_bytes()).await?;
        read_answer(&mut stream).await?;
        answered += 1;
    }
    Ok(answered)
}

/// Reads one response, which must be a 200.
async fn read_answer(stream: &mut BufReader<TcpStream>) -> io::Result<()> {
    let (mut line, mut length) = (String::new(), 0);
    stream.read_line(&mut line).await?;
    if !line.starts_with("HTTP/1.1 200 ") {
        return Err(io::Error::other(format!("books-service answers {line:?}")));
    }
    while line != "\r\n" {
        line.clear();
        if stream.read_line(&mut line).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().map_err(io::Error::other)?;
        }
    }
    stream.read_exact(&mut vec![0; length]).await.map(drop)
}
