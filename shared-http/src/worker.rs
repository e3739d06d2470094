use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use actix_cors::Cors;
use actix_http::error::DispatchError;
use actix_http::{HttpService, Protocol};
use actix_server::GracefulShutdownSignal;
use actix_service::{IntoServiceFactory, ServiceFactory, ServiceFactoryExt, map_config};
use actix_web::dev::AppConfig;
use actix_web::middleware::{Condition, from_fn};
use actix_web::{App, Error, ResponseError, web};
use shared_claims::Problem;
use tokio::io::{AsyncRead, AsyncWrite};

use crate::host::Hosts;
use crate::metrics::Routes;
use crate::observe::Observer;
use crate::options::ServerOptions;

/// A request's head arrives within this, or the connection is closed.
const HEAD_PATIENCE: Duration = Duration::from_secs(10);
/// What is left of a body that nothing reads is awaited this long after the answer; then the connection is closed.
const LINGER: Duration = Duration::from_secs(1);
/// For so many seconds a browser asks no preflight again; browsers take no more.
const PREFLIGHT_AGE: usize = 7200;
/// An idle connection is kept this long.
const KEEP_ALIVE: Duration = Duration::from_secs(75);

/// Makes each worker's HTTP service.
///
/// actix-web's `HttpServer` does the same, but only for connections that are its own.
#[derive(Clone)]
pub(crate) struct Http<F> {
    pub(crate) options: ServerOptions,
    /// Where it listens.
    pub(crate) addr: SocketAddr,
    pub(crate) configure: F,
    pub(crate) stopping: GracefulShutdownSignal,
    /// It is timed.
    pub(crate) is_public: bool,
}

impl<F: Fn(&mut web::ServiceConfig) + Clone + Send + 'static> Http<F> {
    pub(crate) fn factory<T: AsyncRead + AsyncWrite + Unpin + 'static>(
        &self,
    ) -> impl ServiceFactory<
        (T, Protocol, Option<SocketAddr>),
        Config = (),
        Response = (),
        Error = DispatchError,
        InitError = (),
    > + use<T, F> {
        let Self { options, addr, configure, stopping, is_public } = self.clone();
        let observer = Rc::new(Observer {
            proxies: options.trusted_proxies.clone(),
            encrypted: options.tls.is_some(),
            timed: is_public.then_some(options.name),
            routes: Routes::default(),
        });
        let only_loopback = options.loopback_names_only && addr.ip().is_loopback();
        let hosts = if only_loopback { Hosts::loopback(&options.allowed_origins) } else { Hosts::Any };
        let app = App::new()
            .configure(configure)
            .default_service(web::to(|| std::future::ready(Problem::of_status(404).error_response())))
            .wrap(Condition::new(!options.allowed_origins.is_empty(), cors(&options)))
            .wrap(from_fn(move |request, next| hosts.clone().check(request, next)))
            .wrap(from_fn(move |request, next| Rc::clone(&observer).observe(request, next)))
            .into_factory()
            .map_err(|error: Error| error.error_response());
        HttpService::build()
            .graceful_shutdown_signal(move || {
                let stopping = stopping.clone();
                async move { stopping.notified().await }
            })
            .keep_alive(KEEP_ALIVE)
            .client_request_timeout(HEAD_PATIENCE)
            .client_disconnect_timeout(LINGER)
            .local_addr(addr)
            // It only says how a URL of ours would begin, where a request does not; nobody asks.
            .finish(map_config(app, |()| AppConfig::default()))
    }
}

/// Pages of the allowed origins may call, and read what they need of an answer.
fn cors(options: &ServerOptions) -> Cors {
    let cors = Cors::default()
        .allowed_methods(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"])
        // What a page adds for its own sake, such as `baggage` or `sentry-trace`, is no risk of ours.
        .allow_any_header()
        .expose_headers([
            "Accept",
            "Accept-Encoding",
            "Accept-Patch",
            "Allow",
            "ETag",
            "Link",
            "Location",
            "Retry-After",
            "WWW-Authenticate",
            "X-Request-Id",
            "X-Total-Count",
        ])
        .max_age(PREFLIGHT_AGE);
    let cors = if options.cookies { cors.supports_credentials() } else { cors };
    options.allowed_origins.iter().fold(cors, |cors, origin| cors.allowed_origin(origin))
}
