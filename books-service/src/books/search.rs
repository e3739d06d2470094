use shared_service::database::{Connection, StoreError, within};
use shared_service::{Page, Total};
use sqlx::Row;
use sqlx::any::AnyRow;

use super::conditions::{Conditions, is_indexed};
use super::statements::{REACH, Way, count, first_texts, matches, near, page_statement};
use super::store::{STORE, read};
use super::{Book, Books, Key, Listing, Order, Position};

/// The number of matches at which counting stops.
const MOST_COUNTED: i64 = 10_000;
/// The number of matches in the text index from which the number of all is estimated.
const SAMPLE: i64 = 2_000;
/// The number of books of a span of years at which counting stops. The text index is then searched first, unless one in
/// [`COMMON`] books contains the text.
const LONG_SPAN: i64 = 50_000;
const COMMON: i64 = 10;

/// Many matches are sorted all the same if the next [`REACH`] books along the order do not fill the page, unless they are
/// more than this.
const MOST_SORTED: i64 = 100_000;

/// The matches of a filter: their number, as far as it was counted, and the access path to them.
#[derive(Clone, Copy)]
pub struct Matches {
    count: i64,
    way: Way,
}

impl Books {
    /// Reads the page of `listing` from the database. `known` are the matches of its filter, if no write happened since
    /// they were counted; otherwise this call counts and returns them.
    ///
    /// # Errors
    /// The database is unavailable.
    pub async fn search(
        &self,
        listing: &Listing,
        known: Option<Matches>,
    ) -> Result<(Page<Book>, Option<Matches>), StoreError> {
        let (total, rows, matches) = within(STORE, async {
            let mut reading =
                if listing.has_filter() { self.pool.begin_list().await? } else { self.pool.begin().await? };
            let books = sqlx::query_scalar("SELECT books FROM catalogue").fetch_one(&mut *reading).await?;
            if listing.has_filter() {
                let (rows, matches) = find(&mut reading, listing, known, books).await?;
                Ok((Total::bounded(matches.count, MOST_COUNTED), rows, Some(matches)))
            } else {
                let rows = page_statement(listing, Way::Order, 0, &reading).query().fetch_all(&mut *reading).await?;
                Ok::<_, sqlx::Error>((Total::Exactly(books), rows, None))
            }
        })
        .await?;
        Ok((page(&rows, total, listing)?, matches))
    }
}

impl Matches {
    /// The way to a page of `limit` books. Few matches are sorted; many matches fill a page soon along the order. To sort
    /// a match costs about as much as a step along the index of an order.
    const fn way(self, limit: i64, books: i64) -> Way {
        let Self { count, way } = self;
        if count > MOST_COUNTED || count * count > limit * books { Way::Order } else { way }
    }
}

/// The rows of the page, and the matches.
async fn find(
    reading: &mut Connection,
    listing: &Listing,
    mut known: Option<Matches>,
    books: i64,
) -> Result<(Vec<AnyRow>, Matches), sqlx::Error> {
    if known.is_none() && listing.is_only_words() {
        // The text index alone counts them.
        known = Some(count_matches(reading, listing, Way::Text).await?);
    }
    let way = if let Some(known) = known {
        known.way(listing.limit, books)
    } else {
        first_way(reading, listing, books).await?
    };
    let mut rows = Vec::new();
    if way != Way::Order {
        rows = page_statement(listing, way, MOST_COUNTED, reading).query().fetch_all(&mut *reading).await?;
    }
    let mut counted = match (rows.first(), known) {
        (Some(row), _) => Matches { count: row.try_get("total")?, way },
        (_, Some(known)) => known,
        (_, None) if listing.after.is_none() => Matches { count: 0, way },
        (_, None) => count_matches(reading, listing, way).await?,
    };
    // There are no rows, or they may be incomplete: too many matches to sort, or more than when they were counted.
    if way == Way::Order || counted.count > MOST_COUNTED {
        // Along the order the page fills soon, unless the matches are at its end.
        let may_sort = counted.way != Way::Order && books > REACH;
        let is_far = may_sort && near(listing, reading).number(reading).await? <= listing.limit;
        let way = if is_far { counted.way } else { Way::Order };
        rows = page_statement(listing, way, MOST_SORTED, reading).query().fetch_all(&mut *reading).await?;
        if is_far && rows.first().map_or(Ok(i64::MAX), |row| row.try_get("total"))? > MOST_SORTED {
            // The next page of this filter is not sorted in vain.
            counted.way = Way::Order;
            rows = page_statement(listing, Way::Order, 0, reading).query().fetch_all(reading).await?;
        }
    }
    Ok((rows, Matches { count: known.unwrap_or(counted).count, way: counted.way }))
}

async fn count_matches(reading: &mut Connection, listing: &Listing, way: Way) -> Result<Matches, sqlx::Error> {
    let (from, conditions) = matches(listing, way, false, reading);
    Ok(Matches { count: count(from, conditions, MOST_COUNTED).number(reading).await?, way })
}

/// The way, through the text index or the books, that visits fewer books.
async fn first_way(reading: &mut Connection, listing: &Listing, books: i64) -> Result<Way, sqlx::Error> {
    if listing.words.is_empty() && listing.fields().all(|(_, part)| !is_indexed(part)) {
        return Ok(Way::Books);
    }
    if !listing.has_years() {
        return Ok(Way::Text);
    }
    let (mut text, mut years) = (Conditions::default(), Conditions::default());
    text.in_index(listing, reading);
    years.years(listing, "year");
    let texts = first_texts(text.clone(), SAMPLE).query().fetch_one(&mut *reading).await?;
    let (found, last): (i64, Option<i64>) = (texts.try_get(0)?, texts.try_get(1)?);
    if found < SAMPLE {
        return Ok(Way::Text);
    }
    // Books are numbered from 1, and those without the text are as frequent after the sample as in it.
    let texts = last.map_or(found, |last| found * books / last.max(found));
    let years = count("books", years, LONG_SPAN).number(reading).await?;
    if texts < years || years > LONG_SPAN && texts < books / COMMON {
        return Ok(Way::Text);
    }
    // The first books may have the text more often than the others.
    let found = first_texts(text, MOST_COUNTED + 1).query().fetch_one(reading).await?.try_get::<i64, _>(0)?;
    Ok(if found <= MOST_COUNTED { Way::Text } else { Way::Books })
}

/// The page of `rows`. The query selects one row more than the limit; that row proves that there is a next page.
fn page(rows: &[AnyRow], total: Total, listing: &Listing) -> Result<Page<Book>, StoreError> {
    let limit = usize::try_from(listing.limit).unwrap_or(usize::MAX);
    let items = rows.iter().take(limit).map(read).collect::<Result<_, _>>()?;
    let next =
        if rows.len() > limit { Some(position(&rows[limit - 1], listing.order)?.cursor(listing.order)) } else { None };
    Ok(Page { items, total, next })
}

fn position(row: &AnyRow, order: Order) -> Result<Position, StoreError> {
    let key = if order.by.is_text() { Key::Text(row.try_get(8)?) } else { Key::Number(row.try_get(8)?) };
    Ok(Position { key, id: row.try_get(0)? })
}
