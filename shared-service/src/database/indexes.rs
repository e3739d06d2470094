use sqlx::{AssertSqlSafe, Error, Row, query};

use super::transaction::Connection;

/// `$1` is the table. Indexes of constraints stay. A trigger `x_of_new` adds each new row to the FTS5 index `x`.
const OF_SQLITE: &str = "
SELECT 'INDEX ' || name AS object, sql FROM sqlite_master WHERE type = 'index' AND tbl_name = $1 AND sql IS NOT NULL
UNION ALL
SELECT 'TRIGGER ' || name || '_of_new', sql || '; INSERT INTO ' || name || ' (' || name || ') VALUES (''rebuild'')'
FROM (SELECT replace(name, '_of_new', '') AS name, sql FROM sqlite_master
    WHERE type = 'trigger' AND tbl_name = $1 AND name LIKE '%_of_new')";
const OF_POSTGRES: &str = "
SELECT 'INDEX ' || CAST(indexname AS TEXT) AS object, indexdef AS sql FROM pg_indexes
WHERE schemaname = current_schema() AND tablename = $1
AND NOT EXISTS (SELECT 1 FROM pg_constraint WHERE conname = indexname)";

impl Connection {
    /// Drops the indexes of `table` within the transaction; returns the statements that create them again. Meant for a
    /// bulk insert into a table with few rows: creating an index of many rows is faster than extending it row by row.
    /// In Postgres, other transactions wait for the table.
    ///
    /// # Errors
    /// The database is unavailable.
    pub async fn drop_indexes(&mut self, table: &'static str) -> Result<Vec<String>, Error> {
        let select = if matches!(self, Self::Postgres(_)) { OF_POSTGRES } else { OF_SQLITE };
        let mut statements = Vec::new();
        for row in query(select).bind(table).fetch_all(&mut *self).await? {
            let object: String = row.try_get("object")?;
            query(AssertSqlSafe(format!("DROP {object}"))).execute(&mut *self).await?;
            statements.push(row.try_get("sql")?);
        }
        Ok(statements)
    }
}
