use std::collections::BTreeSet;

use serde::de::Error;
use serde::{Deserialize, Deserializer};
use shared_claims::{ErrorCode, Problem};
use shared_service::http::request::{Integer, Parsed};
use strum::VariantNames;
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{IntoParams, PartialSchema, ToSchema};

use crate::books::{BadText, LIMIT, Listing, Order, Position, Property, Year, clean, fold};

/// The longest search text, in characters.
const TEXT_LENGTH: usize = 200;
/// The maximum number of search words.
const WORDS: usize = 8;

/// The query of a list.
#[derive(Default, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
pub struct ListBooks {
    /// The order; with `-` the greatest first.
    #[param(value_type = Option<Order>, inline)]
    sort: Option<Parsed<Order>>,
    /// The beginning of the page, as `Link` of the page before gives it.
    cursor: Option<String>,
    /// At most 8 words, each of which occurs in author, title, country or language; one of one or two letters at the
    /// beginning of a word there.
    #[param(value_type = Option<String>, max_length = 200)]
    q: Option<Words>,
    /// Occurs in the author.
    #[param(value_type = Option<String>, max_length = 200)]
    author: Option<Folded>,
    /// Occurs in the title.
    #[param(value_type = Option<String>, max_length = 200)]
    title: Option<Folded>,
    /// Occurs in the country.
    #[param(value_type = Option<String>, max_length = 200)]
    country: Option<Folded>,
    /// Occurs in the language.
    #[param(value_type = Option<String>, max_length = 200)]
    language: Option<Folded>,
    /// The first year of publication.
    #[param(value_type = Option<i64>, minimum = -10000, maximum = 9999)]
    year_from: Option<Year>,
    /// The last year of publication.
    #[param(value_type = Option<i64>, minimum = -10000, maximum = 9999)]
    year_to: Option<Year>,
    /// The most books on the page.
    #[param(value_type = Option<i64>, minimum = 1, maximum = 1000)]
    limit: Option<Integer<1, LIMIT>>,
}

/// A folded search text; `None` if the text is blank, as forms send it, or consists of accents.
struct Folded(Option<String>);

/// The search words, sorted, so that equal searches are equal.
struct Words(BTreeSet<String>);

impl ListBooks {
    /// The page that the query describes.
    ///
    /// # Errors
    /// 422: the years are in the wrong order, or the cursor belongs to another order.
    pub fn listing(self) -> Result<Listing, Problem> {
        let order = self.sort.map(|Parsed(order)| order).unwrap_or_default();
        let after = self.cursor.map(|cursor| {
            Position::parse(&cursor, order)
                .ok_or_else(|| refused("cursor", "must be one that a page in the same order gave in its Link"))
        });
        let text = |folded: Option<Folded>| folded.and_then(|Folded(text)| text);
        let listing = Listing {
            words: self.q.map(|Words(words)| words).unwrap_or_default(),
            author: text(self.author),
            title: text(self.title),
            country: text(self.country),
            language: text(self.language),
            year_from: self.year_from.map(|year| year.0),
            year_to: self.year_to.map(|year| year.0),
            order,
            limit: self.limit.map_or(LIMIT, |limit| limit.0),
            after: after.transpose()?,
        };
        match (listing.year_from, listing.year_to) {
            (Some(from), Some(to)) if from > to => Err(refused("yearTo", "must not be before yearFrom")),
            _ => Ok(listing),
        }
    }
}

impl PartialSchema for Order {
    fn schema() -> RefOr<Schema> {
        let names = Property::VARIANTS.iter().flat_map(|name| [(*name).to_owned(), format!("-{name}")]);
        ObjectBuilder::new().schema_type(Type::String).enum_values(Some(names)).into()
    }
}

impl ToSchema for Order {}

fn refused(field: &str, message: &str) -> Problem {
    Problem::new(ErrorCode::ValidationFailed).error(field, message)
}

impl<'de> Deserialize<'de> for Folded {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match clean(&String::deserialize(deserializer)?, TEXT_LENGTH) {
            Err(BadText::Blank) => Ok(Self(None)),
            Err(error) => Err(D::Error::custom(error)),
            Ok(text) => Ok(Self(Some(fold(&text).trim().to_owned()).filter(|text| !text.is_empty()))),
        }
    }
}

impl<'de> Deserialize<'de> for Words {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Folded::deserialize(deserializer)?.0.unwrap_or_default();
        if text.split_whitespace().count() > WORDS {
            return Err(D::Error::custom(format_args!("must have at most {WORDS} words; search for fewer")));
        }
        Ok(Self(text.split_whitespace().map(str::to_owned).collect()))
    }
}
