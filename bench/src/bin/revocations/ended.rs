//! Ended sessions that this program writes to the database of auth-service.

use std::path::Path;
use std::time::Duration;

use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{Connection, query};
use uuid::Uuid;

/// Inserts sessions as auth-service does: each was opened a minute ago, ends now, and has no place in the revocation
/// list yet. They are listed for an hour, so that none expires during the measurement.
const PUT: &str = "
INSERT INTO sessions (id, user_id, generation, repeats, opened_at, advanced_at, idle_ends_at, ends_at, ended_at,
    user_agent, address, issued_at, tokens_end_at, position)
SELECT value, ?2, 1, 0, now - 60000, now - 60000, now + 604740000, now + 2591940000, now,
    'bench', '127.0.0.1', now - 60000, now + 3600000, 0
FROM json_each(?1), (SELECT CAST(unixepoch('subsec') * 1000 AS INTEGER) AS now)";

/// Inserts this number of ended sessions in one statement.
pub async fn put(database: &Path, sessions: usize) -> Result<(), sqlx::Error> {
    let names: Vec<String> = (0..sessions).map(|_| Uuid::new_v4().to_string()).collect();
    let names = serde_json::Value::from(names).to_string();
    let options = SqliteConnectOptions::new().filename(database).busy_timeout(Duration::from_secs(30));
    let mut connection = SqliteConnection::connect_with(&options).await?;
    query(PUT).bind(names).bind(Uuid::now_v7().to_string()).execute(&mut connection).await?;
    connection.close().await
}
