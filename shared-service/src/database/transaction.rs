use std::mem;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use sqlx::pool::PoolConnection;
use sqlx::postgres::Postgres;
use sqlx::sqlite::Sqlite;
use sqlx::{Error, Executor, SqlStr};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::timeout;

use super::LIMIT;
use super::statement::{Statement, Step};

/// Steps of `SQLite`'s virtual machine between two checks for cancellation: some ten microseconds, or a few milliseconds
/// within the text index.
const STEPS: i32 = 1_000;
/// The time after which a long statement lets another thread have the core: less than the kernel would give it.
const TURN: Duration = Duration::from_micros(500);

/// A transaction, or a read of several statements. Dropping it rolls back, and cancels a statement in progress.
#[derive(Debug)]
pub struct Transaction {
    connection: Connection,
    given_up: Arc<AtomicBool>,
    permit: Option<OwnedSemaphorePermit>,
}

/// The connection of a [`Transaction`]. Not a transaction of sqlx: one whose `begin` is cancelled in Postgres stays open
/// on its connection, and one that `SQLite` ended itself leaves a connection that cannot begin another.
#[derive(Debug)]
pub enum Connection {
    /// A connection to a file.
    Sqlite(PoolConnection<Sqlite>),
    /// A connection to a server.
    Postgres(PoolConnection<Postgres>),
    /// The transaction has ended; its connection goes back to the pool.
    Ended,
}

impl Transaction {
    /// Begins a transaction on `connection` with `sql`.
    pub(super) async fn begin(connection: Connection, sql: SqlStr) -> Result<Self, Error> {
        let given_up = Arc::<AtomicBool>::default();
        // If the rest fails or is cancelled, `drop` rolls back.
        let mut transaction = Self { connection, given_up: Arc::clone(&given_up), permit: None };
        if let Connection::Sqlite(sqlite) = &mut transaction.connection {
            let mut handle = sqlite.lock_handle().await?;
            let mut turn = Instant::now();
            handle.set_progress_handler(STEPS, move || {
                if turn.elapsed() > TURN {
                    thread::yield_now();
                    turn = Instant::now();
                }
                !given_up.load(Ordering::Relaxed)
            });
        }
        transaction.connection.execute(sql).await?;
        Ok(transaction)
    }

    /// Holds `permit` for as long as the connection is in use.
    pub(super) fn holding(mut self, permit: OwnedSemaphorePermit) -> Self {
        self.permit = Some(permit);
        self
    }

    /// Commits.
    ///
    /// # Errors
    /// The database did not confirm the commit; its outcome is unknown.
    pub async fn commit(mut self) -> Result<(), Error> {
        // If this fails or is cancelled, `drop` rolls back.
        self.connection.execute("COMMIT").await?;
        self.take().release();
        Ok(())
    }

    /// Rolls back.
    ///
    /// # Errors
    /// The database did not confirm the rollback; it will roll back all the same.
    pub async fn rollback(mut self) -> Result<(), Error> {
        // A task, so that a cancelled caller leaves no transaction open.
        tokio::spawn(self.take().rollback()).await.unwrap_or(Err(Error::WorkerCrashed))
    }

    fn take(&mut self) -> Connection {
        mem::replace(&mut self.connection, Connection::Ended)
    }
}

impl Connection {
    /// The condition that a text of a trigram index contains `part`: its operator, and the pattern on the right of it.
    /// The index is one of FTS5 with the tokenizer `trigram`, or of Postgres' extension `pg_trgm`.
    #[must_use]
    pub fn contains(&self, part: &str) -> (&'static str, String) {
        if matches!(self, Self::Postgres(_)) {
            ("LIKE", format!("%{}%", part.replace('\\', r"\\").replace('%', r"\%").replace('_', r"\_")))
        } else {
            ("MATCH", format!("\"{}\"", part.replace('"', "\"\"")))
        }
    }

    pub(super) async fn run(&mut self, statement: Statement) -> Result<Vec<Step>, Error> {
        match self {
            Self::Sqlite(sqlite) => statement.on_sqlite(&mut **sqlite).await,
            Self::Postgres(postgres) => statement.on_postgres(&mut **postgres).await,
            Self::Ended => Err(Error::PoolClosed),
        }
    }

    async fn rollback(mut self) -> Result<(), Error> {
        // The first error may be that of a cancelled statement, whose answer Postgres sent before it read the rollback.
        // In SQLite it means that there is no transaction, if another one can begin: SQLite itself ends one whose
        // statement was interrupted, or for which the disk has no room.
        let (again, patience) = match &mut self {
            Self::Sqlite(sqlite) => {
                // Locking the handle waits until a cancelled statement has ended. The next user of the connection must
                // not inherit the progress handler.
                sqlite.lock_handle().await?.remove_progress_handler();
                ("BEGIN; ROLLBACK", Duration::MAX)
            }
            // A server that has fallen silent must not keep a place in the pool.
            _ => ("ROLLBACK", 2 * LIMIT),
        };
        let roll_back = async {
            match self.execute("ROLLBACK").await {
                Err(_) => self.execute(again).await,
                done => done,
            }
        };
        let done = timeout(patience, roll_back).await.unwrap_or(Err(Error::PoolTimedOut));
        match (&done, self) {
            (Ok(_), connection) => connection.release(),
            // The next user of the connection must not inherit the transaction.
            (Err(_), Self::Sqlite(sqlite)) => drop(sqlite.detach()),
            (Err(_), Self::Postgres(postgres)) => drop(postgres.detach()),
            (Err(_), Self::Ended) => {}
        }
        done.map(drop)
    }

    /// Returns the connection to its pool, which first waits for an answer from the server, and sets no time limit.
    fn release(self) {
        if let Self::Postgres(mut postgres) = self {
            tokio::spawn(timeout(LIMIT, postgres.return_to_pool()));
        }
    }
}

/// Rolls back in the background. The permit is held until the database has released the connection; otherwise cancelled
/// calls could exceed their share of the connections.
impl Drop for Transaction {
    fn drop(&mut self) {
        let connection = self.take();
        if matches!(connection, Connection::Ended) {
            return;
        }
        self.given_up.store(true, Ordering::Relaxed);
        let permit = self.permit.take();
        tokio::spawn(async move {
            if let Err(error) = connection.rollback().await {
                log::debug!("the rollback of a cancelled transaction failed: {error}");
            }
            drop(permit);
        });
    }
}

impl Deref for Transaction {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        &self.connection
    }
}

impl DerefMut for Transaction {
    fn deref_mut(&mut self) -> &mut Connection {
        &mut self.connection
    }
}
