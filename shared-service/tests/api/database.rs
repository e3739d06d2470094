//! Limits on time and on connections, on each database.

use std::future::pending;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use futures_util::future::{FutureExt, join_all};
use shared_service::database::{Database, LIMIT, StoreError, within};
use sqlx::{AssertSqlSafe, Executor, query, query_scalar};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Mutex, MutexGuard, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use uuid::Uuid;

const CONNECTIONS: u32 = 8;
const SOON: Duration = Duration::from_millis(100);
/// A query that no test sees end, and that writes no growing file.
const ENDLESS: &str = "WITH RECURSIVE n (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 1000) \
     SELECT count(*) FROM n AS a, n AS b, n AS c, n AS d, n AS e";

#[expect(clippy::disallowed_methods, reason = "where the test's server is, is no setting of a service")]
fn postgres_url() -> String {
    std::env::var("TEST_POSTGRES_URL").expect("TEST_POSTGRES_URL is not set: run ./test, or see CONTRIBUTING.md")
}

fn postgres() -> Database {
    Database::at(&postgres_url(), CONNECTIONS).unwrap()
}

/// `SQLite` and, with the feature `all-tests`, Postgres, each with the name of a new table of one row.
///
/// Only one test has them at a time, because another test's statements would use the processors it needs.
async fn each() -> (MutexGuard<'static, ()>, Vec<(Database, String)>) {
    static ALONE: Mutex<()> = Mutex::const_new(());
    let alone = ALONE.lock().await;
    let name = format!("limits_{}", Uuid::new_v4().simple());
    let file = std::env::temp_dir().join(&name);
    let sqlite = Database::at(&format!("sqlite://{}?mode=rwc", file.display()), CONNECTIONS).unwrap();
    sqlite.execute("PRAGMA journal_mode = WAL").await.unwrap();
    let mut each = vec![(sqlite, name.clone())];
    if cfg!(feature = "all-tests") {
        each.push((postgres(), name));
    }
    for (database, table) in &each {
        // Opens all connections, so that no test waits for a handshake. Statements of the test before may still run.
        for _ in 0..5 {
            let opened = join_all((0..CONNECTIONS).map(|_| database.begin())).await;
            if opened.iter().all(Result::is_ok) {
                break;
            }
        }
        is_free(database, CONNECTIONS).await;
        let create = format!("CREATE TABLE {table} (n BIGINT)");
        database.execute(AssertSqlSafe(create)).await.unwrap();
        database.execute(AssertSqlSafe(format!("INSERT INTO {table} VALUES (0)"))).await.unwrap();
    }
    (alone, each)
}

async fn raise(on: impl Executor<'_, Database = sqlx::Any>, table: &str) -> Result<(), StoreError> {
    Ok(query(AssertSqlSafe(format!("UPDATE {table} SET n = n + $1"))).bind(1_i64).execute(on).await.map(drop)?)
}

async fn is_free(database: &Database, connections: u32) {
    // All at once, because each waits for a processor while endless statements run.
    let held = join_all((0..connections).map(|_| database.begin())).await;
    held.into_iter().collect::<Result<Vec<_>, _>>().expect("a connection is free");
}

#[tokio::test]
async fn dropped_call_stops_in_the_database() {
    let (_alone, databases) = each().await;
    for (database, _) in databases {
        let mut calls = JoinSet::new();
        for number in 0..CONNECTIONS {
            let database = database.clone();
            calls.spawn(async move {
                if number % 2 == 0 {
                    let mut call = database.begin().await.unwrap();
                    timeout(SOON, call.execute(ENDLESS)).await.expect_err("endless query");
                } else {
                    let call = async { database.begin_list().await.unwrap().execute(ENDLESS).await };
                    timeout(SOON, call).await.expect_err("endless query");
                }
            });
        }
        calls.join_all().await;
        sleep(LIMIT).await;
        is_free(&database, CONNECTIONS).await;
    }
}

#[tokio::test]
#[cfg_attr(not(feature = "all-tests"), ignore = "needs Postgres: ./test")]
async fn dropped_statement_of_its_own_stops_in_postgres() {
    let (_alone, mut databases) = each().await;
    let (database, _) = databases.remove(1);
    let mut calls = JoinSet::new();
    for _ in 0..CONNECTIONS {
        let database = database.clone();
        calls.spawn(async move { timeout(SOON, query(ENDLESS).execute(&database)).await.expect_err("endless query") });
    }
    calls.join_all().await;
    sleep(LIMIT).await;
    is_free(&database, CONNECTIONS).await;
}

#[tokio::test]
async fn lists_leave_three_quarters_of_the_connections() {
    let (_alone, databases) = each().await;
    for (database, _) in databases {
        let mut lists = Vec::new();
        for _ in 0..CONNECTIONS / 4 {
            lists.push(database.begin_list().await.unwrap());
        }
        timeout(SOON, database.begin_list()).await.expect_err("a third list must wait");
        is_free(&database, CONNECTIONS * 3 / 4).await;
        drop(lists.pop());
        database.begin_list().await.unwrap();
    }
}

#[tokio::test]
async fn lists_of_clients_that_hung_up_leave_three_quarters_of_the_connections() {
    let (_alone, databases) = each().await;
    for (database, _) in databases {
        // A busy machine may delay one attempt; a call that waits for an abandoned list is late in every attempt.
        for attempt in 1.. {
            for _ in 0..CONNECTIONS {
                let list = async { database.begin_list().await.unwrap().execute(ENDLESS).await };
                timeout(Duration::from_millis(20), list).await.expect_err("endless query");
            }
            if timeout(LIMIT / 2, is_free(&database, CONNECTIONS * 3 / 4)).await.is_ok() {
                break;
            }
            assert!(attempt < 3, "calls wait for abandoned lists");
            sleep(LIMIT).await;
        }
    }
}

#[tokio::test]
#[cfg_attr(not(feature = "all-tests"), ignore = "needs Postgres: ./test")]
async fn statement_over_its_time_is_unavailable() {
    let (_alone, mut databases) = each().await;
    let mut call = databases.remove(1).0.begin().await.unwrap();
    let error = StoreError::from(call.execute(ENDLESS).await.expect_err("the statement must exceed its time limit"));
    assert!(error.to_string().contains("the time for this call was up"), "{error}");
    assert!(matches!(error, StoreError::Unavailable { .. }), "{error}");
}

#[tokio::test]
async fn error_names_the_store_that_was_asked() {
    let error = within("books", async { Err::<(), _>(sqlx::Error::PoolTimedOut) }).await.unwrap_err();
    assert!(error.to_string().starts_with("books is unavailable: "), "{error}");
}

#[tokio::test]
#[cfg_attr(not(feature = "all-tests"), ignore = "needs Postgres: ./test")]
async fn stalled_transaction_lets_its_rows_go() {
    let (_alone, mut databases) = each().await;
    let (database, table) = databases.remove(1);
    let mut stalled = database.begin().await.unwrap();
    raise(&mut *stalled, &table).await.unwrap();
    // The next statement has the rest of the limit as a reserve.
    sleep(LIMIT * 3 / 4).await;
    raise(&database, &table).await.unwrap();
    stalled.commit().await.expect_err("the database must have ended the transaction");
    let count = query_scalar::<_, i64>(AssertSqlSafe(format!("SELECT n FROM {table}")));
    assert_eq!(count.fetch_one(&database).await.unwrap(), 1);
}

#[tokio::test]
async fn write_waits_for_another_no_longer_than_the_limit() {
    let (_alone, databases) = each().await;
    for (database, table) in databases {
        let mut other = database.begin_unlimited().await.unwrap();
        raise(&mut *other, &table).await.unwrap();
        let asked = Instant::now();
        raise(&database, &table).await.expect_err("the row must be locked");
        assert!(asked.elapsed() < 2 * LIMIT, "{:?}", asked.elapsed());
        sleep(LIMIT).await;
        other.commit().await.expect("an import may exceed the limit");
        raise(&database, &table).await.expect("the row is free after the commit");
    }
}

/// Otherwise each cancelled statement would leave a thread, and a disk that hangs would use up the open files.
#[tokio::test]
async fn cancelled_statements_of_sqlite_keep_their_connections() {
    const LONG: &str = "SELECT (WITH RECURSIVE n (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 1000) \
         SELECT count(*) FROM n AS a, n AS b, n AS c WHERE c.x <= 20)";
    let (_alone, mut each) = each().await;
    let (database, name) = each.swap_remove(0);
    let file = std::env::temp_dir().join(name);
    let is_open = |link: &PathBuf| *link == file;
    let open = || {
        let links =
            std::fs::read_dir("/proc/self/fd").unwrap().filter_map(|link| link.unwrap().path().read_link().ok());
        links.filter(is_open).count()
    };
    for _ in 0..3 * CONNECTIONS {
        timeout(SOON / 4, query(LONG).execute(&database)).await.expect_err("the statement takes longer");
    }
    let most = CONNECTIONS as usize + 4;
    assert!((2..=most).contains(&open()), "{} connections", open());
    database.close().await;
    assert_eq!(open(), 0);
}

/// Otherwise the next user of the connection inherits the transaction with its time limit, and after an error in it each
/// later one fails.
#[tokio::test]
#[cfg_attr(not(feature = "all-tests"), ignore = "needs Postgres: ./test")]
async fn cancelled_begin_leaves_no_transaction_open() {
    const OPEN: &str = "SELECT COUNT(*) FROM pg_stat_activity \
         WHERE datname = current_database() AND state LIKE 'idle in transaction%'";
    let (_alone, mut each) = each().await;
    let (database, _) = each.swap_remove(1);
    let mut cancelled = 0;
    while cancelled < 20 {
        database.execute("SELECT 1").await.unwrap();
        // Polled once, so that the answer is rarely there.
        cancelled += i32::from(database.begin().now_or_never().is_none());
        sleep(SOON / 10).await;
        let open: i64 = query_scalar(OPEN).fetch_one(&database).await.unwrap();
        assert_eq!(open, 0);
    }
}

/// `SQLite` rolls back by itself then, and refuses the `ROLLBACK` that follows.
#[tokio::test]
async fn transaction_that_sqlite_ended_leaves_its_connection_usable() {
    let file = std::env::temp_dir().join(format!("ended_{}", Uuid::new_v4().simple()));
    let database = Database::at(&format!("sqlite://{}?mode=rwc", file.display()), 1).unwrap();
    database.execute("CREATE TABLE t (text TEXT)").await.unwrap();

    let mut full = database.begin_write().await.unwrap();
    full.execute("PRAGMA max_page_count = 20").await.unwrap();
    let error = full.execute("INSERT INTO t VALUES (hex(zeroblob(1000000)))").await.unwrap_err();
    assert!(error.to_string().contains("full"), "{error}");
    drop(full);
    let mut next = database.begin_write().await.expect("after a full disk");
    next.execute("PRAGMA max_page_count = 1000000").await.unwrap();
    next.commit().await.unwrap();

    for _ in 0..20 {
        let mut interrupted = database.begin_write().await.expect("after an interrupt");
        let long = format!("INSERT INTO t {ENDLESS}");
        timeout(SOON / 10, interrupted.execute(AssertSqlSafe(long))).await.unwrap_err();
    }
    let mut last = database.begin_write().await.unwrap();
    last.execute("INSERT INTO t VALUES ('a')").await.unwrap();
    last.commit().await.unwrap();
    assert_eq!(query_scalar::<_, i64>("SELECT COUNT(*) FROM t").fetch_one(&database).await.unwrap(), 1);
}

/// As after a fail-over of an address: no packet of the old connections arrives, and nothing closes them.
#[tokio::test]
#[cfg_attr(not(feature = "all-tests"), ignore = "needs Postgres: ./test")]
async fn silent_connections_are_replaced() {
    // Their transactions stay open in the server for a second.
    let (_alone, _) = each().await;
    let mut url = url::Url::parse(&postgres_url()).unwrap();
    let server = url.socket_addrs(|| None).unwrap()[0];
    let proxy = TcpListener::bind("127.0.0.1:0").await.unwrap();
    url.set_port(Some(proxy.local_addr().unwrap().port())).unwrap();
    let (silence, heard) = watch::channel(());
    tokio::spawn(async move {
        loop {
            let (mut client, _) = proxy.accept().await.unwrap();
            let mut heard = heard.clone();
            heard.mark_unchanged();
            tokio::spawn(async move {
                let mut server = TcpStream::connect(server).await.unwrap();
                tokio::select! {
                    _ = copy_bidirectional(&mut client, &mut server) => {}
                    // Keeps both sides open.
                    _ = heard.changed() => pending().await,
                }
            });
        }
    });
    let database = Database::at(url.as_str(), CONNECTIONS).unwrap();
    is_free(&database, CONNECTIONS).await;
    silence.send(()).unwrap();
    let start = Instant::now();
    let calls = || async { join_all((0..CONNECTIONS).map(|_| within("a store", database.execute("SELECT 1")))).await };
    while calls().await.iter().any(Result::is_err) {
        assert!(start.elapsed() < 6 * LIMIT, "they still hold places in the pool");
    }
}
