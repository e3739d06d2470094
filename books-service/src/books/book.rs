use std::fmt;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD as BASE64;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use shared_service::http::request::{Integer, not_null};
use utoipa::ToSchema;
use uuid::Uuid;

use super::Text;

/// A book of the catalogue. Serializes to the book of the HTTP contract.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Book {
    /// Immutable; never reused.
    #[schema(value_type = String, format = "uuid")]
    pub id: BookId,
    /// The details, which admins write.
    #[serde(flatten)]
    pub details: Details,
    /// 1 for a new book; each change increments it.
    #[serde(skip)]
    pub version: i64,
}

impl Book {
    /// The entity tag, of the version and the details: a deleted book that an import restores reaches a version again,
    /// perhaps with other details.
    pub(crate) fn tag(&self) -> String {
        let Details { author, country, language, pages, title, year } = &self.details;
        let texts = [&**author, country, language, title].join("\n");
        let hash = Sha256::digest(format!("{texts}\n{}\n{}", pages.0, year.0));
        format!("{}-{}", self.version, BASE64.encode(&hash[..6]))
    }
}

/// A `UUIDv7` in its canonical spelling (RFC 9562 section 4); no other text is the id of a book.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct BookId(String);

impl BookId {
    /// A new unique id.
    pub(super) fn fresh() -> Self {
        Self(Uuid::now_v7().to_string())
    }

    /// The UUID in binary.
    pub(super) fn bytes(&self) -> [u8; 16] {
        Uuid::try_parse(&self.0).unwrap_or_default().into_bytes()
    }
}

impl fmt::Display for BookId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for BookId {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, &'static str> {
        let is_canonical = Uuid::try_parse(&text).is_ok_and(|id| id.to_string() == text);
        let why = "is not the id of a book: a UUID in lower case, or leave it out to get a new one";
        if is_canonical { Ok(Self(text)) } else { Err(why) }
    }
}

/// The name of an author.
pub type Author = Text<200>;
/// The name of a country or a language.
pub type Name = Text<100>;
/// The number of pages.
pub type Pages = Integer<1, 1_000_000>;
/// A title.
pub type Title = Text<500>;
/// A year of publication; before the common era it is negative.
pub type Year = Integer<-10_000, 9999>;

/// The properties of a book that an admin writes. Text is trimmed, visible, and has no line breaks, other control characters, directional overrides or isolates.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[schema(as = BookDetails, example = json!({"author": "Jane Austen", "country": "United Kingdom", "language": "English",
    "pages": 226, "title": "Pride and Prejudice", "year": 1813}))]
pub struct Details {
    /// The author.
    #[schema(value_type = String, min_length = 1, max_length = 200)]
    pub author: Author,
    /// The country of origin.
    #[schema(value_type = String, min_length = 1, max_length = 100)]
    pub country: Name,
    /// The language.
    #[schema(value_type = String, min_length = 1, max_length = 100)]
    pub language: Name,
    /// The number of pages.
    #[schema(value_type = i64, minimum = 1, maximum = 1_000_000)]
    pub pages: Pages,
    /// The title.
    #[schema(value_type = String, min_length = 1, max_length = 500)]
    pub title: Title,
    /// The year of publication; before the common era it is negative.
    #[schema(value_type = i64, minimum = -10000, maximum = 9999)]
    pub year: Year,
}

/// At least one of these, under the rules of a whole book; an absent member stays as it is, and none can be `null`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, ToSchema)]
#[schema(as = BookChange, min_properties = 1, example = json!({"pages": 215}))]
#[expect(missing_docs, reason = "the fields are those of Details")]
pub struct Edit {
    #[serde(deserialize_with = "not_null")]
    #[schema(value_type = String, required = false, min_length = 1, max_length = 200)]
    pub author: Option<Author>,
    #[serde(deserialize_with = "not_null")]
    #[schema(value_type = String, required = false, min_length = 1, max_length = 100)]
    pub country: Option<Name>,
    #[serde(deserialize_with = "not_null")]
    #[schema(value_type = String, required = false, min_length = 1, max_length = 100)]
    pub language: Option<Name>,
    #[serde(deserialize_with = "not_null")]
    #[schema(value_type = i64, required = false, minimum = 1, maximum = 1_000_000)]
    pub pages: Option<Pages>,
    #[serde(deserialize_with = "not_null")]
    #[schema(value_type = String, required = false, min_length = 1, max_length = 500)]
    pub title: Option<Title>,
    #[serde(deserialize_with = "not_null")]
    #[schema(value_type = i64, required = false, minimum = -10000, maximum = 9999)]
    pub year: Option<Year>,
}

impl Edit {
    /// True if it changes nothing.
    pub(crate) const fn is_empty(&self) -> bool {
        matches!(self, Self { author: None, country: None, language: None, pages: None, title: None, year: None })
    }

    /// Applies this edit to `old`.
    pub(crate) fn apply(self, old: Details) -> Details {
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
