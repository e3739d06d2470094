use serde_json::json;
use shared_service::database::{Connection, Work};
use sqlx::{AssertSqlSafe, Row, query};

use super::text::key;

const PAGE: &str = "SELECT id, author, country, language, title, author_key, country_key, language_key, title_key \
     FROM books WHERE id > $1 ORDER BY id LIMIT 500";
/// `@` is a table of JSON arrays, one for each book.
const CHANGE: &str = "UPDATE books SET author_key = value ->> 1, country_key = value ->> 2, \
     language_key = value ->> 3, title_key = value ->> 4 FROM @ WHERE books.id = value ->> 0";

/// Rewrites outdated search keys, some hundred books at a time.
pub fn rekey(connection: &mut Connection) -> Work<'_> {
    Box::pin(async move {
        let mut last = String::new();
        loop {
            let page = query(PAGE).bind(last.clone()).fetch_all(&mut *connection).await?;
            let mut outdated = Vec::new();
            for row in &page {
                last = row.try_get(0)?;
                let text = |column: usize| row.try_get::<String, _>(column);
                let old = [text(5)?, text(6)?, text(7)?, text(8)?];
                let new = [text(1)?, text(2)?, text(3)?, text(4)?].map(|text| key(&text));
                if new != old {
                    let [author, country, language, title] = new;
                    outdated.push([last.clone(), author, country, language, title]);
                }
            }
            if !outdated.is_empty() {
                let change = query(AssertSqlSafe(CHANGE.replace('@', connection.elements())));
                change.bind(json!(outdated).to_string()).execute(&mut *connection).await?;
            }
            if page.is_empty() {
                return Ok(());
            }
        }
    })
}
