use std::sync::Arc;

use sqlx::sqlite::{SqliteConnection, SqlitePool};
use sqlx::{Connection, Error};
use tokio::sync::{Mutex, OwnedSemaphorePermit};

use super::statement::{Statement, Step};

/// Connections to `SQLite` for single statements, besides those of the pool. When a statement on a pool ends, the pool
/// sends another message to the thread of the connection and waits for its answer, which doubles the thread switches.
#[derive(Debug, Default)]
pub(super) struct DirectConnections([Arc<Mutex<Option<SqliteConnection>>>; 4]);

impl DirectConnections {
    /// Runs `statement` on a free connection, or on one of `pool` if there is none. On a direct connection, a write
    /// holds its `turn` until it has ended, even if the call is cancelled.
    pub(super) async fn run(
        &self,
        pool: &SqlitePool,
        statement: Statement,
        turn: Option<OwnedSemaphorePermit>,
    ) -> Result<Vec<Step>, Error> {
        let Some(mut place) = self.0.iter().find_map(|place| Arc::clone(place).try_lock_owned().ok()) else {
            return statement.on_sqlite(pool).await;
        };
        let mut connection = match place.take() {
            Some(connection) => connection,
            None => pool.acquire().await?.detach(),
        };
        // A task, because the connection's thread finishes even a cancelled statement. Until then the connection is kept
        // in its place: replacing it would leave a thread for each cancelled call while a disk hangs.
        let work = tokio::spawn(async move {
            let done = statement.on_sqlite(&mut connection).await;
            *place = Some(connection);
            drop(turn);
            done
        });
        work.await.unwrap_or(Err(Error::WorkerCrashed))
    }

    /// Closes all connections. The pool must be closed before.
    pub(super) async fn close(&self) {
        for place in &self.0 {
            if let Some(connection) = place.lock().await.take() {
                // The connection is closed in any case.
                drop(connection.close().await);
            }
        }
    }
}
