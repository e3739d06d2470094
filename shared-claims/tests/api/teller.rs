use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use shared_claims::{Revocation, RevocationList};
use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;

/// A server of a revocation list on a port of its own, which can misbehave and records its requests.
pub struct Teller {
    pub url: String,
    state: Arc<State>,
    // Closes all connections when dropped.
    _tasks: JoinSet<()>,
}

struct State {
    manner: Mutex<Manner>,
    revoked: Mutex<Vec<Revocation>>,
    asked: Mutex<Vec<Asked>>,
    open: AtomicUsize,
}

/// A request that the server has received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    pub after: Option<String>,
    pub etag: Option<String>,
}

/// The response of the server.
#[derive(Clone)]
pub enum Manner {
    /// The correct list.
    Honest,
    /// The correct list, after this pause.
    Slow(Duration),
    /// None: the connection closes.
    Dead,
    /// These bytes; then the connection closes.
    Odd(Vec<u8>),
    /// A byte each second, endlessly.
    Dripping,
    /// 503, and on this connection for ever; a new connection may get another response.
    Ill,
}

impl Teller {
    pub async fn start(revoked: &[Revocation]) -> Self {
        Self::listen(revoked, None).await
    }

    /// Starts a server on HTTPS, as `localhost`.
    pub async fn encrypted(revoked: &[Revocation], tls: TlsAcceptor) -> Self {
        Self::listen(revoked, Some(tls)).await
    }

    async fn listen(revoked: &[Revocation], tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let url = if tls.is_some() { format!("https://localhost:{port}") } else { format!("http://127.0.0.1:{port}") };
        let state = Arc::new(State {
            manner: Mutex::new(Manner::Honest),
            revoked: Mutex::new(revoked.to_vec()),
            asked: Mutex::default(),
            open: AtomicUsize::new(0),
        });
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(listener, tls, Arc::clone(&state)));
        Self { url, state, _tasks: tasks }
    }

    pub fn behave(&self, manner: Manner) {
        *self.state.manner.lock().unwrap() = manner;
    }

    pub fn revoke(&self, revocation: Revocation) {
        self.state.revoked.lock().unwrap().push(revocation);
    }

    pub fn asked(&self) -> Vec<Asked> {
        self.state.asked.lock().unwrap().clone()
    }

    /// Waits until the server has received `times` more requests.
    pub async fn is_asked_again(&self, times: usize) {
        let before = self.asked().len();
        until("it is asked", || self.asked().len() >= before + times).await;
    }

    /// The number of open connections.
    pub fn open(&self) -> usize {
        self.state.open.load(Ordering::SeqCst)
    }
}

/// Waits until `condition` is true. Fails with `why` after 20 seconds.
pub async fn until(why: &str, mut condition: impl FnMut() -> bool) {
    let wait = async {
        while !condition() {
            sleep(Duration::from_millis(2)).await;
        }
    };
    timeout(Duration::from_secs(20), wait).await.expect(why);
}

/// A complete response.
pub fn answer(status: &str, headers: &str, body: &str) -> Vec<u8> {
    format!("HTTP/1.1 {status}\r\n{headers}Content-Length: {}\r\n\r\n{body}", body.len()).into_bytes()
}

async fn accept(listener: TcpListener, tls: Option<TlsAcceptor>, state: Arc<State>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let (state, tls) = (Arc::clone(&state), tls.clone());
        connections.spawn(async move {
            state.open.fetch_add(1, Ordering::SeqCst);
            // An error is no failure: the client hung up, or does not trust this server.
            let _ = match tls {
                None => serve(stream, &state).await,
                Some(tls) => match tls.accept(stream).await {
                    Ok(stream) => serve(stream, &state).await,
                    Err(error) => Err(error),
                },
            };
            state.open.fetch_sub(1, Ordering::SeqCst);
        });
    }
}

async fn serve(stream: impl AsyncRead + AsyncWrite + Unpin, state: &State) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    let mut is_ill = false;
    while let Some(asked) = read(&mut stream).await? {
        state.asked.lock().unwrap().push(asked.clone());
        let manner = state.manner.lock().unwrap().clone();
        is_ill |= matches!(manner, Manner::Ill);
        match manner {
            _ if is_ill => {
                stream.write_all(&answer("503 Service Unavailable", "", "")).await?;
                continue;
            }
            Manner::Honest | Manner::Ill => (),
            Manner::Slow(pause) => sleep(pause).await,
            Manner::Dead => return Ok(()),
            Manner::Dripping => {
                stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n").await?;
                loop {
                    stream.write_all(b" ").await?;
                    stream.flush().await?;
                    sleep(Duration::from_secs(1)).await;
                }
            }
            Manner::Odd(bytes) => {
                stream.write_all(&bytes).await?;
                return stream.shutdown().await;
            }
        }
        let answer = honest(&state.revoked.lock().unwrap(), &asked);
        stream.write_all(&answer).await?;
        stream.flush().await?;
    }
    Ok(())
}

/// The head of the next request; `None` at the end of the connection.
async fn read(stream: &mut (impl AsyncBufRead + Unpin)) -> std::io::Result<Option<Asked>> {
    let (mut asked, mut line) = (Asked { after: None, etag: None }, String::new());
    let mut wants_no_cache = false;
    while stream.read_line(&mut line).await? > 0 {
        if line.trim().is_empty() {
            assert!(wants_no_cache, "a cache may answer this request");
            return Ok(Some(asked));
        }
        if let Some((target, _)) = line.strip_prefix("GET ").and_then(|rest| rest.split_once(' ')) {
            assert!(target == "/revocations" || target.starts_with("/revocations?after="), "{target}");
            asked.after = target.split_once("?after=").map(|(_, cursor)| cursor.to_owned());
        }
        wants_no_cache |= line.trim().eq_ignore_ascii_case("cache-control: no-cache");
        if let Some((name, value)) = line.split_once(": ")
            && name.eq_ignore_ascii_case("if-none-match")
        {
            asked.etag = Some(value.trim().to_owned());
        }
        line.clear();
    }
    Ok(None)
}

/// The correct response: the entries after the cursor, or all without a known one. A cursor is a number of entries.
fn honest(revoked: &[Revocation], asked: &Asked) -> Vec<u8> {
    let from = asked.after.as_ref().and_then(|cursor| cursor.strip_prefix("c-")?.parse().ok()).unwrap_or(0);
    let entries = revoked.get(from..).unwrap_or(revoked).to_vec();
    let list = RevocationList { cursor: format!("c-{}", revoked.len()), entries };
    let etag = format!("\"{}-{}\"", list.cursor, list.entries.len());
    if asked.etag.as_ref() == Some(&etag) {
        return format!("HTTP/1.1 304 Not Modified\r\nETag: {etag}\r\n\r\n").into_bytes();
    }
    answer("200 OK", &format!("ETag: {etag}\r\n"), &serde_json::to_string(&list).unwrap())
}

/// The JSON of a valid list with this one session.
pub fn list_of(sid: &str) -> String {
    let list: Value = json!({"cursor": "odd", "entries": [{"sid": sid, "until": u64::from(u32::MAX)}]});
    list.to_string()
}
