use std::collections::BTreeSet;

use shared_claims::Problem;
use shared_service::Params;

use crate::books::{BadText, LIMIT, Listing, Position, YEARS, clean, fold};

/// The longest text to search for, in characters.
pub const TEXT_LENGTH: usize = 200;
/// The most words to search for: the database compares each of them with every book.
pub const WORDS: usize = 8;

/// The page that a query asks for.
///
/// # Errors
/// 422, with every violation.
pub fn listing(mut params: Params) -> Result<Listing, Problem> {
    let order = parsed(&mut params, "sort", str::parse).unwrap_or_default();
    let after = parsed(&mut params, "cursor", |cursor| {
        Position::parse(cursor, order).ok_or("must be one that a page in the same order gave in its Link")
    });
    let listing = Listing {
        words: words(&mut params),
        author: text(&mut params, "author"),
        title: text(&mut params, "title"),
        country: text(&mut params, "country"),
        language: text(&mut params, "language"),
        year_from: params.optional_integer("yearFrom", YEARS),
        year_to: params.optional_integer("yearTo", YEARS),
        order,
        limit: params.optional_integer("limit", 1..=LIMIT).unwrap_or(LIMIT),
        after,
    };
    if matches!((listing.year_from, listing.year_to), (Some(from), Some(to)) if from > to) {
        params.wrong("yearTo", "must not be before yearFrom");
    }
    params.finish()?;
    Ok(listing)
}

/// The words to search for, in the order that makes equal searches equal.
fn words(params: &mut Params) -> BTreeSet<String> {
    let text = text(params, "q").unwrap_or_default();
    if text.split_whitespace().count() > WORDS {
        params.wrong("q", format!("must have at most {WORDS} words; search for fewer"));
    }
    text.split_whitespace().map(str::to_owned).collect()
}

/// A text to search for, folded; a blank one, as a form sends it, is none, and so is one of accents alone.
fn text(params: &mut Params, name: &'static str) -> Option<String> {
    let text = parsed(params, name, |text| match clean(text, TEXT_LENGTH) {
        Err(BadText::Blank) => Ok(String::new()),
        cleaned => cleaned.map(|text| fold(&text).trim().to_owned()),
    })?;
    (!text.is_empty()).then_some(text)
}

/// What `parse` makes of the parameter `name`, if it is there.
fn parsed<T, E: ToString>(
    params: &mut Params,
    name: &'static str,
    parse: impl FnOnce(&str) -> Result<T, E>,
) -> Option<T> {
    let mut value = None;
    params.optional_text(name, |text| {
        value = Some(parse(text).map_err(|error| error.to_string())?);
        Ok(())
    });
    value
}
