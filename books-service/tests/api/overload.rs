//! Many of the most expensive searches at once.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::library::{Library, on_each};

const BOOKS: u32 = 50_000;
const ID: &str = "00000000-0000-4000-8000-100000000007";
const TIME: Duration = Duration::from_secs(4);

/// The SQL that adds books with long texts, which match every word of the searches.
fn fill() -> String {
    let text = format!("'a e h i n o s t ' || x || ' {}'", "lorem ipsum ".repeat(12));
    let id = "'00000000-0000-4000-8000-' || (100000000000 + x)";
    format!(
        "INSERT INTO books (id, author, author_key, country, country_key, language, language_key, title, title_key, \
         pages, year, added, version) WITH RECURSIVE numbers (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM numbers \
         WHERE x < {BOOKS}) SELECT {id}, 'A', {text}, 'C', {text}, 'L', {text}, 'T', {text}, 1, 1900, x, 1 FROM numbers"
    )
}

/// Searches until `TIME` is over; every second client hangs up before the response.
async fn search(library: Library, caller: u32) {
    let (member, until) = (library.member(), Instant::now() + TIME);
    for number in 0.. {
        if Instant::now() > until {
            return;
        }
        // Each query is new, so no cached page answers it.
        let path = format!("/books?q=a+e+h+i+n+o+s+t&sort=-title&yearFrom={}", -i64::from(number * 8 + caller));
        let patience = if caller.is_multiple_of(2) { TIME } else { Duration::from_millis(50) };
        drop(timeout(patience, member.get(&path)).await);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn searches_leave_single_books_and_readiness_alone() {
    on_each(async |database| {
        let library = Library::start(&database.url, []).await;
        database.execute(&fill()).await;
        let path = format!("/books/{ID}");
        let member = library.member();
        // Opens all connections, so that no call waits for a handshake.
        while join_all((0..32).map(|_| member.get(&path))).await.iter().any(|answer| answer.status != 200) {}
        let mut searches = JoinSet::new();
        for caller in 0..8 {
            searches.spawn(search(Library { url: library.url.clone(), client: library.client.clone() }, caller));
        }
        let mut reads = 0;
        while !searches.is_empty() {
            member.get(&path).await.is(200);
            library.nobody().get("/readyz").await.is(200);
            reads += 1;
            while searches.try_join_next().is_some() {}
        }
        assert!(reads > 20, "{reads} reads in {TIME:?}");
    })
    .await;
}
