use sqlx::{AssertSqlSafe, Error, Row, query};

use super::transaction::Connection;

/// $1 the table. Indexes of constraints stay.
const OF_SQLITE: &str =
    "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND tbl_name = $1 AND sql IS NOT NULL";
const OF_POSTGRES: &str = "
SELECT CAST(indexname AS TEXT) AS name, indexdef AS sql FROM pg_indexes
WHERE schemaname = current_schema() AND tablename = $1
AND NOT EXISTS (SELECT 1 FROM pg_constraint WHERE conname = indexname)";

impl Connection {
    /// Drops the indexes of `table`, within the transaction; returns the statements that create them again. An index of
    /// many rows is created faster than it is extended row by row. In Postgres, other transactions wait for the table.
    ///
    /// # Errors
    /// The database is unavailable.
    pub async fn drop_indexes(&mut self, table: &'static str) -> Result<Vec<String>, Error> {
        let select = if matches!(self, Self::Postgres(_)) { OF_POSTGRES } else { OF_SQLITE };
        let mut statements = Vec::new();
        for row in query(select).bind(table).fetch_all(&mut *self).await? {
            let name: String = row.try_get("name")?;
            query(AssertSqlSafe(format!("DROP INDEX {name}"))).execute(&mut *self).await?;
            statements.push(row.try_get("sql")?);
        }
        Ok(statements)
    }
}
