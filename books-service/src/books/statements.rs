use shared_service::database::Connection;
use sqlx::any::AnyArguments;
use sqlx::query::Query;
use sqlx::{Any, AssertSqlSafe, Row};

use super::conditions::{Conditions, column};
use super::{Key, Listing, Property};

/// The number of books along the order that [`near`] reads.
pub(super) const REACH: i64 = 20_000;

/// The access path to the matches of a listing.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// Through the text index; the matches are then sorted.
    Text,
    /// Through the index of the years, or all books; the matches are then sorted.
    Books,
    /// Along the index of the listing's order, until the page is full.
    Order,
}

/// A statement, and the values of its arguments.
pub(super) struct Statement(String, Vec<Key>);

impl Statement {
    pub(super) async fn number(self, reading: &mut Connection) -> Result<i64, sqlx::Error> {
        self.query().fetch_one(reading).await?.try_get(0)
    }

    pub(super) fn query(self) -> Query<'static, Any, AnyArguments> {
        self.1.into_iter().fold(sqlx::query(AssertSqlSafe(self.0)), |query, argument| match argument {
            Key::Text(text) => query.bind(text),
            Key::Number(number) => query.bind(number),
        })
    }
}

/// Counts the matches, but at most one more than `most`.
pub(super) fn count(from: &str, mut conditions: Conditions, most: i64) -> Statement {
    let limit = conditions.put(Key::Number(most + 1));
    let (condition, arguments) = conditions.finish();
    Statement(
        format!("SELECT COUNT(*) FROM (SELECT 1 FROM {from} WHERE {condition} LIMIT {limit}) AS matches"),
        arguments,
    )
}

/// Counts the first matches in the text index, at most `most`, and selects the greatest `number` of their books.
pub(super) fn first_texts(mut conditions: Conditions, most: i64) -> Statement {
    let limit = conditions.put(Key::Number(most));
    let (condition, arguments) = conditions.finish();
    let first = format!("SELECT rowid AS number FROM book_text WHERE {condition} LIMIT {limit}");
    Statement(format!("SELECT COUNT(*), MAX(number) FROM ({first}) AS matches"), arguments)
}

/// Counts the matches among the next [`REACH`] books along the order, but at most one more than the page shows.
pub(super) fn near(listing: &Listing, index: &Connection) -> Statement {
    let (from, mut conditions) = matches(listing, Way::Order, true, index);
    let filter = conditions.take();
    let (key, direction) = (column(listing.order.by), direction(listing));
    if listing.order.by == Property::Year {
        conditions.years(listing, "year");
    }
    conditions.after(listing, &format!("{key}, id"));
    let limit = conditions.put(Key::Number(listing.limit + 1));
    let (condition, arguments) = conditions.finish();
    let next =
        format!("SELECT * FROM {from} WHERE {condition} ORDER BY {key} {direction}, id {direction} LIMIT {REACH}");
    let sql = format!("SELECT COUNT(*) FROM (SELECT 1 FROM ({next}) AS books WHERE {filter} LIMIT {limit}) AS matches");
    Statement(sql, arguments)
}

/// The statement of a page: eight columns of each book, and its sort key. If the matches are sorted, the column `total`
/// is their number, but at most one more than `most`; the page is then incomplete.
pub(super) fn page_statement(listing: &Listing, way: Way, most: i64, index: &Connection) -> Statement {
    let (from, mut conditions) = matches(listing, way, true, index);
    let (key, direction) = (column(listing.order.by), direction(listing));
    let columns = "books.id, author, country, language, pages, title, year, version";
    if way == Way::Order {
        conditions.after(listing, &format!("{key}, books.id"));
        let limit = conditions.put(Key::Number(listing.limit + 1));
        let (condition, arguments) = conditions.finish();
        let sql = format!(
            "SELECT {columns}, {key} AS sort_key FROM {from} WHERE {condition} \
             ORDER BY {key} {direction}, books.id {direction} LIMIT {limit}"
        );
        return Statement(sql, arguments);
    }
    let most = conditions.put(Key::Number(most + 1));
    let matches = conditions.take();
    conditions.after(listing, "sort_key, id");
    let limit = conditions.put(Key::Number(listing.limit + 1));
    let (condition, arguments) = conditions.finish();
    // Materialized, so that the database sorts the matches instead of searching for them along the order.
    let sql = format!(
        "WITH matches AS MATERIALIZED ( \
             SELECT number, books.id, {key} AS sort_key FROM {from} WHERE {matches} LIMIT {most}), \
         page AS (SELECT * FROM matches WHERE {condition} ORDER BY sort_key {direction}, id {direction} LIMIT {limit}) \
         SELECT {columns}, sort_key, (SELECT COUNT(*) FROM matches) AS total \
         FROM page CROSS JOIN books WHERE books.number = page.number \
         ORDER BY sort_key {direction}, page.id {direction}"
    );
    Statement(sql, arguments)
}

/// The tables and conditions of all matches, including the columns of `books` if `needs_books`.
pub(super) fn matches(
    listing: &Listing,
    way: Way,
    needs_books: bool,
    index: &Connection,
) -> (&'static str, Conditions) {
    let mut conditions = Conditions::default();
    let from = if way == Way::Text {
        conditions.in_index(listing, index);
        if !needs_books && listing.is_only_words() {
            return ("book_text", conditions);
        }
        "books_with_text AS books"
    } else {
        conditions.words(listing);
        "books"
    };
    let by_years = way != Way::Order || listing.order.by == Property::Year;
    conditions.years(listing, if by_years { "year" } else { "+year" });
    conditions.fields(listing);
    (from, conditions)
}

const fn direction(listing: &Listing) -> &'static str {
    if listing.order.descending { "DESC" } else { "ASC" }
}
