use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD as BASE64;
use strum::{Display, EnumString, VariantNames};

/// The maximum and default number of books per page.
pub const LIMIT: i64 = 1000;

/// The maximum size of the key and id in a cursor, in bytes; more than any book's.
const CURSOR_BYTES: usize = 4 << 10;

/// One page of one list. Text is folded (see [`super::fold`]).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Listing {
    /// Unique words without white space; each must occur in author, title, country or language.
    pub words: BTreeSet<String>,
    /// Text that must occur in the author.
    pub author: Option<String>,
    /// Text that must occur in the title.
    pub title: Option<String>,
    /// Text that must occur in the country.
    pub country: Option<String>,
    /// Text that must occur in the language.
    pub language: Option<String>,
    /// The first year of publication.
    pub year_from: Option<i64>,
    /// The last year of publication.
    pub year_to: Option<i64>,
    /// The order.
    pub order: Order,
    /// The most books on the page, 1 to [`LIMIT`].
    pub limit: i64,
    /// The position after which the page begins; `None` for the first page.
    pub after: Option<Position>,
}

/// A total order of books: by one property, then by id. Written `year`, or `-year` for descending.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Order {
    /// The property.
    pub by: Property,
    /// True if the greatest comes first.
    pub descending: bool,
}

/// The property that a list is sorted by. Text sorts as the database collates its folded form.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Display, EnumString, VariantNames)]
#[strum(serialize_all = "lowercase")]
#[expect(missing_docs, reason = "the names of a book's properties")]
pub enum Property {
    /// The order in which the books came into the catalogue.
    #[default]
    Added,
    Author,
    Country,
    Language,
    Pages,
    Title,
    Year,
}

/// The position of a book in an [`Order`]; the book itself may be deleted.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Position {
    /// The property that the order compares.
    pub key: Key,
    /// The book's id.
    pub id: String,
}

/// A property in its comparable form.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Key {
    /// Folded text.
    Text(String),
    /// A number.
    Number(i64),
}

impl Listing {
    /// True for the first page of all books in the default order.
    pub(super) fn is_first(&self) -> bool {
        !self.has_filter() && self.order == Order::default() && self.limit == LIMIT && self.after.is_none()
    }

    /// True if a filter restricts the list.
    #[must_use]
    pub fn has_filter(&self) -> bool {
        !self.words.is_empty() || !self.is_only_words()
    }

    /// The filter alone: equal for all pages and orders of a list.
    pub(super) fn filter(&self) -> Self {
        Self { order: Order::default(), limit: 0, after: None, ..self.clone() }
    }

    /// True if words are the only filter, or there is no filter.
    pub(super) fn is_only_words(&self) -> bool {
        self.fields().next().is_none() && !self.has_years()
    }

    pub(super) const fn has_years(&self) -> bool {
        self.year_from.is_some() || self.year_to.is_some()
    }

    /// The texts that must occur in single fields.
    pub(super) fn fields(&self) -> impl Iterator<Item = (Property, &String)> {
        let fields = [
            (Property::Author, &self.author),
            (Property::Title, &self.title),
            (Property::Country, &self.country),
            (Property::Language, &self.language),
        ];
        fields.into_iter().filter_map(|(property, part)| Some((property, part.as_ref()?)))
    }

    /// The size of the listing's texts in bytes.
    pub(super) fn bytes(&self) -> usize {
        let after = self.after.iter().map(|Position { key, id }| match key {
            Key::Text(text) => id.len() + text.len(),
            Key::Number(_) => id.len(),
        });
        self.words.iter().chain(self.fields().map(|(_, part)| part)).map(String::len).chain(after).sum()
    }
}

impl Property {
    /// True if the property compares as text.
    pub(super) const fn is_text(self) -> bool {
        matches!(self, Self::Author | Self::Country | Self::Language | Self::Title)
    }
}

impl FromStr for Order {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        let (descending, name) = text.strip_prefix('-').map_or((false, text), |name| (true, name));
        let why = "must be added, author, country, language, pages, title or year, with - before it for descending";
        Ok(Self { by: name.parse().map_err(|_| why)?, descending })
    }
}

impl fmt::Display for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", if self.descending { "-" } else { "" }, self.by)
    }
}

impl Position {
    /// This position as an opaque cursor for a URL, valid for `order` only.
    pub(super) fn cursor(&self, order: Order) -> String {
        let Self { key, id } = self;
        BASE64.encode(match key {
            Key::Text(text) => format!("{order}\n{id}\n{text}"),
            Key::Number(number) => format!("{order}\n{id}\n{number}"),
        })
    }

    /// Parses a cursor from [`Position::cursor`] for the same `order`; `None` for any other text.
    pub(crate) fn parse(cursor: &str, order: Order) -> Option<Self> {
        let text = String::from_utf8(BASE64.decode(cursor).ok()?).ok()?;
        let (named, rest) = text.split_once('\n')?;
        let (id, key) = rest.split_once('\n')?;
        if named != order.to_string() || text.contains('\0') || id.len() + key.len() > CURSOR_BYTES {
            return None;
        }
        let key = if order.by.is_text() { Key::Text(key.to_owned()) } else { Key::Number(key.parse().ok()?) };
        Some(Self { key, id: id.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_is_read_as_it_is_written() {
        for text in ["added", "-added", "author", "country", "language", "pages", "title", "-title", "year"] {
            assert_eq!(text.parse::<Order>().map(|order| order.to_string()), Ok(text.to_owned()));
        }
        for text in ["", "-", "--title", "Title", "+title", "id", "title,year", " title"] {
            let refused = text.parse::<Order>();
            assert!(refused.is_err_and(|why| why.starts_with("must be added, author, ")), "{text:?}");
        }
    }

    #[test]
    fn a_cursor_leads_back_to_its_position_in_its_own_order_only() {
        let title = Order { by: Property::Title, descending: true };
        let year = Order { by: Property::Year, descending: false };
        for (order, key) in [(title, Key::Text("ünï\u{2028}\u{1f4da}".to_owned())), (year, Key::Number(-800))] {
            let position = Position { key, id: "0199".to_owned() };
            let cursor = position.cursor(order);
            assert_eq!(Position::parse(&cursor, order), Some(position));
            let backwards = Order { descending: !order.descending, ..order };
            assert_eq!(Position::parse(&cursor, backwards), None);
        }
    }

    #[test]
    fn made_up_cursor_is_refused() {
        let order = Order { by: Property::Year, descending: false };
        for (cursor, why) in [
            (String::new(), "empty"),
            ("?".to_owned(), "not base64url"),
            (BASE64.encode([0xff]), "not UTF-8"),
            (BASE64.encode("year"), "no position"),
            (BASE64.encode("year\nid"), "no key"),
            (BASE64.encode("year\nid\nmany"), "no number"),
            (BASE64.encode("year\ni\0d\n1"), "NUL, which Postgres refuses"),
            (BASE64.encode("pages\nid\n1"), "another order"),
            (BASE64.encode(format!("year\n{}\n1", "i".repeat(4096))), "longer than any"),
        ] {
            assert_eq!(Position::parse(&cursor, order), None, "{why}");
        }
    }
}
