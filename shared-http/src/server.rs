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
    let builder = Server::build().workers(options.workers).shutdown_timeout(DRAIN_SECONDS).disable_signals();
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
