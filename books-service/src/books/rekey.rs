use shared_service::database::{Connection, Work};
use sqlx::query::Query;
use sqlx::{Row, query};

use super::text::key;

const PAGE: &str = "SELECT id, author, country, language, title, author_key, country_key, language_key, title_key \
     FROM books WHERE id > $1 ORDER BY id LIMIT 500";
const CHANGE: &str =
    "UPDATE books SET author_key = $1, country_key = $2, language_key = $3, title_key = $4 WHERE id = $5";

/// Rewrites outdated search keys, some hundred books at a time.
pub fn rekey(connection: &mut Connection) -> Work<'_> {
    Box::pin(async move {
        let mut last = String::new();
        loop {
            let page = query(PAGE).bind(last.clone()).fetch_all(&mut *connection).await?;
            for row in &page {
                last = row.try_get(0)?;
                let text = |column: usize| row.try_get::<String, _>(column);
                let old = [text(5)?, text(6)?, text(7)?, text(8)?];
                let new = [text(1)?, text(2)?, text(3)?, text(4)?].map(|text| key(&text));
                if new != old {
                    let change = new.into_iter().fold(query(CHANGE), Query::bind);
                    change.bind(last.clone()).execute(&mut *connection).await?;
                }
            }
            if page.is_empty() {
                return Ok(());
            }
        }
    })
}
