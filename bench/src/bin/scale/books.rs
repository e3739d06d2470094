use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::Failure;
use crate::data::{Random, book_id, country, word, write_books};
use crate::load::{Connection, request};
use crate::migrate;
use crate::place::{Place, log_in};
use crate::servers::Server;
use crate::table::{Row, Table};
use crate::times::{Client, Times};

/// The number of clients that search without pause.
const SEARCHERS: u64 = 8;
const BESIDE: Duration = Duration::from_secs(10);
/// The number of idle connections, if the limit of open files allows them.
const IDLE: u64 = 10_000;

pub async fn measure(place: &Place<'_>, size: u32, table: &mut Table) -> Result<(), Failure> {
    let file = place.folder.join("books.jsonl");
    if !file.exists() {
        write_books(&file, size)?;
    }
    place.create("books").await?;
    // The first start applies the migrations.
    drop(place.start("books-service")?);
    let import = place.run("books-service", &["import", &file.to_string_lossy()])?;
    let seconds = import.time.as_secs_f64();
    let (goal, limit) = if place.store.name() == "SQLite" {
        ("≤ 15 s for a million", 15.0)
    } else {
        ("≤ 40 s for a million", 40.0)
    };
    let figure = format!("{seconds:.1} s, peak {:.0} MB", import.memory);
    table.extend([Row::promise("import of the books", goal, figure, seconds <= limit)]);

    let token = token(place).await?;
    let (server, _) = place.start("books-service")?;
    lists(server.addr, &token, table)?;
    beside(server.addr, &token, size, table)?;
    table.extend([idle(&server, &token)?]);
    drop(server);
    place.drop("books").await?;
    migrate::books(place, size, table).await
}

/// An admin's token. Its auth-service is started for it, and stopped again.
async fn token(place: &Place<'_>) -> Result<String, Failure> {
    place.create("auth").await?;
    let (server, _) = place.start("auth-service")?;
    let [token, _] = log_in(server.addr, "john", "password123admin")?;
    drop(server);
    place.drop("auth").await?;
    Ok(token)
}

/// Measures lists and searches one after the other. No request repeats an earlier one.
fn lists(addr: SocketAddr, token: &str, table: &mut Table) -> Result<(), Failure> {
    let mut client = Client::of(addr, token)?;
    let orders = ["added", "-added", "-year", "title", "author", "country", "pages"];
    let sorted = |number: u64| ["added", "-year"][usize::from(number % 2 == 1)];
    let all = client.ask_all((0..200).map(|number: usize| {
        format!("/books?limit={}&sort={}", 100 - number / orders.len(), orders[number % orders.len()])
    }))?;
    table.extend([all.row("list without a filter: p50, p99", "p99 ≤ 5 ms", 5.0)]);
    let mut searches = |what, goal, limit, query: fn(u64) -> String| -> Result<(), Failure> {
        let paths = (0..100).map(|number| format!("/books?limit=100&sort={}&{}", sorted(number), query(number)));
        table.extend([client.ask_all(paths)?.row(what, goal, limit)]);
        Ok(())
    };
    searches("search by a rare word", "p99 ≤ 20 ms", 20.0, |number| format!("q={}", word(15_000 + number)))?;
    searches("search by a common word", "p99 ≤ 60 ms", 60.0, |number| format!("q={}", word(number)))?;
    searches("search by two words", "p99 ≤ 60 ms", 60.0, |number| {
        format!("q={}+{}", word(number % 20), word(20 + number))
    })?;
    searches("search by word, country and years", "p99 ≤ 60 ms", 60.0, |number| {
        let from = 1500 + number * 5;
        format!("q={}&country={}&yearFrom={from}&yearTo={}", word(number % 50), country(number), from + 40)
    })?;
    let short = (0..100).map(|number| format!("/books?limit=100&sort={}&q={}", sorted(number), &word(number)[..2]));
    let short = client.ask_all(short)?;
    table.extend([Row::figure("search by two letters at the beginning of a word", short.to_string())]);
    Ok(())
}

/// Measures reads of a book alone, then reads, readiness and changes beside searches.
fn beside(addr: SocketAddr, token: &str, size: u32, table: &mut Table) -> Result<(), Failure> {
    let [quiet, _, _] = probes(addr, token, size)?;
    let is_over = &AtomicBool::new(false);
    let ([get, ready, patch], busy) = thread::scope(|scope| {
        let searchers: Vec<_> =
            (0..SEARCHERS).map(|searcher| scope.spawn(move || search_until(addr, token, searcher, is_over))).collect();
        let probes = probes(addr, token, size);
        is_over.store(true, Ordering::Relaxed);
        let mut busy = Times::default();
        for searcher in searchers {
            busy.add(searcher.join().map_err(|_| "a searcher panicked")??);
        }
        Ok::<_, Failure>((probes?, busy))
    })?;
    let ratio = get.percentile(99) / quiet.percentile(99);
    let refused = get.refused() + ready.refused() + patch.refused() + busy.refused();
    table.extend([
        Row::figure("`GET /books/{id}` alone", quiet.to_string()),
        Row::promise("beside eight searchers", "p99 ≤ 3 times that", format!("{get}; × {ratio:.1}"), ratio <= 3.0),
        Row::figure("`/readyz` beside them", ready.to_string()),
        Row::figure("`PATCH /books/{id}` beside them", patch.to_string()),
        Row::figure("the searches", format!("{busy}; {} in {} s", busy.count(), BESIDE.as_secs())),
        Row::promise("503s of all these", "0", refused.to_string(), refused == 0),
    ]);
    Ok(())
}

/// Sends the three calls, fifty per second in total.
fn probes(addr: SocketAddr, token: &str, size: u32) -> Result<[Times; 3], Failure> {
    let (mut client, mut random, mut times) =
        (Client::of(addr, token)?, Random::new(), [(); 3].map(|()| Times::default()));
    let began = Instant::now();
    for turn in 0.. {
        let planned = Duration::from_millis(20) * turn;
        if planned > BESIDE {
            break;
        }
        thread::sleep(planned.saturating_sub(began.elapsed()));
        let id = book_id(u32::try_from(random.below(size.into()))?);
        let [get, ready, patch] = &mut times;
        match turn % 10 {
            0 => client.ask(patch, "PATCH", &format!("/books/{id}"), r#"{"pages":7}"#)?,
            1 => client.ask(ready, "GET", "/readyz", "")?,
            _ => client.ask(get, "GET", &format!("/books/{id}"), "")?,
        };
    }
    Ok(times)
}

/// Sends searches of all kinds without pause.
fn search_until(addr: SocketAddr, token: &str, searcher: u64, is_over: &AtomicBool) -> Result<Times, Failure> {
    let (mut client, mut times) = (Client::of(addr, token)?, Times::default());
    for turn in (searcher * 1_000).. {
        let query = match turn % 4 {
            0 => format!("q={}", word(turn % 20_000)),
            1 => format!("q={}+{}", word(turn % 50), word(turn % 1_013)),
            2 => format!("q={}&country={}&yearFrom=1800&sort=-year", word(turn % 97), country(turn)),
            _ => format!("q={}&sort=title", word(turn % 200)),
        };
        client.ask(&mut times, "GET", &format!("/books?limit=100&{query}"), "")?;
        if is_over.load(Ordering::Relaxed) {
            break;
        }
    }
    Ok(times)
}

/// Measures the memory of connections that are idle after one request.
fn idle(server: &Server, token: &str) -> Result<Row, Failure> {
    let maximum = getrlimit(Resource::Nofile).maximum;
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum })?;
    let count = u32::try_from(IDLE.min(maximum.unwrap_or(IDLE) / 2))?;
    let before = server.memory("VmRSS:");
    let mut connections: Vec<Connection> = Vec::new();
    for _ in 0..count {
        let mut connection = Connection::open(server.addr)?;
        connection.send(&request("GET", "/livez", token, ""))?;
        connection.receive()?;
        connections.push(connection);
    }
    let each = (server.memory("VmRSS:") - before) * 1e3 / f64::from(count);
    drop(connections);
    drop(TcpStream::connect(server.addr)?);
    Ok(Row::figure("an idle connection", format!("{each:.1} KB, of {count}")))
}
