//! A soak test: several instances of auth-service on one Redis and one Postgres, with thousands of sessions. Clients
//! check each response while servers are killed and stopped. Started by `bench/soak`.

/// Calls, repeated until their outcome is known.
mod calls;
/// Random numbers from a seed.
mod chance;
/// The calls of a client, and the expected responses.
mod client;
/// Redis, and the instances.
mod servers;
/// A session as its client knows it.
mod session;
/// Counts, latencies, violations; the report.
mod tally;
/// Kills and stops of servers.
mod weather;

use std::cell::{Cell, RefCell};
use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Parser;
use futures_util::future::{try_join, try_join_all};
use uuid::Uuid;

use crate::calls::Soak;
use crate::chance::Chance;
use crate::client::Client;
use crate::servers::{INSTANCES, Servers};
use crate::tally::Tally;

/// Runs a soak test of auth-service and prints a report in Markdown. Exits with 1 if an invariant is violated.
#[derive(Parser)]
struct Options {
    /// The time in which servers are killed and stopped.
    #[arg(long, default_value_t = 10.0)]
    minutes: f64,
    /// The number of sessions opened before that, rounded up to five for each person.
    #[arg(long, default_value_t = 10_000)]
    sessions: usize,
    /// The number of clients that share them.
    #[arg(long, default_value_t = 16)]
    clients: usize,
    /// The seed of the random calls and kills; random if not given.
    #[arg(long)]
    seed: Option<u64>,
    /// `REFRESH_GRACE` in seconds. Must exceed each outage, or lost responses end sessions.
    #[arg(long, default_value_t = 5)]
    grace: u64,
    /// An empty database, postgres://….
    #[arg(long)]
    postgres: String,
    /// The program auth-service.
    #[arg(long)]
    auth_service: PathBuf,
}

impl Options {
    const fn grace(&self) -> Duration {
        Duration::from_secs(self.grace)
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match run(&Options::parse()).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("soak: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Runs the soak test. Returns true if no invariant was violated.
async fn run(options: &Options) -> Result<bool, Box<dyn Error>> {
    let seed = options.seed.unwrap_or_else(|| Uuid::new_v4().as_u64_pair().0);
    let mut servers = Servers::start(options)?;
    let soak = Soak {
        // The instances are on this machine, so a proxy that the environment names is not used.
        http: reqwest::Client::builder().no_proxy().build()?,
        addresses: servers.addresses.clone(),
        grace: options.grace(),
        tally: RefCell::new(Tally::new()),
        over: Cell::new(false),
    };
    let began = Instant::now();
    let soaked = soaked(options, seed, &soak, &mut servers).await;
    let took = began.elapsed().as_secs();
    let tally = soak.tally.into_inner();
    let Options { minutes, sessions, clients, .. } = options;
    println!("## Soak: {minutes} min, {sessions} sessions, {clients} clients, {INSTANCES} instances, seed {seed}\n");
    println!("{took} s, including the opening and the final check of the sessions.\n\n{tally}");
    let clean = tally.is_clean() && soaked.is_ok();
    servers.end(!clean);
    soaked.map(|()| clean)
}

async fn soaked(options: &Options, seed: u64, soak: &Soak, servers: &mut Servers) -> Result<(), Box<dyn Error>> {
    let each = options.sessions.div_ceil(options.clients);
    let mut clients: Vec<_> = (1..).take(options.clients).map(|number| Client::new(soak, seed, number, each)).collect();
    let began = Instant::now();
    soak.ready().await?;
    try_join_all(clients.iter_mut().map(Client::set_up)).await?;
    eprintln!("soak: the sessions are open after {} s", began.elapsed().as_secs());

    let end = Instant::now() + Duration::try_from_secs_f64(60.0 * options.minutes)?;
    let weather = async {
        weather::rage(servers, Chance::new(seed, 0), end, &soak.tally).await?;
        soak.over.set(true);
        Ok::<_, Box<dyn Error>>(())
    };
    let clients_run = async { Ok(try_join_all(clients.iter_mut().map(Client::run)).await?) };
    try_join(weather, clients_run).await?;

    soak.ready().await?;
    eprintln!("soak: no more kills; checking every session");
    let counts = try_join_all(clients.iter_mut().map(Client::check)).await?;
    let mut tally = soak.tally.borrow_mut();
    (tally.alive, tally.ended) = counts.iter().fold((0, 0), |sum, count| (sum.0 + count.0, sum.1 + count.1));
    Ok(())
}
