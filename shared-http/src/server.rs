use std::io;
use std::net::{SocketAddr, TcpListener};
use std::pin::pin;
use std::time::Duration;

use actix_cors::Cors;
use actix_http::error::DispatchError;
use actix_http::{HttpService, Protocol};
use actix_server::GracefulShutdownSignal;
use actix_service::{IntoServiceFactory, ServiceFactory, ServiceFactoryExt, fn_service, map_config};
use actix_web::dev::{AppConfig, Server, ServerHandle};
use actix_web::http::header;
use actix_web::middleware::{Condition, from_fn};
use actix_web::{App, Error, ResponseError, web};
use futures_util::future::try_join_all;
use shared_claims::Problem;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpSocket, TcpStream};
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::connection::Connection;
use crate::observe::{Observer, REQUEST_ID, acceptable};
use crate::options::ServerOptions;
use crate::tls::Tls;

/// A request's head arrives within this, or the connection is closed.
const HEAD_PATIENCE: Duration = Duration::from_secs(10);
/// An idle connection is kept this long.
const KEEP_ALIVE: Duration = Duration::from_secs(75);
/// Connections that wait to be accepted.
const BACKLOG: u32 = 1024;
/// What is in flight at the end may take this long; under the ten seconds that `docker stop` gives.
const DRAIN_SECONDS: u64 = 8;

/// A server that listens.
pub struct Running {
    addr: SocketAddr,
    server: Server,
}

impl Running {
    /// Where it listens.
    #[must_use]
    pub const fn addr(&self) -> SocketAddr {
        self.addr
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

/// Listens, and serves what `configure` lays out.
///
/// # Errors
/// The address or the certificate cannot be had; the text names it.
pub fn bind(
    options: &ServerOptions,
    configure: impl Fn(&mut web::ServiceConfig) + Clone + Send + 'static,
) -> io::Result<Running> {
    let listener = listen(options.addr)
        .map_err(|error| io::Error::new(error.kind(), format!("{} cannot be had: {error}", options.addr)))?;
    let addr = listener.local_addr()?;
    let tls = options.tls.clone().map(Tls::start).transpose()?;
    let builder = Server::build().workers(options.workers).shutdown_timeout(DRAIN_SECONDS).disable_signals();
    let service = Http { options: options.clone(), addr, configure, stopping: builder.graceful_shutdown_signal() };
    let builder = match tls {
        None => builder.listen(options.name, listener, move || {
            let accept = |io: TcpStream| async {
                let peer = greet(&io);
                Ok::<_, DispatchError>((Connection::new(io, peer, false), Protocol::Http1, peer))
            };
            fn_service(accept).and_then(service.factory())
        }),
        Some(tls) => builder.listen(options.name, listener, move || {
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
        }),
    };
    let server = builder?.run();
    log::info!("{} started on {addr}", options.name);
    Ok(Running { addr, server })
}

fn listen(addr: SocketAddr) -> io::Result<TcpListener> {
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

/// Makes each worker's HTTP service.
///
/// actix-web's `HttpServer` does the same, but only for connections that are its own.
#[derive(Clone)]
struct Http<F> {
    options: ServerOptions,
    addr: SocketAddr,
    configure: F,
    stopping: GracefulShutdownSignal,
}

impl<F: Fn(&mut web::ServiceConfig) + Clone + Send + 'static> Http<F> {
    fn factory<T: AsyncRead + AsyncWrite + Unpin + 'static>(
        &self,
    ) -> impl ServiceFactory<
        (T, Protocol, Option<SocketAddr>),
        Config = (),
        Response = (),
        Error = DispatchError,
        InitError = (),
    > + use<T, F> {
        let Self { options, addr, configure, stopping } = self.clone();
        let observer = Observer { proxies: options.trusted_proxies.clone(), encrypted: options.tls.is_some() };
        let app = App::new()
            .configure(configure)
            .default_service(web::to(|| std::future::ready(Problem::of_status(404).error_response())))
            .wrap(from_fn(acceptable))
            .wrap(Condition::new(!options.allowed_origins.is_empty(), cors(&options)))
            .wrap(from_fn(move |request, next| observer.clone().observe(request, next)))
            .into_factory()
            .map_err(|error: Error| error.error_response());
        HttpService::build()
            .graceful_shutdown_signal(move || {
                let stopping = stopping.clone();
                async move { stopping.notified().await }
            })
            .keep_alive(KEEP_ALIVE)
            .client_request_timeout(HEAD_PATIENCE)
            .local_addr(addr)
            // It only says how a URL of ours would begin, where a request does not; nobody asks.
            .finish(map_config(app, |()| AppConfig::default()))
    }
}

/// Pages of the allowed origins may call, and read what they need of an answer.
fn cors(options: &ServerOptions) -> Cors {
    let cors = Cors::default()
        .allowed_methods(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"])
        .allowed_headers([header::AUTHORIZATION, header::CONTENT_TYPE, header::IF_MATCH, header::IF_NONE_MATCH])
        .allowed_headers(options.token_header.iter().chain([&REQUEST_ID]))
        .expose_headers([
            "ETag",
            "Link",
            "Location",
            "Retry-After",
            "WWW-Authenticate",
            "X-Request-Id",
            "X-Total-Count",
        ])
        .max_age(600);
    let cors = if options.cookies { cors.supports_credentials() } else { cors };
    options.allowed_origins.iter().fold(cors, |cors, origin| cors.allowed_origin(origin))
}

/// SIGTERM and Ctrl-C, listened for from the moment that this exists: before anything is started, so that a stop during the
/// start is one too.
pub struct Stop {
    term: Signal,
    int: Signal,
}

impl Stop {
    /// Begins to listen. Needs a Tokio runtime.
    ///
    /// # Errors
    /// The signals cannot be had.
    pub fn listen() -> io::Result<Self> {
        Ok(Self { term: signal(SignalKind::terminate())?, int: signal(SignalKind::interrupt())? })
    }

    async fn called(&mut self) {
        tokio::select! { _ = self.term.recv() => {}, _ = self.int.recv() => {} }
    }
}

/// Serves what `start` starts until `stop` is called, then finishes what is in flight. A stop that comes before the start
/// is over ends it there.
///
/// # Errors
/// The start's, or that of a server that fails.
pub async fn serve<E: From<io::Error>>(
    mut stop: Stop,
    start: impl Future<Output = Result<Vec<Running>, E>>,
) -> Result<(), E> {
    let servers = tokio::select! {
        started = start => started?,
        () = stop.called() => return Ok(()),
    };
    Ok(until_stopped(stop, servers).await?)
}

async fn until_stopped(mut stop: Stop, servers: Vec<Running>) -> io::Result<()> {
    let handles: Vec<ServerHandle> = servers.iter().map(Running::handle).collect();
    let mut serving = pin!(try_join_all(servers.into_iter().map(Running::wait)));
    tokio::select! {
        served = &mut serving => return served.map(drop),
        () = stop.called() => {}
    }
    log::info!("stopping: finishing what is in flight");
    for handle in handles {
        // The order is given here; `serving` carries it out.
        drop(handle.stop(true));
    }
    serving.await.map(drop)
}
