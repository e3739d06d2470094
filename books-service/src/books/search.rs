use shared_service::Page;
use shared_service::database::{StoreError, within};
use sqlx::any::AnyRow;
use sqlx::{AssertSqlSafe, Row};

use super::store::{STORE, read};
use super::{Book, Books, Key, Listing, Order, Position, Property};

impl Books {
    /// Reads the page of `listing` from the database.
    ///
    /// # Errors
    /// The database is unavailable.
    pub async fn search(&self, listing: &Listing) -> Result<Page<Book>, StoreError> {
        let mut arguments = Arguments(Vec::new());
        let sql = statement(listing, &mut arguments);
        let query = arguments.0.into_iter().fold(sqlx::query(AssertSqlSafe(sql)), |query, argument| match argument {
            Key::Text(text) => query.bind(text),
            Key::Number(number) => query.bind(number),
        });
        let rows: Vec<AnyRow> = within(STORE, async { query.fetch_all(&mut *self.pool.list().await?).await }).await?;
        page(&rows, listing)
    }
}

/// The values of `$1`, `$2`, …. Text from clients goes here, never into a statement.
struct Arguments(Vec<Key>);

impl Arguments {
    fn put(&mut self, argument: Key) -> String {
        self.0.push(argument);
        format!("${}", self.0.len())
    }

    /// Adds a `LIKE` pattern for text that contains `text`, whose own wildcards are escaped.
    fn containing(&mut self, text: &str) -> String {
        let escaped = text.replace('!', "!!").replace('%', "!%").replace('_', "!_");
        format!("LIKE {} ESCAPE '!'", self.put(Key::Text(format!("%{escaped}%"))))
    }
}

/// The condition that each book meets.
const ALL: &str = "1 = 1";

/// Eight columns of the book, its sort key, the total. The outer join keeps a row for the total of an empty page.
fn statement(listing: &Listing, arguments: &mut Arguments) -> String {
    let filter = filter(listing, arguments);
    let total = if filter == ALL {
        "SELECT books AS total FROM catalogue".to_owned()
    } else {
        format!("SELECT COUNT(*) AS total FROM books WHERE {filter}")
    };
    let after = after(listing, arguments);
    let limit = arguments.put(Key::Number(listing.limit + 1));
    let (key, direction) = (column(listing.order.by), direction(listing.order));
    format!(
        "SELECT b.id, b.author, b.country, b.language, b.pages, b.title, b.year, b.version, b.sort_key, c.total \
         FROM ({total}) AS c \
         LEFT JOIN (SELECT books.*, {key} AS sort_key FROM books WHERE {filter} AND {after} \
         ORDER BY {key} {direction}, id {direction} LIMIT {limit}) AS b ON 1 = 1 \
         ORDER BY b.sort_key {direction}, b.id {direction}"
    )
}

fn filter(listing: &Listing, arguments: &mut Arguments) -> String {
    let mut conditions = vec![ALL.to_owned()];
    for word in &listing.words {
        // Words contain no white space, so none matches across two columns.
        let everywhere = "(author_key || ' ' || title_key || ' ' || country_key || ' ' || language_key)";
        conditions.push(format!("{everywhere} {}", arguments.containing(word)));
    }
    let Listing { author, title, country, language, .. } = listing;
    let texts = [("author_key", author), ("title_key", title), ("country_key", country), ("language_key", language)];
    for (column, text) in texts {
        conditions.extend(text.iter().map(|text| format!("{column} {}", arguments.containing(text))));
    }
    for (comparison, year) in [("year >=", listing.year_from), ("year <=", listing.year_to)] {
        conditions.extend(year.map(|year| format!("{comparison} {}", arguments.put(Key::Number(year)))));
    }
    conditions.join(" AND ")
}

/// The condition for books after the listing's position, in a form that the order's index answers.
fn after(listing: &Listing, arguments: &mut Arguments) -> String {
    let Some(Position { key, id }) = &listing.after else { return ALL.to_owned() };
    let comparison = if listing.order.descending { '<' } else { '>' };
    let (key, id) = (arguments.put(key.clone()), arguments.put(Key::Text(id.clone())));
    format!("({}, id) {comparison} ({key}, {id})", column(listing.order.by))
}

const fn column(property: Property) -> &'static str {
    match property {
        Property::Added => "added",
        Property::Author => "author_key",
        Property::Country => "country_key",
        Property::Language => "language_key",
        Property::Pages => "pages",
        Property::Title => "title_key",
        Property::Year => "year",
    }
}

const fn direction(order: Order) -> &'static str {
    if order.descending { "DESC" } else { "ASC" }
}

/// The query asks for one row more than the limit, to find out if there are more.
fn page(rows: &[AnyRow], listing: &Listing) -> Result<Page<Book>, StoreError> {
    let total = rows.first().map_or(Ok(0), |row| row.try_get(9))?;
    let limit = usize::try_from(listing.limit).unwrap_or(usize::MAX);
    let items = rows.iter().take(limit).filter_map(|row| book(row).transpose()).collect::<Result<_, _>>()?;
    let next =
        if rows.len() > limit { Some(position(&rows[limit - 1], listing.order)?.cursor(listing.order)) } else { None };
    Ok(Page { items, total, next })
}

/// The book of a row, unless it is the row that stands for an empty page.
fn book(row: &AnyRow) -> Result<Option<Book>, StoreError> {
    let id: Option<String> = row.try_get(0)?;
    id.map(|_| read(row)).transpose()
}

fn position(row: &AnyRow, order: Order) -> Result<Position, StoreError> {
    let key = if order.by.is_text() { Key::Text(row.try_get(8)?) } else { Key::Number(row.try_get(8)?) };
    Ok(Position { key, id: row.try_get(0)? })
}
