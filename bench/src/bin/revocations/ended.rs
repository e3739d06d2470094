//! Sessions that ended without auth-service.

use std::path::Path;
use std::time::Duration;

use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{Connection, query};
use uuid::Uuid;

/// As auth-service leaves them: one that was opened a minute ago and ends now, nobody having read of it yet. They are
/// listed for an hour, so that none is over before the end.
const PUT: &str = "
INSERT INTO sessions (id, user_id, generation, repeats, opened_at, advanced_at, idle_ends_at, ends_at, ended_at,
    user_agent, address, issued_at, tokens_end_at, position)
SELECT value, ?2, 1, 0, now - 60000, now - 60000, now + 604740000, now + 2591940000, now,
    'bench', '127.0.0.1', now - 60000, now + 3600000, 0
FROM json_each(?1), (SELECT CAST(unixepoch('subsec') * 1000 AS INTEGER) AS now)";

/// Puts so many into the database, in one step.
pub async fn put(database: &Path, sessions: usize) -> Result<(), sqlx::Error> {
    let names: Vec<String> = (0..sessions).map(|_| Uuid::new_v4().to_string()).collect();
    let names = serde_json::Value::from(names).to_string();
    let options = SqliteConnectOptions::new().filename(database).busy_timeout(Duration::from_secs(30));
    let mut connection = SqliteConnection::connect_with(&options).await?;
    query(PUT).bind(names).bind(Uuid::now_v7().to_string()).execute(&mut connection).await?;
    connection.close().await
}
