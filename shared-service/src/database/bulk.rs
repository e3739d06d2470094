use sqlx::{AssertSqlSafe, Error, Row, query};

use super::transaction::Connection;

/// `$1` is the table. Indexes of constraints stay. A trigger `x_of_new` adds each new row to the FTS5 index `x`. A hash
/// table of 16 MB, instead of 1, speeds up its rebuild: FTS5 merges the table into the index whenever it is full.
const OF_SQLITE: &str = "
SELECT 'INDEX ' || name AS object, sql FROM sqlite_master WHERE type = 'index' AND tbl_name = $1 AND sql IS NOT NULL
UNION ALL
SELECT 'TRIGGER ' || name || '_of_new', sql || replace(
    '; INSERT INTO @ (@, rank) VALUES (''hashsize'', 16777216); INSERT INTO @ (@) VALUES (''rebuild''); ' ||
    'INSERT INTO @ (@, rank) VALUES (''hashsize'', 1048576)', '@', name)
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

    /// The table of the elements of the JSON array `$1`, with the column `value`. For a bulk insert: one argument for
    /// all rows is faster than one for each value, whose names `SQLite` compares with each other.
    #[must_use]
    pub fn elements(&self) -> &'static str {
        if matches!(self, Self::Postgres(_)) {
            "jsonb_array_elements(CAST($1 AS JSONB)) AS new (value)"
        } else {
            "json_each($1)"
        }
    }
}
