use std::io;
use std::num::NonZero;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use sqlx::any::{Any, AnyArguments};
use sqlx::pool::PoolOptions;
use sqlx::postgres::{PgConnectOptions, PgPool};
use sqlx::query::Query;
use sqlx::sqlite::{SqliteConnectOptions, SqlitePool};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection as _, Error, Executor, SqlSafeStr, SqlStr};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use super::LIMIT;
use super::direct::DirectConnections;
use super::error::hung_up;
use super::statement::{Statement, Step};
use super::transaction::{Connection, Transaction};
use crate::settings::Kind;

/// The number of rows that a connection to `SQLite` reads in advance.
const ROWS: usize = 256;
/// Serializes migrations by several instances.
const MIGRATION_LOCK: &str = "BEGIN; SELECT pg_advisory_xact_lock(5281530264905421889)";

/// A connection pool. Clones share its connections.
///
/// Queries use sqlx's `Any`, one text for both databases; the pools are typed, because `Any` reaches neither `SQLite`'s
/// progress handler nor Postgres' options. In Postgres each statement is unnamed and runs in a transaction: a pooler in
/// transaction mode may run the next transaction on another connection, which has no prepared statements. Each
/// transaction sets its own time limit, because such a pooler drops session settings.
#[derive(Clone, Debug)]
pub struct Database {
    pool: Pool,
    connections: u32,
    lists: Arc<Semaphore>,
    /// One permit for `SQLite`, where a second writer would wait by sleeping between attempts, and in no order.
    writes: Arc<Semaphore>,
}

#[derive(Clone, Debug)]
enum Pool {
    Sqlite(SqlitePool, Arc<DirectConnections>),
    Postgres(PgPool),
}

/// Statements of a list in Postgres. All reads see one state, so that the total is that of the page.
const LIST: &str = "; SET TRANSACTION ISOLATION LEVEL REPEATABLE READ; SET LOCAL max_parallel_workers_per_gather = 0";

impl Database {
    /// A pool for the database at `url` with at most `connections`. Connects at the first call.
    ///
    /// # Errors
    /// The address is invalid.
    pub fn at(url: &str, connections: u32) -> Result<Self, Error> {
        let pool = match Kind::of(url) {
            Kind::Sqlite(_) => {
                // A usual page of rows fits into the channel: otherwise two threads take turns for it.
                let options = url.parse::<SqliteConnectOptions>()?.busy_timeout(LIMIT).row_buffer_size(ROWS);
                Pool::Sqlite(options_of(connections).connect_lazy_with(options), Arc::default())
            }
            Kind::Postgres => {
                // The only start-up parameter of sqlx that PgBouncer rejects. It concerns floats, and no column is one.
                let options = url.parse::<PgConnectOptions>()?.extra_float_digits(None);
                Pool::Postgres(options_of(connections).connect_lazy_with(options))
            }
        };
        let cores = thread::available_parallelism().map_or(1, NonZero::get);
        let lists = cores.min((connections / 4).max(1) as usize);
        let writes = if matches!(pool, Pool::Sqlite(..)) { 1 } else { connections.max(1) as usize };
        let [lists, writes] = [lists, writes].map(|most| Arc::new(Semaphore::new(most)));
        Ok(Self { pool, connections, lists, writes })
    }

    /// Begins a transaction. Dropping it cancels it in the database. In Postgres, [`LIMIT`] also bounds its statements,
    /// its waits for row locks and its idle time, so that a stalled instance does not keep a row locked. In `SQLite`, a
    /// wait for the write lock ends after [`LIMIT`].
    ///
    /// # Errors
    /// The database cannot be reached.
    pub async fn begin(&self) -> Result<Transaction, Error> {
        self.begin_since(Instant::now(), "").await
    }

    /// Begins a transaction that writes. In `SQLite`, the writing transactions of this process run one at a time.
    ///
    /// # Errors
    /// The database cannot be reached.
    pub async fn begin_write(&self) -> Result<Transaction, Error> {
        let turn = self.turn().await?;
        Ok(self.begin().await?.holding(turn))
    }

    async fn turn(&self) -> Result<OwnedSemaphorePermit, Error> {
        Arc::clone(&self.writes).acquire_owned().await.map_err(|_| Error::PoolClosed)
    }

    /// Begins a transaction for a list or another long read. At most a quarter of the connections serve these, and no
    /// more than there are cores, so that short calls, logins and readiness checks find a connection and a core.
    ///
    /// # Errors
    /// The database cannot be reached.
    pub async fn begin_list(&self) -> Result<Transaction, Error> {
        let asked = Instant::now();
        let permit = Arc::clone(&self.lists).acquire_owned().await.map_err(|_| Error::PoolClosed)?;
        Ok(self.begin_since(asked, LIST).await?.holding(permit))
    }

    /// Runs a long write that can be cancelled like a transaction; returns the number of rows affected.
    ///
    /// # Errors
    /// The database is unavailable.
    pub async fn write_cancellable(&self, write: Query<'_, Any, AnyArguments>) -> Result<u64, Error> {
        let mut transaction = self.begin_write().await?;
        let rows = write.execute(&mut *transaction).await?.rows_affected();
        transaction.commit().await?;
        Ok(rows)
    }

    /// Begins a transaction without a time limit, for an import or an export.
    ///
    /// # Errors
    /// The database cannot be reached.
    pub async fn begin_unlimited(&self) -> Result<Transaction, Error> {
        self.start("BEGIN", "BEGIN".into_sql_str()).await
    }

    /// Begins a transaction without a time limit that only one process can have at a time.
    pub(super) async fn begin_migration(&self) -> Result<Transaction, Error> {
        self.start("BEGIN IMMEDIATE", MIGRATION_LOCK.into_sql_str()).await
    }

    /// Sets the journal mode of the file to WAL, in which readers and the writer do not wait for each other.
    pub(super) async fn prepare_file(&self) -> Result<(), Error> {
        if let Pool::Sqlite(pool, _) = &self.pool {
            pool.execute("PRAGMA journal_mode = WAL").await?;
        }
        Ok(())
    }

    /// False for `SQLite`, which allows only one writer at a time.
    #[must_use]
    pub fn is_postgres(&self) -> bool {
        matches!(self.pool, Pool::Postgres(_))
    }

    /// Prepares `table` for service after many writes. Postgres needs statistics for its planner, and the visibility
    /// map to count rows through an index; autovacuum would update both only some minutes later. `SQLite` copies its
    /// write-ahead log into the database.
    pub async fn refresh_after_bulk(&self, table: &'static str) {
        let refreshed = match &self.pool {
            Pool::Postgres(pool) => pool.execute(AssertSqlSafe(format!("VACUUM (ANALYZE) {table}"))).await.map(drop),
            // Otherwise the next commit would copy the whole log and exceed its time limit.
            Pool::Sqlite(pool, _) => pool.execute("PRAGMA wal_checkpoint(TRUNCATE)").await.map(drop),
        };
        if let Err(error) = refreshed {
            log::warn!(
                "calls may be slow for some minutes, because {table} was not analysed after the import: {error}"
            );
        }
    }

    /// The maximum number of connections of the pool.
    #[must_use]
    pub fn connections(&self) -> u32 {
        self.connections
    }

    /// Connects outside the pool, whose errors hide the cause. Does nothing for `SQLite`, whose errors show it.
    pub(crate) async fn probe(&self) -> Result<(), Error> {
        let Pool::Postgres(pool) = &self.pool else { return Ok(()) };
        let connecting = timeout(LIMIT, pool.connect_options().connect()).await;
        connecting.map_err(|_| Error::Io(io::Error::other("no answer within 1 s")))??.close().await
    }

    /// The location of the database, for messages: the file, or `host:port`.
    pub(crate) fn place(&self) -> String {
        match &self.pool {
            Pool::Sqlite(pool, _) => pool.connect_options().get_filename().display().to_string(),
            Pool::Postgres(pool) => {
                format!("{}:{}", pool.connect_options().get_host(), pool.connect_options().get_port())
            }
        }
    }

    /// Closes all connections. Later calls fail.
    pub async fn close(&self) {
        match &self.pool {
            Pool::Sqlite(pool, direct) => {
                pool.close().await;
                direct.close().await;
            }
            Pool::Postgres(pool) => pool.close().await,
        }
    }

    async fn begin_since(&self, asked: Instant, settings: &str) -> Result<Transaction, Error> {
        let left = LIMIT.saturating_sub(asked.elapsed()).max(Duration::from_millis(1)).as_millis();
        let postgres = format!(
            "BEGIN; SET LOCAL statement_timeout = {left}; SET LOCAL idle_in_transaction_session_timeout = {}{settings}",
            LIMIT.as_millis()
        );
        self.start("BEGIN", AssertSqlSafe(postgres).into_sql_str()).await
    }

    /// Begins a transaction. The future is boxed, because it is large and part of nearly every call.
    fn start(&self, sqlite: &'static str, postgres: SqlStr) -> BoxFuture<'_, Result<Transaction, Error>> {
        Box::pin(async move {
            let attempt = async || match &self.pool {
                Pool::Sqlite(pool, _) => {
                    Transaction::begin(Connection::Sqlite(pool.acquire().await?), sqlite.into_sql_str()).await
                }
                Pool::Postgres(pool) => {
                    Transaction::begin(Connection::Postgres(pool.acquire().await?), postgres.clone()).await
                }
            };
            // The server may have closed any idle connection; only the first statement on it reveals that.
            let mut idle = self.connections;
            loop {
                match attempt().await {
                    Err(error) if idle > 0 && hung_up(&error) => idle -= 1,
                    begun => return begun,
                }
            }
        })
    }

    pub(super) async fn run(&self, statement: Statement) -> Result<Vec<Step>, Error> {
        if let Pool::Sqlite(pool, direct) = &self.pool {
            let turn = if statement.is_read() { None } else { Some(self.turn().await?) };
            return direct.run(pool, statement, turn).await;
        }
        let mut transaction = self.begin().await?;
        let steps = transaction.run(statement).await?;
        transaction.commit().await?;
        Ok(steps)
    }
}

fn options_of<D: sqlx::Database>(connections: u32) -> PoolOptions<D> {
    PoolOptions::new().max_connections(connections).test_before_acquire(false).acquire_timeout(LIMIT)
}
