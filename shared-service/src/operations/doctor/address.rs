use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener};

use super::{CheckResult, PATIENCE, Status};
use crate::http::ServerOptions;
use crate::operations::healthcheck;

const WHAT: &str = "address";

/// Checks that the service can listen on its addresses, for requests and for metrics, or is listening already.
pub(super) async fn address(options: &ServerOptions) -> Vec<CheckResult> {
    let addr = options.addr;
    let mut found = vec![match TcpListener::bind(addr) {
        Ok(_) => CheckResult::ok(WHAT, format!("{addr} is free")),
        Err(error) if error.kind() == ErrorKind::AddrInUse => taken(options).await,
        Err(error) => CheckResult::fail(WHAT, format!("{addr} cannot be had: {error}")),
    }];
    found.extend(options.metrics.map(|metrics| for_metrics(metrics, addr, found[0].status)));
    found
}

/// Checks the address `metrics`. A service that is running already listens on both addresses.
fn for_metrics(metrics: SocketAddr, addr: SocketAddr, service: Status) -> CheckResult {
    if metrics == addr && addr.port() != 0 {
        return CheckResult::fail(
            WHAT,
            format!("{metrics} is to show metrics, and to serve: choose another for one of them"),
        );
    }
    let serves = TcpListener::bind(addr).is_err() && service != Status::Fail;
    match TcpListener::bind(metrics) {
        Ok(_) if serves => CheckResult::warn(
            WHAT,
            format!("{metrics} is free, but the service that runs should show its metrics there"),
        ),
        Ok(_) => CheckResult::ok(WHAT, format!("{metrics} is free, for metrics")),
        Err(error) if error.kind() == ErrorKind::AddrInUse && serves => {
            CheckResult::ok(WHAT, format!("{metrics} is taken, by the metrics of the service that runs"))
        }
        Err(error) => CheckResult::fail(WHAT, format!("{metrics}, for metrics, cannot be had: {error}")),
    }
}

async fn taken(options: &ServerOptions) -> CheckResult {
    let (addr, ready) = (options.addr, options.ready_url());
    let alive = format!("{}/livez", ready.trim_end_matches("/readyz"));
    // Ends before the time limit of the whole check, so that a program that accepts but never responds is reported.
    let both = Box::pin(async { tokio::join!(healthcheck(&ready), healthcheck(&alive)) });
    let silent = || (Err(String::new()), Err(String::new()));
    match tokio::time::timeout(PATIENCE * 3 / 4, both).await.unwrap_or_else(|_| silent()) {
        (Ok(()), _) => CheckResult::ok(WHAT, format!("{addr} is served already, and ready")),
        (Err(error), Ok(())) => CheckResult::warn(WHAT, format!("{addr} is served already, but: {error}; see its log")),
        (Err(_), Err(_)) => {
            CheckResult::fail(WHAT, format!("{addr} is taken by another program: end that, or choose another address"))
        }
    }
}
