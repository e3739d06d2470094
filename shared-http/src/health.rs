use std::io;
use std::sync::Arc;
use std::time::Duration;

use actix_web::{HttpResponse, web};
use futures_util::future::{BoxFuture, join_all};
use serde_json::json;
use shared_claims::Problem;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

use crate::{at, tls};

/// How long a check may take before it counts as failed.
const PATIENCE: Duration = Duration::from_secs(1);

type Check = Arc<dyn Fn() -> BoxFuture<'static, Result<(), String>> + Send + Sync>;

/// What a service needs to be of use, by name. `/readyz` asks for all of it.
#[derive(Clone, Default)]
pub struct Readiness(Vec<(&'static str, Check)>);

impl Readiness {
    /// Adds `check` under `name`; the text of its error goes into the log alone.
    #[must_use]
    pub fn with<F>(mut self, name: &'static str, check: impl Fn() -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<(), String>> + Send + 'static,
    {
        self.0.push((name, Arc::new(move || Box::pin(check()))));
        self
    }

    /// The names of what does not answer.
    async fn missing(&self) -> Vec<&'static str> {
        let checks = self.0.iter().map(|(name, check)| async move {
            let failure = match tokio::time::timeout(PATIENCE, check()).await {
                Ok(Ok(())) => return None,
                Ok(Err(error)) => error,
                Err(_) => "no answer within 1 s".to_owned(),
            };
            log::warn!("not ready: {name}: {failure}");
            Some(*name)
        });
        join_all(checks).await.into_iter().flatten().collect()
    }
}

/// Adds `GET /livez` (the process runs) and `GET /readyz` (all that [`Readiness`] names answers).
pub fn health(readiness: &Readiness) -> impl Fn(&mut web::ServiceConfig) + use<> {
    let readiness = web::Data::new(readiness.clone());
    move |config| {
        config.app_data(readiness.clone()).service(at("/livez").get(livez)).service(at("/readyz").get(readyz));
    }
}

async fn livez() -> HttpResponse {
    HttpResponse::Ok().json(json!({"status": "ok"}))
}

async fn readyz(readiness: web::Data<Readiness>) -> Result<HttpResponse, Problem> {
    let missing = readiness.missing().await;
    if missing.is_empty() {
        return Ok(HttpResponse::Ok().json(json!({"status": "ready"})));
    }
    let problem = Problem::new(503, "not_ready", "Something that this service needs does not answer.");
    let problem = problem.header("Retry-After", "1");
    Err(missing.into_iter().fold(problem, |problem, name| problem.error(name, "does not answer")))
}

/// Asks `url` (`http://127.0.0.1:3000/readyz`) once; for container health checks. It asks the machine that it runs on, by
/// number, so by HTTPS it takes any certificate.
///
/// # Errors
/// No answer within 2 s, or another status than 2xx; the text says which.
pub async fn healthcheck(url: &str) -> Result<(), String> {
    let status = tokio::time::timeout(2 * PATIENCE, status(url)).await;
    let status = status.map_err(|_| format!("{url} does not answer within 2 s"))?;
    match status.map_err(|error| format!("{url}: {error}"))? {
        200..=299 => Ok(()),
        status => Err(format!("{url} answers {status}")),
    }
}

/// The status that `GET url` gives.
async fn status(url: &str) -> io::Result<u16> {
    let bad = || io::Error::new(io::ErrorKind::InvalidInput, "is no URL such as http://127.0.0.1:3000/readyz");
    let (scheme, rest) = url.split_once("://").ok_or_else(bad)?;
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    let port = match scheme {
        "http" => 80,
        "https" => 443,
        _ => return Err(bad()),
    };
    let named = if host.rsplit(']').next().is_some_and(|end| end.contains(':')) {
        host.to_owned()
    } else {
        format!("{host}:{port}")
    };
    let io = TcpStream::connect(named).await?;
    let request = format!("GET /{path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    if scheme == "https" { ask(tls::of_anybody(io).await?, &request).await } else { ask(io, &request).await }
}

async fn ask(mut io: impl AsyncRead + AsyncWrite + Unpin, request: &str) -> io::Result<u16> {
    io.write_all(request.as_bytes()).await?;
    let mut line = String::new();
    BufReader::new(io).take(100).read_line(&mut line).await?;
    let status = line.strip_prefix("HTTP/1.1 ").and_then(|line| line.get(..3)?.parse().ok());
    status.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "what answers is no HTTP"))
}
