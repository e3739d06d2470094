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
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
#[error("not the id of a book")]
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

/// Why a text is refused; the message goes behind the field's name.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadText {
    /// Nothing but white space.
    #[error("must not be blank")]
    Blank,
    /// More characters than this.
    #[error("must have at most {0} characters")]
    Long(usize),
    /// A line break, NUL, or another character that no title has.
    #[error("must not contain control characters")]
    Control,
}

/// `text` without the white space around it.
///
/// # Errors
/// It is blank, has more than `longest` characters, or holds control characters.
pub fn clean(text: &str, longest: usize) -> Result<String, BadText> {
    let text = text.trim();
    if text.is_empty() {
        Err(BadText::Blank)
    } else if text.chars().count() > longest {
        Err(BadText::Long(longest))
    } else if text.chars().any(char::is_control) {
        Err(BadText::Control)
    } else {
        Ok(text.to_owned())
    }
}

/// `text` without the difference between upper and lower case: two texts that differ only in that fold to the same.
///
/// Through upper case first, so that what shares a capital letter is one letter: `ς` and `σ`, `ß` and `ss`.
#[must_use]
pub fn fold(text: &str) -> String {
    text.chars().flat_map(char::to_uppercase).flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_makes_no_difference_to_folded_text() {
        for (left, right, why) in [
            ("The Divine Comedy", "THE DIVINE COMEDY", "ASCII"),
            ("Ærø", "ærØ", "Latin beyond ASCII"),
            ("Преступление", "ПРЕСТУПЛЕНИЕ", "Cyrillic"),
            ("Ὀδυσσεύς", "ὈΔΥΣΣΕΎΣ", "a sigma has another form at the end of a word"),
            ("Straße", "STRASSE", "one letter, two capitals"),
            ("ﬁn", "FIN", "a ligature"),
            ("紅樓夢", "紅樓夢", "no case at all"),
        ] {
            assert_eq!(fold(left), fold(right), "{why}");
        }
        assert!(fold("ὈΔΥΣΣΕΎΣ").starts_with(&fold("Ὀδυσ")), "a beginning stays one");
        assert_ne!(fold("é"), fold("e"), "an accent is no case");
    }

    #[test]
    fn a_text_is_taken_without_the_space_around_it() {
        for (text, taken, why) in [
            ("abc", Ok("abc"), "the longest"),
            ("  abc\n", Ok("abc"), "white space around it does not count"),
            ("äöü", Ok("äöü"), "characters are counted, not bytes"),
            ("a b", Ok("a b"), "space within"),
            ("abcd", Err(BadText::Long(3)), "too long"),
            ("", Err(BadText::Blank), "empty"),
            (" \u{3000}\t", Err(BadText::Blank), "blank"),
            ("a\nb", Err(BadText::Control), "a line break within"),
            ("a\0b", Err(BadText::Control), "NUL within"),
            ("a\u{85}b", Err(BadText::Control), "a control character beyond ASCII"),
        ] {
            assert_eq!(clean(text, 3), taken.map(str::to_owned), "{why}");
        }
    }
}
