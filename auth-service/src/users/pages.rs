use shared_service::database::{Connection, StoreError, within};
use shared_service::{Page, Total};
use sqlx::any::{AnyArguments, AnyRow};
use sqlx::query::Query;
use sqlx::{Any, AssertSqlSafe, Row};
use unicode_normalization::UnicodeNormalization;

use super::rows::{self, columns};
use super::{Account, STORE, User, UserId, Users};

/// The number of matches of a search at which counting stops.
const MOST_COUNTED: i64 = 1_000;

/// `$1` is the id to start after, `$2` the maximum number of users. Each row has the number of all users.
const PAGE: &str = concat!(
    "SELECT ",
    columns!(),
    ", (SELECT CAST(sum(users) AS BIGINT) FROM user_counts) AS total FROM users WHERE id > $1 ORDER BY id LIMIT $2"
);
const NUMBER: &str = "SELECT CAST(sum(users) AS BIGINT) FROM user_counts";
const COLUMNS: &str = concat!("SELECT ", columns!());
/// Users whose name or email contains a text.
const WALK: &str = "FROM users WHERE (username LIKE $1 ESCAPE '\\' OR email LIKE $1 ESCAPE '\\')";
/// The same, found through the trigram index, which has no ESCAPE. `SQLite` keeps the join order of a CROSS JOIN.
const INDEX: &str = "FROM user_text CROSS JOIN users WHERE user_text.rowid = users.number \
     AND (username LIKE $1 ESCAPE '\\' OR email LIKE $1 ESCAPE '\\') AND text LIKE $2";
/// The minimum number of characters that the index can find.
const TRIGRAM: usize = 3;

impl Users {
    /// Reads at most `limit` users in the order they were added, after `cursor` (the `next` of the page before), whose
    /// name or email contains `q`. An invalid cursor gives the first page.
    ///
    /// # Errors
    /// The database is unavailable.
    pub async fn page(&self, limit: i64, cursor: Option<&str>, q: Option<&str>) -> Result<Page<User>, StoreError> {
        let after = cursor.filter(|cursor| cursor.parse::<UserId>().is_ok()).unwrap_or_default();
        // One more row than asked for shows if there is a next page.
        let most = limit.saturating_add(1);
        let (total, found) = within(STORE, async {
            if let Some(q) = q.filter(|q| !q.is_empty()) {
                return search(&mut *self.pool.begin_list().await?, q, after, most).await;
            }
            let found = sqlx::query(PAGE).bind(after).bind(most).fetch_all(&self.pool).await?;
            let total = match found.first() {
                Some(row) => row.try_get("total")?,
                None => sqlx::query_scalar(NUMBER).fetch_one(&self.pool).await?,
            };
            Ok((Total::Exactly(total), found))
        })
        .await?;
        let limit = usize::try_from(limit).unwrap_or_default();
        let items = found.iter().take(limit).map(rows::user).collect::<Result<Vec<_>, _>>()?;
        let next = items.last().filter(|_| found.len() > limit).map(|user| user.id.to_string());
        Ok(Page { items, total, next })
    }

    /// Reads at most `limit` accounts after `id` ("" for the first), for the export.
    pub(crate) async fn accounts_after(&self, id: &str, limit: i64) -> Result<Vec<Account>, StoreError> {
        let query = sqlx::query(PAGE).bind(id).bind(limit);
        let found = within(STORE, query.fetch_all(&self.pool)).await?;
        found.iter().map(rows::account).collect()
    }
}

/// Counts the matches, and reads a page of them. The index is faster for few matches, a scan by id for many.
async fn search(
    reading: &mut Connection,
    q: &str,
    after: &str,
    most: i64,
) -> Result<(Total, Vec<AnyRow>), sqlx::Error> {
    let patterns = patterns(q);
    let is_short = patterns[1].trim_matches('%').chars().count() < TRIGRAM;
    let (mut from, mut used) = if is_short { (WALK, 1) } else { (INDEX, 2) };
    let count = format!("SELECT count(*) FROM (SELECT 1 {from} LIMIT {}) AS matches", MOST_COUNTED + 1);
    let found = bind(count, &patterns[..used]).fetch_one(&mut *reading).await?.try_get(0)?;
    if found > MOST_COUNTED {
        (from, used) = (WALK, 1);
    }
    let page = format!("{COLUMNS} {from} AND id > ${} ORDER BY id LIMIT ${}", used + 1, used + 2);
    let rows = bind(page, &patterns[..used]).bind(after.to_owned()).bind(most).fetch_all(reading).await?;
    Ok((Total::bounded(found, MOST_COUNTED), rows))
}

fn bind(sql: String, patterns: &[String]) -> Query<'static, Any, AnyArguments> {
    patterns.iter().fold(sqlx::query(AssertSqlSafe(sql)), |query, pattern| query.bind(pattern.clone()))
}

/// The exact pattern for text that contains `q`, and a wider one that needs no ESCAPE. Stored names and emails are in
/// lower case and NFC, contain no NUL and have fewer than 255 characters. So no match is lost by replacing NUL, which
/// Postgres refuses, and by cutting `q`: `SQLite` refuses a pattern of 50 000.
fn patterns(q: &str) -> [String; 2] {
    let q: String = q.to_lowercase().nfc().map(|c| if c == '\0' { ' ' } else { c }).take(255).collect();
    let exact = q.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_");
    [format!("%{exact}%"), format!("%{}%", q.replace(['%', '_', '\\'], "_"))]
}
