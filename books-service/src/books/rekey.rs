use shared_service::database::{Connection, Work};
use sqlx::query::Query;
use sqlx::{AssertSqlSafe, Row, query};

use super::text::key;

const PAGE: &str = "SELECT id, author, country, language, title, author_key, country_key, language_key, title_key \
     FROM books WHERE id > $1 ORDER BY id LIMIT 500";
/// The number of books that one statement changes. Small, because `SQLite` compares each parameter's name with all
/// others.
const MANY: usize = 10;

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
            for books in outdated.chunks(MANY) {
                let sql = AssertSqlSafe(change(books.len()));
                books.iter().flatten().cloned().fold(query(sql), Query::bind).execute(&mut *connection).await?;
            }
            if page.is_empty() {
                return Ok(());
            }
        }
    })
}

/// The statement that changes `books` books; its parameters are the id and the keys of each.
fn change(books: usize) -> String {
    let row = |book: usize| (1..=5).map(|column| format!("${}", book * 5 + column)).collect::<Vec<_>>().join(", ");
    let rows: Vec<_> = (0..books).map(|book| format!("({})", row(book))).collect();
    format!(
        "UPDATE books SET author_key = new.column2, country_key = new.column3, language_key = new.column4, \
         title_key = new.column5 FROM (VALUES {}) AS new WHERE books.id = new.column1",
        rows.join(", ")
    )
}
