use std::ops::Deref;

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize};
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::canonical_combining_class;

/// The maximum length of a search key in bytes, the limit of Postgres' indexes. A decomposed Hangul syllable takes up to
/// nine bytes, so 266 of them always fit.
const KEY_BYTES: usize = 2_400;

/// The reason why a text is refused; the message follows the field's name.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadText {
    /// It has no visible character.
    #[error("must not be blank")]
    Blank,
    /// It has more characters than this.
    #[error("must have at most {0} characters")]
    Long(usize),
    /// It has a line break, NUL or another control character.
    #[error("must not contain line breaks or other control characters")]
    Control,
    /// It has a directional override or isolate, which shows text in another order than stored.
    #[error("must not contain directional overrides or isolates (U+202A to U+202E, U+2066 to U+2069)")]
    Direction,
}

/// Text of at most `MOST` characters, cleaned by [`clean`].
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Text<const MOST: usize>(String);

impl<const MOST: usize> Text<MOST> {
    /// Wraps text that is known to be clean: from the database, or a literal.
    pub fn trusted(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}

impl<const MOST: usize> Deref for Text<MOST> {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl<'de, const MOST: usize> Deserialize<'de> for Text<MOST> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        clean(&String::deserialize(deserializer)?, MOST).map(Self).map_err(D::Error::custom)
    }
}

/// Trims and validates `text`.
///
/// # Errors
/// It is blank or invisible, has more than `longest` characters, or contains line breaks, other control characters or
/// directional overrides.
pub fn clean(text: &str, longest: usize) -> Result<String, BadText> {
    let text = text.trim();
    if text.contains(is_directional) {
        Err(BadText::Direction)
    } else if text.chars().all(|c| c.is_whitespace() || is_invisible(c)) {
        Err(BadText::Blank)
    } else if text.chars().count() > longest {
        Err(BadText::Long(longest))
    } else if text.contains(|c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}')) {
        Err(BadText::Control)
    } else {
        Ok(text.to_owned())
    }
}

/// Folds `text` for searching: texts that differ only in case, accents or Unicode form have the same result.
///
/// Compatibility forms are decomposed (NFKD); accents and vowel points are dropped. The voicing marks of kana and the
/// signs of Indic scripts and Thai stay, because they make another letter. Letters that Unicode does not decompose,
/// though people type them without their stroke, are replaced: `ø` by `o`, `ł` by `l`, `æ` by `ae`. Case folds through
/// upper case first, so that letters with the same capital are equal: `ς` and `σ`, `ß` and `ss`.
#[must_use]
pub fn fold(text: &str) -> String {
    if text.is_ascii() {
        return text.to_ascii_lowercase();
    }
    let decomposed = text.nfkd().filter(|c| !is_accent(*c) && !is_invisible(*c));
    let lower = decomposed.flat_map(char::to_uppercase).flat_map(char::to_lowercase);
    let mut folded = String::with_capacity(text.len());
    for c in lower {
        match plain(c) {
            Some(plain) => folded.push_str(plain),
            None => folded.push(c),
        }
    }
    folded
}

/// The folded `text` as stored in the database, truncated to the limit of an index.
pub(super) fn key(text: &str) -> String {
    let mut key = fold(text);
    key.truncate(key.floor_char_boundary(KEY_BYTES));
    key
}

/// The replacement of a letter that has no decomposition.
const fn plain(letter: char) -> Option<&'static str> {
    Some(match letter {
        'ß' => "ss",
        'æ' => "ae",
        'œ' => "oe",
        'þ' => "th",
        'ø' => "o",
        'ł' => "l",
        'đ' | 'ð' => "d",
        'ħ' => "h",
        'ŧ' => "t",
        '\u{2018}' | '\u{2019}' | '\u{2bc}' => "'",
        _ => return None,
    })
}

/// True for accents, by combining class: strokes, Hebrew and Arabic points, marks above, below or around a letter.
fn is_accent(c: char) -> bool {
    matches!(canonical_combining_class(c), 1 | 10..=36 | 200..)
}

const fn is_directional(c: char) -> bool {
    matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// True for invisible characters: Unicode's `Default_Ignorable_Code_Point` and the Braille blank.
const fn is_invisible(c: char) -> bool {
    matches!(
        c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{2800}' | '\u{3164}'
            | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{1bca0}'..='\u{1bca3}'
            | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}'
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_accents_and_form_make_no_difference_to_folded_text() {
        for (left, right, why) in [
            ("The Divine Comedy", "THE DIVINE COMEDY", "ASCII"),
            ("Le Père Goriot", "le pere goriot", "accents"),
            ("Pe\u{300}re", "Père", "decomposed and not"),
            ("Ærø", "AERO", "letters without a decomposition"),
            ("Łódź, Đorđe, Þór, Ħal, œuvre", "lodz, dorde, thor, hal, oeuvre", "more of them"),
            ("İstanbul ılık", "ISTANBUL ILIK", "Turkish i"),
            ("Nguyễn", "nguyen", "two accents on one letter"),
            ("Преступление", "ПРЕСТУПЛЕНИЕ", "Cyrillic"),
            ("Фёдор", "федор", "a Cyrillic letter with two dots"),
            ("Ὀδυσσεύς", "ΟΔΥΣΣΕΥΣ", "breathings, and a sigma that has another form at the end of a word"),
            ("Straße", "STRASSE", "one letter, two capitals"),
            ("STRAẞE", "strasse", "one capital"),
            ("ﬁn", "FIN", "a ligature"),
            ("Ｃａｆé №\u{a0}①", "cafe no 1", "compatibility forms"),
            ("ｶﾞｲﾄﾞ", "ガイド", "kana of half width"),
            ("한국", "\u{1112}\u{1161}\u{11ab}\u{1100}\u{116e}\u{11a8}", "Hangul in parts"),
            ("שָׁלוֹם", "שלום", "Hebrew points"),
            ("مُحَمَّد", "محمد", "Arabic vowels"),
            ("Wör\u{ad}ter\u{200b}", "worter", "invisible characters"),
            ("L\u{2019}Étranger", "l'etranger", "a typographic apostrophe"),
            ("紅樓夢", "紅樓夢", "no case at all"),
        ] {
            assert_eq!(fold(left), fold(right), "{why}");
        }
        assert!(fold("ὈΔΥΣΣΕΎΣ").starts_with(&fold("Ὀδυσ")), "a beginning stays one");
        for (left, right, why) in
            [("か", "が", "voiced kana"), ("ก", "กี", "a Thai vowel"), ("कि", "की", "Indic vowel signs")]
        {
            assert_ne!(fold(left), fold(right), "{why}");
        }
    }

    #[test]
    fn key_fits_into_an_index() {
        let long: String = (0x3300..0x3358).cycle().take(500).filter_map(char::from_u32).collect();
        assert!(fold(&long).len() > KEY_BYTES, "folding makes it longer");
        assert!((KEY_BYTES - 3..=KEY_BYTES).contains(&key(&long).len()));
        assert_eq!(key("Père"), "pere");
    }

    #[test]
    fn text_is_trimmed_or_refused() {
        for (text, taken, why) in [
            ("abc", Ok("abc"), "the longest"),
            ("  abc\n", Ok("abc"), "white space around it does not count"),
            ("äöü", Ok("äöü"), "characters are counted, not bytes"),
            ("a b", Ok("a b"), "space within"),
            ("a\u{200d}b", Ok("a\u{200d}b"), "a joiner between letters"),
            ("\u{200f}א", Ok("\u{200f}א"), "a mark of direction"),
            ("abcd", Err(BadText::Long(3)), "too long"),
            ("", Err(BadText::Blank), "empty"),
            (" \u{3000}\t", Err(BadText::Blank), "blank"),
            ("\u{200b}", Err(BadText::Blank), "a space without width"),
            ("\u{ad} \u{feff}", Err(BadText::Blank), "a soft hyphen and a byte order mark"),
            ("\u{3164}\u{2800}\u{e0020}", Err(BadText::Blank), "a filler, a blank of Braille and a tag"),
            ("a\nb", Err(BadText::Control), "a line break within"),
            ("a\u{2028}b", Err(BadText::Control), "a line separator within"),
            ("a\u{2029}b", Err(BadText::Control), "a paragraph separator within"),
            ("a\u{2029}", Ok("a"), "a paragraph separator at the end is white space"),
            ("a\0b", Err(BadText::Control), "NUL within"),
            ("a\u{85}b", Err(BadText::Control), "a control character beyond ASCII"),
            ("a\u{202e}b", Err(BadText::Direction), "an override"),
            ("\u{202a}a", Err(BadText::Direction), "an embedding"),
            ("a\u{2066}", Err(BadText::Direction), "an isolate"),
            ("\u{2069}", Err(BadText::Direction), "the end of an isolate alone"),
        ] {
            assert_eq!(clean(text, 3), taken.map(str::to_owned), "{why}");
        }
    }
}
