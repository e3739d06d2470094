use std::io::ErrorKind;
use std::net::TcpListener;

use super::{Finding, PATIENCE};
use crate::{ServerOptions, healthcheck};

const WHAT: &str = "address";

/// Whether the service can listen where it is told to, or does already.
pub async fn address(options: &ServerOptions) -> Finding {
    let addr = options.addr;
    match TcpListener::bind(addr) {
        Ok(_) => Finding::good(WHAT, format!("{addr} is free")),
        Err(error) if error.kind() == ErrorKind::AddrInUse => taken(options).await,
        Err(error) => Finding::bad(WHAT, format!("{addr} cannot be had: {error}")),
    }
}

async fn taken(options: &ServerOptions) -> Finding {
    let (addr, ready) = (options.addr, options.ready_url());
    let alive = format!("{}/livez", ready.trim_end_matches("/readyz"));
    // Whoever takes connections and says nothing is told from a look that took too long.
    let both = Box::pin(async { tokio::join!(healthcheck(&ready), healthcheck(&alive)) });
    let silent = || (Err(String::new()), Err(String::new()));
    match tokio::time::timeout(PATIENCE * 3 / 4, both).await.unwrap_or_else(|_| silent()) {
        (Ok(()), _) => Finding::good(WHAT, format!("{addr} is served already, and ready")),
        (Err(error), Ok(())) => Finding::doubtful(WHAT, format!("{addr} is served already, but: {error}; see its log")),
        (Err(_), Err(_)) => {
            Finding::bad(WHAT, format!("{addr} is taken by another program: end that, or choose another address"))
        }
    }
}
