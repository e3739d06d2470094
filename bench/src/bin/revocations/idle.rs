//! The cost of polling a revocation list that does not change.

use std::io;
use std::time::Duration;

use tokio::time::sleep;

use crate::servers::{Cpu, Service};
use crate::table::Row;

const MEASURED: Duration = Duration::from_secs(30);
/// The time after which services have finished starting and allocating.
const SETTLED: Duration = Duration::from_secs(4);
/// In percent of a core.
const CPU_LIMIT: f64 = 0.1;
/// In megabytes, of books-service.
const MEMORY_LIMIT: f64 = 20.0;

/// Three instances of books-service. They poll no list, an empty list and a full list.
pub struct Books {
    pub alone: Service,
    pub empty: Service,
    pub full: Service,
}

/// Two instances of auth-service, with an empty list and with 100,000 entries.
pub struct Auths {
    pub empty: Service,
    pub full: Service,
}

/// CPU of both instances of auth-service while no service polls them, in percent: empty list, full list.
pub struct Unasked([f64; 2]);

/// Measures both instances while no service polls them.
pub async fn unasked(auths: &Auths) -> io::Result<Unasked> {
    Ok(Unasked(percent([&auths.empty, &auths.full]).await?))
}

pub async fn measure(auths: &Auths, unasked: &Unasked, books: &Books) -> io::Result<Vec<Row>> {
    let [alone, empty, full, asked_empty, asked_full] =
        percent([&books.alone, &books.empty, &books.full, &auths.empty, &auths.full]).await?;
    let [empty, full] = [empty - alone, full - alone];
    let [asked_empty, asked_full] = [asked_empty - unasked.0[0], asked_full - unasked.0[1]];
    let books_memory = books.full.memory()? - books.empty.memory()?;
    let auth_memory = auths.full.memory()? - auths.empty.memory()?;
    Ok(vec![
        Row::promise(
            "memory of books-service for 100,000",
            "< 20 MB",
            format!("{books_memory:.1} MB"),
            books_memory < MEMORY_LIMIT,
        ),
        Row::figure("memory of auth-service for 100,000", format!("{auth_memory:.1} MB")),
        Row::promise(
            "CPU of books-service for asking every second, list empty and of 100,000",
            "< 0.1 % of a core",
            format!("{empty:.3} %, {full:.3} %"),
            empty.max(full) < CPU_LIMIT,
        ),
        Row::figure("CPU of auth-service for being asked, the same", format!("{asked_empty:.3} %, {asked_full:.3} %")),
        Row::figure(
            "to compare: books-service without polling; auth-service that is not polled, the same",
            format!("{alone:.3} %; {:.3} %, {:.3} %", unasked.0[0], unasked.0[1]),
        ),
    ])
}

/// The CPU of each idle service in percent of a core, all measured at the same time.
async fn percent<const N: usize>(services: [&Service; N]) -> io::Result<[f64; N]> {
    sleep(SETTLED).await;
    let read = || services.iter().map(|service| service.cpu()).collect::<io::Result<Vec<Cpu>>>();
    let before = read()?;
    sleep(MEASURED).await;
    let after = read()?;
    let mut used = [0.0; N];
    for (used, (after, before)) in used.iter_mut().zip(after.iter().zip(&before)) {
        *used = after.since(before).as_secs_f64() / MEASURED.as_secs_f64() * 100.0;
    }
    Ok(used)
}
