//! Abusive clients: a storm of logins, and slow clients.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use reqwest::Client;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::servers::{Servers, url};

/// The time within which a slow client must be cut off.
const CUT: Duration = Duration::from_secs(21);

/// Clients that log in without pause.
pub struct Storm {
    counts: Arc<Logins>,
    clients: JoinSet<()>,
    began: Instant,
}

/// The number of responses by outcome.
#[derive(Default)]
struct Logins {
    good: AtomicU64,
    busy: AtomicU64,
    other: AtomicU64,
}

/// The outcomes of a storm that has ended.
pub struct Stormed {
    per_second: f64,
    busy_per_second: f64,
    other: u64,
}

impl Storm {
    pub fn begin(servers: &Servers, clients: usize) -> Self {
        let counts = Arc::<Logins>::default();
        let url = url(servers.auth, "/login");
        let mut crowd = JoinSet::new();
        for number in 0..clients {
            let (counts, url) = (Arc::clone(&counts), url.clone());
            // Half of them know the password.
            let password = if number % 2 == 0 { "password123member" } else { "a wrong one" };
            let body = json!({"username": "anna", "password": password});
            crowd.spawn(async move {
                let Ok(client) = Client::builder().no_proxy().build() else { return };
                loop {
                    let answer = client.post(&url).json(&body).send().await;
                    let count = match answer.map(|answer| answer.status().as_u16()) {
                        Ok(200 | 401) => &counts.good,
                        Ok(503) => &counts.busy,
                        _ => &counts.other,
                    };
                    count.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        Self { counts, clients: crowd, began: Instant::now() }
    }

    pub async fn end(mut self) -> Stormed {
        let seconds = self.began.elapsed().as_secs_f64();
        self.clients.shutdown().await;
        let of = |count: &AtomicU64| f64::from(u32::try_from(count.load(Ordering::Relaxed)).unwrap_or(u32::MAX));
        Stormed {
            per_second: of(&self.counts.good) / seconds,
            busy_per_second: of(&self.counts.busy) / seconds,
            other: self.counts.other.load(Ordering::Relaxed),
        }
    }
}

impl Stormed {
    pub fn broken(&self) -> Option<String> {
        (self.other > 0 || self.per_second == 0.0).then(|| format!("unexpected outcomes of logins: {self}"))
    }
}

impl fmt::Display for Stormed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { per_second, busy_per_second, other } = self;
        write!(
            f,
            "{per_second:.1} a second were checked, {busy_per_second:.1} a second were answered 503, {other} otherwise"
        )
    }
}

/// Clients that send one byte per second.
pub struct Dawdlers {
    clients: JoinSet<std::io::Result<Duration>>,
}

/// The result for the slow clients.
pub struct Cut {
    ended: usize,
    others: usize,
    latest: Duration,
}

impl Dawdlers {
    /// Starts clients that send a first head, a body, or chunks.
    pub fn begin(addr: SocketAddr, of_each: usize) -> Self {
        const HEAD: &str = "POST /login HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n";
        let kinds = [
            ("GET /livez HTTP/1.1\r\nHo".to_owned(), "x"),
            (format!("{HEAD}Content-Length: 60000\r\n\r\n{{"), " "),
            (format!("{HEAD}Transfer-Encoding: chunked\r\n\r\n"), "1\r\n \r\n"),
        ];
        Self::of(addr, of_each, kinds)
    }

    /// Starts clients that send the second head of a connection. A proxy cuts this off; a service does not.
    pub fn with_second_heads(addr: SocketAddr, clients: usize) -> Self {
        Self::of(addr, clients, [("GET /livez HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(), "G")])
    }

    fn of(addr: SocketAddr, of_each: usize, kinds: impl IntoIterator<Item = (String, &'static str)>) -> Self {
        let mut clients = JoinSet::new();
        for (first, drip) in kinds {
            for _ in 0..of_each {
                clients.spawn(dawdle(addr, first.clone(), drip));
            }
        }
        Self { clients }
    }

    pub async fn end(self) -> Cut {
        let times = self.clients.join_all().await;
        let cut: Vec<Duration> = times.iter().filter_map(|time| time.as_ref().ok().copied()).collect();
        let latest = cut.iter().copied().max().unwrap_or_default();
        Cut { others: times.len() - cut.len(), ended: cut.len(), latest }
    }
}

async fn dawdle(addr: SocketAddr, first: String, drip: &str) -> std::io::Result<Duration> {
    let (mut reader, mut writer) = TcpStream::connect(addr).await?.into_split();
    let began = Instant::now();
    writer.write_all(first.as_bytes()).await?;
    let dripping = async {
        while writer.write_all(drip.as_bytes()).await.is_ok() {
            sleep(Duration::from_secs(1)).await;
        }
    };
    let mut buffer = [0; 1024];
    let reading = async { while reader.read(&mut buffer).await.is_ok_and(|length| length > 0) {} };
    tokio::select! { () = reading => {}, () = dripping => {} }
    Ok(began.elapsed())
}

impl Cut {
    pub fn broken(&self) -> Option<String> {
        (self.others > 0 || self.latest > CUT).then(|| format!("slow clients were served too long: {self}"))
    }
}

impl fmt::Display for Cut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} were cut off, the last after {:.1} s; {} failed otherwise",
            self.ended,
            self.latest.as_secs_f64(),
            self.others
        )
    }
}
