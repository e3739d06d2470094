use shared_service::Page;
use shared_service::database::{StoreError, within};

use super::rows::{self, columns};
use super::{Account, STORE, User, UserId, Users};

/// `$1` the id to start after, `$2` a pattern.
const PAGE: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM users WHERE id > $1 AND (username LIKE $2 ESCAPE '\\' OR email LIKE $2 ESCAPE '\\') ORDER BY id LIMIT $3"
);
const COUNT: &str = "SELECT count(*) FROM users WHERE username LIKE $1 ESCAPE '\\' OR email LIKE $1 ESCAPE '\\'";
const AFTER: &str = concat!("SELECT ", columns!(), " FROM users WHERE id > $1 ORDER BY id LIMIT $2");

impl Users {
    /// Reads at most `limit` users in the order they were added, after `cursor` (the `next` of the page before), whose
    /// name or email contains `q`. `total` counts all matches. An invalid cursor gives the first page.
    ///
    /// # Errors
    /// The database is unavailable.
    pub async fn page(&self, limit: i64, cursor: Option<&str>, q: Option<&str>) -> Result<Page<User>, StoreError> {
        let after = cursor.filter(|cursor| cursor.parse::<UserId>().is_ok()).unwrap_or_default();
        let pattern = pattern(q.unwrap_or_default());
        // One more row than asked for shows if there is a next page.
        let page = sqlx::query(PAGE).bind(after).bind(&pattern).bind(limit.saturating_add(1));
        let count = sqlx::query_scalar::<_, i64>(COUNT).bind(&pattern);
        let (found, total) = within(STORE, async {
            let mut list = self.pool.list().await?;
            Ok::<_, sqlx::Error>((page.fetch_all(&mut *list).await?, count.fetch_one(&mut *list).await?))
        })
        .await?;
        let limit = usize::try_from(limit).unwrap_or_default();
        let items = found.iter().take(limit).map(rows::user).collect::<Result<Vec<_>, _>>()?;
        let next = items.last().filter(|_| found.len() > limit).map(|user| user.id.to_string());
        Ok(Page { items, total, next })
    }

    /// Reads at most `limit` accounts after `id` ("" for the first), for the export.
    ///
    /// # Errors
    /// The database is unavailable.
    pub async fn accounts_after(&self, id: &str, limit: i64) -> Result<Vec<Account>, StoreError> {
        let query = sqlx::query(AFTER).bind(id).bind(limit);
        let found = within(STORE, query.fetch_all(&self.pool)).await?;
        found.iter().map(rows::account).collect()
    }
}

/// A pattern for text that contains `q`. Names and emails are stored in lower case; none contains NUL, which Postgres
/// refuses, or has 255 characters, and `SQLite` refuses a pattern of 50 000.
fn pattern(q: &str) -> String {
    let mut pattern = String::from("%");
    for c in q.to_lowercase().chars().take(255) {
        match c {
            '%' | '_' | '\\' => pattern.extend(['\\', c]),
            '\0' => pattern.push(' '),
            _ => pattern.push(c),
        }
    }
    pattern + "%"
}
