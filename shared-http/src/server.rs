use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use actix_http::Protocol;
use actix_http::error::DispatchError;
use actix_server::ServerBuilder;
use actix_service::{ServiceFactoryExt, fn_service};
use actix_web::dev::{Server, ServerHandle};
use actix_web::web;
use tokio::net::{TcpSocket, TcpStream};

use crate::connection::Connection;
use crate::metrics::{Metrics, Shown, show};
use crate::options::ServerOptions;
use crate::tls::Tls;
use crate::worker::Http;

/// Connections that wait to be accepted.
const BACKLOG: u32 = 1024;
/// Connections of one worker, whatever memory there is.
const MOST_OF_WORKER: usize = 25_600;
/// What is in flight at the end may take this long; under the ten seconds that `docker stop` gives.
const DRAIN_SECONDS: u64 = 8;

/// A server that listens.
pub struct Running {
    addr: SocketAddr,
    metrics_addr: Option<SocketAddr>,
    server: Server,
    /// What it shows, as long as it runs.
    _shown: Arc<Shown>,
}

impl Running {
    /// Where it listens.
    #[must_use]
    pub const fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Where it shows its metrics, if it does.
    #[must_use]
    pub const fn metrics_addr(&self) -> Option<SocketAddr> {
        self.metrics_addr
    }

    /// To stop it from elsewhere; `stop(true)` finishes what is in flight.
    #[must_use]
    pub fn handle(&self) -> ServerHandle {
        self.server.handle()
    }

    /// Serves until it is stopped.
    ///
    /// # Errors
    /// The server fails.
    pub async fn wait(self) -> io::Result<()> {
        self.server.await
    }
}

/// Listens, and serves what `configure` lays out; and where there is an address for them, shows `metrics` on that one.
///
/// # Errors
/// An address or the certificate cannot be had; the text names it.
pub fn bind(
    options: &ServerOptions,
    metrics: Metrics,
    configure: impl Fn(&mut web::ServiceConfig) + Clone + Send + 'static,
) -> io::Result<Running> {
    let (listener, addr) = listen(options.addr)?;
    let tls = options.tls.clone().map(Tls::start).transpose()?;
    let of_worker = (options.max_connections / options.workers).clamp(1, MOST_OF_WORKER);
    let builder = Server::build().workers(options.workers).max_concurrent_connections(of_worker);
    let builder = builder.shutdown_timeout(DRAIN_SECONDS).disable_signals();
    let stopping = builder.graceful_shutdown_signal();
    let service = Http { options: options.clone(), addr, configure, stopping: stopping.clone(), is_public: true };
    let builder = match tls {
        None => plain(builder, options.name, listener, service),
        Some(tls) => encrypted(builder, options.name, listener, tls, service),
    }?;
    let (builder, metrics_addr, shown) = match options.metrics {
        None => (builder, None, metrics.shown(options.name)),
        Some(wanted) => {
            let shown = metrics.start(options.name)?;
            let (listener, addr) = listen(wanted)?;
            let options = ServerOptions { tls: None, allowed_origins: Vec::new(), ..options.clone() };
            let page = Http { options, addr, configure: show, stopping, is_public: false };
            (plain(builder, "metrics", listener, page)?, Some(addr), shown)
        }
    };
    let server = builder.run();
    log::info!("{} started on {addr}", options.name);
    log::info!("{} takes {} connections at once, by its memory", options.name, of_worker * options.workers);
    if let Some(addr) = metrics_addr {
        log::info!("{} shows its metrics on {addr}", options.name);
    }
    Ok(Running { addr, metrics_addr, server, _shown: shown })
}

fn plain<F: Fn(&mut web::ServiceConfig) + Clone + Send + 'static>(
    builder: ServerBuilder,
    name: &str,
    listener: TcpListener,
    service: Http<F>,
) -> io::Result<ServerBuilder> {
    builder.listen(name, listener, move || {
        let accept = |io: TcpStream| async {
            let peer = greet(&io);
            Ok::<_, DispatchError>((Connection::new(io, peer, false), Protocol::Http1, peer))
        };
        fn_service(accept).and_then(service.factory())
    })
}

fn encrypted<F: Fn(&mut web::ServiceConfig) + Clone + Send + 'static>(
    builder: ServerBuilder,
    name: &str,
    listener: TcpListener,
    tls: Tls,
    service: Http<F>,
) -> io::Result<ServerBuilder> {
    builder.listen(name, listener, move || {
        let tls = tls.clone();
        let accept = move |io: TcpStream| {
            let tls = tls.clone();
            async move {
                let peer = greet(&io);
                let io = tls.accept(io).await.map_err(DispatchError::Io)?;
                Ok::<_, DispatchError>((Connection::new(io, peer, true), Protocol::Http1, peer))
            }
        };
        fn_service(accept).and_then(service.factory())
    })
}

/// Whoever listens at `addr`, and where that is if the system chose.
fn listen(addr: SocketAddr) -> io::Result<(TcpListener, SocketAddr)> {
    let listening = || {
        let listener = socket(addr)?;
        let addr = listener.local_addr()?;
        Ok((listener, addr))
    };
    listening().map_err(|error: io::Error| io::Error::new(error.kind(), format!("{addr} cannot be had: {error}")))
}

fn socket(addr: SocketAddr) -> io::Result<TcpListener> {
    let socket = if addr.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    socket.set_reuseaddr(true)?;
    socket.bind(addr)?;
    socket.listen(BACKLOG)?.into_std()
}

/// Who is there. Answers are sent as soon as they are written.
fn greet(io: &TcpStream) -> Option<SocketAddr> {
    // Where it fails the connection is broken, which shows at the first read.
    drop(io.set_nodelay(true));
    io.peer_addr().ok()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::time::timeout;

    use super::*;
    use crate::{Readiness, Settings, health};

    #[actix_web::test]
    async fn connection_beyond_the_bound_waits() {
        let mut settings = Settings::from_pairs([("ADDR", "127.0.0.1:0"), ("WORKERS", "2")]);
        let mut options = ServerOptions::read(&mut settings, "test", ("ADDR", ""), "METRICS_ADDR");
        options.max_connections = 4;
        let running = bind(&options, Metrics::new("0"), |config| health(&Readiness::default())(config)).unwrap();
        let (addr, server) = (running.addr(), running.handle());
        let serving = actix_web::rt::spawn(running.wait());
        let mut open = Vec::new();
        for _ in 0..4 {
            open.push(TcpStream::connect(addr).await.unwrap());
        }
        for stream in &mut open {
            assert!(is_answered(stream).await);
        }
        let mut next = TcpStream::connect(addr).await.unwrap();
        assert!(!is_answered(&mut next).await, "a fifth connection is served");
        open.pop();
        assert!(is_answered(&mut next).await, "there is room for it");
        server.stop(false).await;
        serving.await.unwrap().unwrap();
    }

    /// Whether an answer comes to what was asked now or before.
    async fn is_answered(stream: &mut TcpStream) -> bool {
        stream.write_all(b"GET /livez HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
        let mut answer = [0; 12];
        let read = timeout(Duration::from_secs(1), stream.read_exact(&mut answer)).await;
        read.is_ok_and(|read| read.is_ok() && answer == *b"HTTP/1.1 200")
    }
}
