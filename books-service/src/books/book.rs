use std::fmt;
use std::ops::RangeInclusive;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The longest title, in characters.
pub const TITLE_LENGTH: usize = 500;
/// The longest name of an author, in characters.
pub const AUTHOR_LENGTH: usize = 200;
/// The longest name of a country or a language, in characters.
pub const NAME_LENGTH: usize = 100;
/// How many pages a book may have.
pub const PAGES: RangeInclusive<i64> = 1..=1_000_000;
/// The years of publication that are believed; a negative one is before the common era.
pub const YEARS: RangeInclusive<i64> = -10_000..=9999;

/// A book as the catalogue holds it. Its JSON is the book of the HTTP contract.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Book {
    /// Never changes, never comes again.
    pub id: BookId,
    /// What the librarian wrote.
    #[serde(flatten)]
    pub details: Details,
    /// 1 for a new book, and one more with each change.
    #[serde(skip)]
    pub version: i64,
}

/// A `UUIDv7` in its canonical spelling (RFC 9562 section 4); any other text names no book.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct BookId(String);

impl BookId {
    /// An id that no other book has.
    #[must_use]
    pub fn fresh() -> Self {
        Self(Uuid::now_v7().to_string())
    }
}

impl fmt::Display for BookId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The text is no UUID as this service writes them.
#[derive(Debug, thiserror::Error)]
#[error("is not the id of a book: a UUID in lower case, or leave it out to get a new one")]
pub struct NoBookId;

impl TryFrom<String> for BookId {
    type Error = NoBookId;

    fn try_from(text: String) -> Result<Self, NoBookId> {
        let canonical = Uuid::try_parse(&text).is_ok_and(|id| id.to_string() == text);
        if canonical { Ok(Self(text)) } else { Err(NoBookId) }
    }
}

/// What a librarian writes of a book. Text is trimmed and not blank.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Details {
    /// Who wrote it, at most [`AUTHOR_LENGTH`] characters.
    pub author: String,
    /// Where, at most [`NAME_LENGTH`] characters.
    pub country: String,
    /// In which language, at most [`NAME_LENGTH`] characters.
    pub language: String,
    /// How many pages it has, within [`PAGES`].
    pub pages: i64,
    /// Its title, at most [`TITLE_LENGTH`] characters.
    pub title: String,
    /// When it was published, within [`YEARS`].
    pub year: i64,
}

/// New values for some of a book's details; `None` leaves one as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields are those of Details")]
pub struct Edit {
    pub author: Option<String>,
    pub country: Option<String>,
    pub language: Option<String>,
    pub pages: Option<i64>,
    pub title: Option<String>,
    pub year: Option<i64>,
}

impl Edit {
    /// The details after this edit of `old`.
    #[must_use]
    pub fn apply(self, old: Details) -> Details {
        Details {
            author: self.author.unwrap_or(old.author),
            country: self.country.unwrap_or(old.country),
            language: self.language.unwrap_or(old.language),
            pages: self.pages.unwrap_or(old.pages),
            title: self.title.unwrap_or(old.title),
            year: self.year.unwrap_or(old.year),
        }
    }
}

impl From<Details> for Edit {
    /// The edit that replaces everything.
    fn from(new: Details) -> Self {
        Self {
            author: Some(new.author),
            country: Some(new.country),
            language: Some(new.language),
            pages: Some(new.pages),
            title: Some(new.title),
            year: Some(new.year),
        }
    }
}
