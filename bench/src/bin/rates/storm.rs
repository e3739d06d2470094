//! The delay that a storm of logins causes to other requests.
#![expect(clippy::disallowed_methods, reason = "each thread of a load waits for the time of its next request")]

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{scope, sleep};
use std::time::{Duration, Instant};

use crate::load::{Connection, request};
use crate::rows::{LOGIN, tokens};
use crate::servers::Server;
use crate::{Failure, Servers, median};

pub const WORK: &str = "p99 in a storm of logins";
/// Clients that log in without pause.
const CLIENTS: usize = 8;
/// Connections that send requests in turn, 300 per second in total.
const PROBES: u32 = 30;
const INTERVAL: Duration = Duration::from_millis(100);

/// Measures and prints the p99 of `/livez` and of `GET /books` beside logins at the ceiling and at auth-service.
pub fn print(servers: &Servers, rounds: usize, time: Duration) -> Result<(), Failure> {
    let Servers { ceiling, hashing, auth, books, .. } = servers;
    let (plain, ours) = (tokens(hashing.addr)?.0, tokens(auth.addr)?.0);
    let cases = [
        ("`/livez`", "actix-web, bounded", hashing, hashing, request("GET", "/bare", "", "")),
        ("`/livez`", "auth-service", auth, auth, request("GET", "/livez", "", "")),
        ("`GET /books`", "actix-web, bounded", ceiling, hashing, request("GET", "/books", &plain, "")),
        ("`GET /books`", "books-service", books, auth, request("GET", "/books", &ours, "")),
    ];
    let mut figures = cases.each_ref().map(|_| Vec::new());
    for _ in 0..rounds {
        for ((_, _, probed, stormed, request), figures) in cases.iter().zip(&mut figures) {
            figures.push(p99(probed, stormed.addr, request, time)?.as_secs_f64() * 1e3);
        }
    }
    println!("\n| {WORK} | server | ms |\n|---|---|--:|");
    for ((work, who, ..), figures) in cases.iter().zip(figures) {
        println!("| {work} | {who} | {:.2} |", median(figures.into_iter()));
    }
    Ok(())
}

/// The p99 of `request` at `probed` while clients log in at `stormed`. Each latency counts from the planned time.
fn p99(probed: &Server, stormed: SocketAddr, request: &str, time: Duration) -> io::Result<Duration> {
    let is_over = AtomicBool::new(false);
    scope(|threads| {
        let log_in = || -> io::Result<()> {
            let mut connection = Connection::open(stormed)?;
            while !is_over.load(Ordering::Relaxed) {
                connection.send(&crate::load::request("POST", "/login", "", LOGIN))?;
                connection.receive()?;
            }
            Ok(())
        };
        let clients: Vec<_> = (0..CLIENTS).map(|_| threads.spawn(log_in)).collect();
        sleep(Duration::from_millis(500));
        let began = Instant::now();
        let probe = move |number| probe(probed.addr, request, began + INTERVAL * number / PROBES, began + time);
        let threads: Vec<_> = (0..PROBES).map(|number| threads.spawn(move || probe(number))).collect();
        let ended = |_| io::Error::other("a thread has failed");
        let mut times = Vec::new();
        for probe in threads {
            times.extend(probe.join().map_err(ended)??);
        }
        is_over.store(true, Ordering::Relaxed);
        for client in clients {
            client.join().map_err(ended)??;
        }
        times.sort_unstable();
        times.get(times.len() * 99 / 100).copied().ok_or_else(|| io::Error::other("no request was answered"))
    })
}

fn probe(addr: SocketAddr, request: &str, mut planned: Instant, end: Instant) -> io::Result<Vec<Duration>> {
    let mut connection = Connection::open(addr)?;
    let mut times = Vec::new();
    while planned < end {
        sleep(planned.saturating_duration_since(Instant::now()));
        connection.send(request)?;
        if connection.receive()?.status != 200 {
            return Err(io::Error::other("a request was refused"));
        }
        times.push(planned.elapsed());
        planned += INTERVAL;
    }
    Ok(times)
}
