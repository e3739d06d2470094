use std::cell::Cell;
use std::future::ready;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::{Server, ServerHandle};
use actix_web::middleware::{Condition, from_fn};
use actix_web::{App, HttpResponse, HttpServer, web};
use futures_util::future::try_join;
use rustls::ServerConfig;
use shared_claims::Problem;

use super::metrics::{Metrics, show};
use crate::http::{Hosts, Observer, Route, ServerOptions, UNMATCHED, cors, descriptors, start_tls};

/// The time limit for the head of a connection's first request.
const HEAD_PATIENCE: Duration = Duration::from_secs(10);
/// The time limit for a TLS handshake.
const HANDSHAKE_PATIENCE: Duration = Duration::from_secs(10);
/// The idle time after which a connection is closed; longer than the 60 s of a proxy.
const KEEP_ALIVE: Duration = Duration::from_secs(75);
/// The time after the response in which the rest of an unread body may arrive; then the connection is closed.
const LINGER: Duration = Duration::from_secs(1);
/// The time limit for requests in flight at a shutdown; less than the ten seconds of `docker stop`.
const DRAIN_SECONDS: u64 = 8;
/// The maximum number of connections per worker, whatever the memory.
const MOST_OF_WORKER: usize = 25_600;
/// The maximum number of connections to the metrics address.
const SCRAPES: usize = 64;

/// A running server.
pub struct Running {
    addr: SocketAddr,
    server: Server,
    metrics: Option<Server>,
    /// Keeps the metrics exported while the server runs.
    _shown: Arc<Metrics>,
}

impl Running {
    /// The address on which the server listens.
    #[must_use]
    pub const fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The handle that stops the server; `stop(true)` first finishes the requests in flight.
    #[must_use]
    pub fn handle(&self) -> ServerHandle {
        self.server.handle()
    }

    /// Serves requests and metrics until the server is stopped.
    ///
    /// # Errors
    /// The server fails.
    pub async fn wait(self) -> io::Result<()> {
        let Some(metrics) = self.metrics else { return self.server.await };
        let handle = metrics.handle();
        let serve = async {
            let served = self.server.await;
            handle.stop(false).await;
            served
        };
        try_join(serve, metrics).await.map(drop)
    }
}

/// Starts listening. [`Running::wait`] serves the routes of `configure`, and `metrics` on their own address if one is set.
///
/// # Errors
/// An address or the certificate cannot be used; the message names it.
pub fn bind(
    options: &ServerOptions,
    metrics: Metrics,
    configure: impl Fn(&mut web::ServiceConfig) + Clone + Send + 'static,
) -> io::Result<Running> {
    let name = options.name;
    descriptors::raise();
    let tls = options.tls.clone().map(start_tls).transpose()?;
    let named = |setting| move |error: io::Error| io::Error::new(error.kind(), format!("{setting}: {error}"));
    let (addr, run) = listen(options, tls, Some(name), configure).map_err(named(options.settings[0]))?;
    let (metrics, shown) = match options.metrics {
        None => (None, metrics.shown()),
        Some(addr) => {
            let shown = metrics.start()?;
            let own = ServerOptions {
                addr,
                workers: 1,
                max_connections: SCRAPES.min(options.max_connections / 8),
                allowed_origins: Vec::new(),
                loopback_names_only: false,
                ..options.clone()
            };
            (Some(listen(&own, None, None, show).map_err(named(options.settings[1]))?), shown)
        }
    };
    log::info!("{name} started on {addr}");
    let connections = of_worker(options) * options.workers;
    log::info!("{name} takes {connections} connections at once, by its memory and {} open files", descriptors::limit());
    let metrics = metrics.map(|(addr, run)| {
        log::info!("{name} shows its metrics on {addr}");
        run()
    });
    Ok(Running { addr, server: run(), metrics, _shown: shown })
}

/// Starts listening for HTTP/1.1; returns the address and a function that starts serving. Requests are timed under the
/// name `timed`.
fn listen<F: Fn(&mut web::ServiceConfig) + Clone + Send + 'static>(
    options: &ServerOptions,
    tls: Option<ServerConfig>,
    timed: Option<&'static str>,
    configure: F,
) -> io::Result<(SocketAddr, impl FnOnce() -> Server + use<F>)> {
    let (addr, encrypted, own) = (options.addr, tls.is_some(), options.clone());
    let app = move || {
        let proxies = own.trusted_proxies.clone();
        let origins = own.allowed_origins.clone();
        let only_loopback = own.loopback_names_only && addr.ip().is_loopback();
        let hosts = if only_loopback { Hosts::loopback(&own.allowed_origins) } else { Hosts::Any };
        let (unmatched, in_flight, is_flush_due) = (Route::new(UNMATCHED), Rc::default(), Cell::default());
        let observer =
            Rc::new(Observer { proxies, encrypted, timed, hosts, origins, unmatched, in_flight, is_flush_due });
        App::new()
            .configure(&configure)
            .default_service(web::to(|| ready(HttpResponse::from_error(Problem::of_status(404)))))
            .wrap(Condition::new(!own.allowed_origins.is_empty(), cors(&own)))
            .wrap(from_fn(move |request, next| Rc::clone(&observer).observe(request, next)))
    };
    let server = HttpServer::new(app)
        .workers(options.workers)
        .max_connections(of_worker(options))
        .client_request_timeout(HEAD_PATIENCE)
        .tls_handshake_timeout(HANDSHAKE_PATIENCE)
        .keep_alive(KEEP_ALIVE)
        .client_disconnect_timeout(LINGER)
        .shutdown_timeout(DRAIN_SECONDS)
        .tcp_nodelay(true)
        .disable_signals();
    let bound = match tls {
        None => server.bind(addr),
        Some(tls) => server.bind_rustls_0_23(addr, tls),
    };
    let server = bound.map_err(|error| io::Error::new(error.kind(), format!("{addr} cannot be had: {error}")))?;
    let addr = server.addrs().first().copied().unwrap_or(addr);
    Ok((addr, move || server.run()))
}

fn of_worker(options: &ServerOptions) -> usize {
    (options.max_connections / options.workers).clamp(1, MOST_OF_WORKER)
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;
    use tokio::time::timeout;

    use super::*;
    use crate::operations::{Readiness, health};
    use crate::settings::Settings;

    #[actix_web::test]
    async fn connection_beyond_the_bound_waits() {
        let mut settings = Settings::from_pairs([("ADDR", "127.0.0.1:0"), ("WORKERS", "2")]);
        let mut options = ServerOptions::read(&mut settings, "test", ("ADDR", ""), "METRICS_ADDR");
        options.max_connections = 4;
        let running =
            bind(&options, Metrics::new("test", "0", || ()), |config| health(&Readiness::default())(config)).unwrap();
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

    /// True if a response arrives to a request sent now or before.
    async fn is_answered(stream: &mut TcpStream) -> bool {
        stream.write_all(b"GET /livez HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
        let mut answer = [0; 12];
        let read = timeout(Duration::from_secs(1), stream.read_exact(&mut answer)).await;
        read.is_ok_and(|read| read.is_ok() && answer == *b"HTTP/1.1 200")
    }
}
