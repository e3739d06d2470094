use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::Failure;
use crate::data::{user_name, write_users};
use crate::migrate;
use crate::place::{Place, Store, log_in};
use crate::table::{Row, Table};
use crate::times::{Client, Times};

/// The number of clients that refresh without pause.
const CLIENTS: usize = 16;
const REFRESHES: Duration = Duration::from_secs(10);
/// Inserts `{size}` sessions. Their ids are in no order. Ended ones have no place in the revocation list yet.
const SESSIONS: &str = "
INSERT INTO sessions (id, user_id, generation, repeats, opened_at, advanced_at, idle_ends_at, ends_at, ended_at,
    user_agent, address, issued_at, tokens_end_at, position)
WITH RECURSIVE numbers (x) AS (SELECT CAST(1 AS BIGINT) UNION ALL SELECT x + 1 FROM numbers WHERE x < {size})
SELECT '{kind}0000000-0000-4000-8000-' || (100000000000 + x * 7919 % 1000000007),
    '00000000-0000-7000-8000-' || (100000000000 + x % {users}), 1, 0, {now} - 60000, {now} - 60000, {now} + 604740000,
    {now} + 2591940000, {ended}, 'bench', '127.0.0.1', {now} - 60000, {now} + 3600000, 0
FROM numbers";

pub async fn measure(place: &Place<'_>, size: u32, users: u32, table: &mut Table) -> Result<(), Failure> {
    let file = place.folder.join("users.jsonl");
    if !file.exists() {
        write_users(&file, users)?;
    }
    place.create("auth").await?;
    drop(place.start("auth-service")?);
    place.run("auth-service", &["users", "import", &file.to_string_lossy()])?;
    put_sessions(place, size, users, false).await?;

    let (server, _) = place.start("auth-service")?;
    let [token, _] = log_in(server.addr, "john", "password123admin")?;
    lists(server.addr, &token, users, table)?;
    refreshes(server.addr, place, table)?;
    drop(server);

    put_sessions(place, size, users, true).await?;
    revocations(place, table)?;
    place.drop("auth").await?;
    migrate::users(place, users, table).await
}

async fn put_sessions(place: &Place<'_>, size: u32, users: u32, have_ended: bool) -> Result<(), Failure> {
    let now = std::time::UNIX_EPOCH.elapsed()?.as_millis().to_string();
    let (kind, ended) = if have_ended { ("2", now.as_str()) } else { ("1", "0") };
    let statement =
        [("{size}", &*size.to_string()), ("{users}", &users.to_string()), ("{now}", &now), ("{kind}", kind)]
            .into_iter()
            .fold(SESSIONS.replace("{ended}", ended), |statement, (name, value)| statement.replace(name, value));
    let settle = if matches!(place.store, Store::Sqlite) { "SELECT 1" } else { "VACUUM (ANALYZE) sessions" };
    place.execute("auth", &[&statement, settle]).await
}

fn lists(addr: SocketAddr, token: &str, users: u32, table: &mut Table) -> Result<(), Failure> {
    let mut client = Client::of(addr, token)?;
    // So many that the first calls, which connect to the database, are not the p99.
    let pages = client.ask_all((0..1_000).map(|number| format!("/users?limit={}", 100 - number % 50)))?;
    let found =
        client.ask_all((0..200).map(|number| format!("/users?limit=100&q={}", user_name(number * users / 200))))?;
    let none = client.ask_all((0..200).map(|number| format!("/users?limit=100&q=xqx{number}")))?;
    table.extend([
        pages.row("a page of `GET /users`: p50, p99", "p99 ≤ 1 ms", 1.0),
        found.row("`q=` of one user", "p99 ≤ 5 ms", 5.0),
        none.row("`q=` of no user", "p99 ≤ 5 ms", 5.0),
    ]);
    Ok(())
}

/// Measures refreshes without pause, with the sessions in the database of the users.
fn refreshes(addr: SocketAddr, place: &Place<'_>, table: &mut Table) -> Result<(), Failure> {
    let until = Instant::now() + REFRESHES;
    let mut all = Times::default();
    thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS).map(|_| scope.spawn(move || refresh_until(addr, until))).collect();
        for client in clients {
            all.add(client.join().map_err(|_| "a client panicked")??);
        }
        Ok::<_, Failure>(())
    })?;
    let rate = f64::from(u32::try_from(all.count())?) / REFRESHES.as_secs_f64();
    let figure = format!("{all}; {rate:.0} a second");
    let what = "refresh with the sessions in this store, 16 clients";
    let is_kept = all.percentile(99) <= 60.0 && all.refused() == 0;
    table.extend([match place.store {
        Store::Sqlite => Row::promise(what, "p99 ≤ 60 ms, no 503", figure, is_kept),
        Store::Postgres(_) => Row::figure(what, figure),
    }]);
    Ok(())
}

fn refresh_until(addr: SocketAddr, until: Instant) -> Result<Times, Failure> {
    let [_, mut token] = log_in(addr, "john", "password123admin")?;
    let (mut client, mut times) = (Client::of(addr, "")?, Times::default());
    while Instant::now() < until {
        let body = client.ask(&mut times, "POST", "/token", &json!({"token": token}).to_string())?;
        // After a 503 the same token is presented again.
        if let Some(body) = body {
            let body: Value = serde_json::from_str(&body)?;
            body["refreshToken"].as_str().unwrap_or_default().clone_into(&mut token);
        }
    }
    Ok(times)
}

/// Measures a start when the revocations have no place in the list yet, and one when they have.
fn revocations(place: &Place<'_>, table: &mut Table) -> Result<(), Failure> {
    let (first, unplaced) = place.start("auth-service")?;
    drop(first);
    let (server, placed) = place.start("auth-service")?;
    let used = server.memory("VmRSS:");
    table.extend([
        Row::figure(
            "auth-service has read the revocations after; if none has a place in the list yet",
            format!("{:.1} s; {:.1} s", placed.as_secs_f64(), unplaced.as_secs_f64()),
        ),
        Row::promise("its memory", "≤ 100 MB for a million", format!("{used:.0} MB"), used <= 100.0),
    ]);
    Ok(())
}
