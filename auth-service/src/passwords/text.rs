use std::borrow::Cow;

use unicode_normalization::{UnicodeNormalization, is_nfc};

/// Normalizes a password by the profile `OpaqueString` of RFC 8265 section 4.2.2: all kinds of spaces become U+0020,
/// and the text NFC. Letters of any script, their case, and control characters stay unchanged.
pub(super) fn prepare(sent: &str) -> Cow<'_, str> {
    if sent.is_ascii() || is_nfc(sent) && !sent.contains(is_other_space) {
        return Cow::Borrowed(sent);
    }
    Cow::Owned(sent.chars().map(|c| if is_other_space(c) { ' ' } else { c }).nfc().collect())
}

/// Unicode's category Zs without U+0020.
const fn is_other_space(c: char) -> bool {
    matches!(c, '\u{a0}' | '\u{1680}' | '\u{2000}'..='\u{200a}' | '\u{202f}' | '\u{205f}' | '\u{3000}')
}

/// The forms in which a password may have been hashed: normalized, and as sent if that differs. Plain imports were
/// hashed as sent, and so were passwords before they were normalized.
pub(super) fn forms(sent: &str) -> Vec<Cow<'_, str>> {
    let prepared = prepare(sent);
    if prepared == sent { vec![prepared] } else { vec![prepared, Cow::Borrowed(sent)] }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unicode_forms_of_a_password_normalize_to_one() {
        for (sent, expected, why) in [
            ("caf\u{e9}", "caf\u{e9}", "composed"),
            ("cafe\u{301}", "caf\u{e9}", "decomposed"),
            ("\u{212b}ngstr\u{f6}m", "\u{c5}ngstr\u{f6}m", "the Angstrom sign is a letter"),
            ("\u{1112}\u{1161}\u{11ab}", "\u{d55c}", "Hangul"),
            ("\u{915}\u{93c}\u{958}", "\u{915}\u{93c}\u{915}\u{93c}", "a letter that NFC decomposes"),
            ("a\u{323}\u{307}a\u{307}\u{323}", "\u{1ea1}\u{307}\u{1ea1}\u{307}", "the order of marks"),
            ("two\u{a0}quiet\u{3000}owls\u{2003}", "two quiet owls ", "spaces of other kinds"),
            (
                "\u{fb01}\u{ff21}\u{200b}\t\0",
                "\u{fb01}\u{ff21}\u{200b}\t\0",
                "no compatibility form, nothing is dropped",
            ),
            (" Case ", " Case ", "case and spaces at the ends stay"),
            ("", "", "empty"),
        ] {
            assert_eq!(prepare(sent), expected, "{why}");
            assert_eq!(prepare(expected), expected, "{why}, again");
            assert_eq!(forms(sent).len(), if sent == expected { 1 } else { 2 }, "{why}");
        }
    }
}
