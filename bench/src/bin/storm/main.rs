//! The response times of a normal user beside a storm of logins and beside slow clients. See `bench/README.md`.

mod crowd;
mod probe;
mod servers;

use std::error::Error;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;
use tokio::time::sleep;

use crate::crowd::{Dawdlers, Storm};
use crate::probe::{Latencies, Probe};
use crate::servers::Servers;

/// The clients of the storm. Each sends one login after the other.
const CLIENTS: usize = 64;
/// Slow clients of each kind.
const SLOW: usize = 250;
const PER_SECOND: u32 = 300;
const MEASURED: Duration = Duration::from_secs(20);
const WARM_UP: Duration = Duration::from_secs(3);
/// The highest ratio of a p99 under load to the quiet one.
const WORSE: f64 = 2.0;
/// A p99 below this number of milliseconds always passes, because timers are no more precise.
const FINE: f64 = 2.0;

#[derive(Debug, Parser)]
struct Options {
    /// The folder of auth-service and books-service
    #[arg(long, required_unless_present = "proxy")]
    programs: Option<PathBuf>,
    /// An empty folder
    #[arg(long, required_unless_present = "proxy")]
    folder: Option<PathBuf>,
    /// Send slow second heads to the proxy at this address, and nothing else
    #[arg(long, exclusive = true)]
    proxy: Option<SocketAddr>,
}

struct Row {
    what: &'static str,
    livez: Latencies,
    books: Latencies,
    memory_mib: u64,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let Options { programs, folder, proxy } = Options::parse();
    if let Some(proxy) = proxy {
        let cut = Dawdlers::with_second_heads(proxy, SLOW).end().await;
        println!("Slow second heads: {cut}.");
        return cut.broken().map_or(Ok(()), |broken| Err(broken.into()));
    }
    let servers = Servers::start(&programs.unwrap_or_default(), &folder.unwrap_or_default()).await?;
    let probe = Probe::new(&servers).await?;
    let row = async |what| -> Result<Row, Box<dyn Error>> {
        sleep(WARM_UP).await;
        let livez = probe.livez(PER_SECOND, MEASURED).await;
        let books = probe.books(PER_SECOND, MEASURED).await;
        Ok(Row { what, livez, books, memory_mib: servers.auth_memory_mib()? })
    };

    let quiet = row("quiet").await?;
    let storm = Storm::begin(&servers, CLIENTS);
    let stormy = row("64 clients log in without pause").await?;
    let logins = storm.end().await;
    sleep(WARM_UP).await;
    let slow = Dawdlers::begin(servers.auth, SLOW);
    let slowed = row("750 clients that are slow").await?;
    let cut = slow.end().await;

    println!("| beside | `/livez` p50, p99 in ms | `GET /books` p50, p99 in ms | memory of auth-service in MiB |");
    println!("|---|--:|--:|--:|");
    for row in [&quiet, &stormy, &slowed] {
        println!("| {} | {} | {} | {} |", row.what, row.livez, row.books, row.memory_mib);
    }
    println!("\nLogins: {logins}.");
    println!("Slow clients: {cut}.");

    let mut broken = Vec::new();
    for row in [&stormy, &slowed] {
        for (name, quiet, now) in [("/livez", &quiet.livez, &row.livez), ("GET /books", &quiet.books, &row.books)] {
            if now.p99() > FINE.max(WORSE * quiet.p99()) {
                broken.push(format!("p99 of {name} beside \"{}\": {now}, quiet {quiet}", row.what));
            }
            if now.failed > 0 {
                broken.push(format!("{} calls of {name} failed beside \"{}\"", now.failed, row.what));
            }
        }
    }
    broken.extend(logins.broken());
    broken.extend(cut.broken());
    if broken.is_empty() { Ok(()) } else { Err(broken.join("\n").into()) }
}
