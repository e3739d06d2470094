use std::fmt;
use std::str::FromStr;

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

/// A user name in lower case: `^[a-z0-9][a-z0-9._-]{2,31}$`. It never contains an `@`, so no name looks like an email.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Username(String);

impl FromStr for Username {
    type Err = &'static str;

    /// Converts ASCII letters to lower case and validates the result.
    fn from_str(text: &str) -> Result<Self, &'static str> {
        let name = text.to_ascii_lowercase();
        let of_word = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
        let allowed = name.bytes().all(|b| of_word(b) || matches!(b, b'.' | b'_' | b'-'));
        let starts = name.bytes().next().is_some_and(of_word);
        let why = "must have 3 to 32 characters, letters a-z, digits, '.', '_' or '-', the first a letter or digit";
        if allowed && starts && (3..=32).contains(&name.len()) { Ok(Self(name)) } else { Err(why) }
    }
}

impl Username {
    /// Wraps a name that was parsed before it was stored.
    pub(super) fn stored(name: String) -> Self {
        Self(name)
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Username {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// An email address in one spelling, at most 254 bytes (RFC 5321 section 4.5.3.1): lower case, NFC, the domain in its
/// Unicode form, even if given in Punycode (RFC 5891). `Debug` does not show it, so that it is not logged.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Email(String);

impl FromStr for Email {
    type Err = &'static str;

    /// Normalizes and validates an address. Quoted local parts and address literals are valid but unused, and are
    /// refused.
    fn from_str(text: &str) -> Result<Self, &'static str> {
        const WRONG: &str = "must be an email address such as ann@example.org, of at most 254 bytes";
        // The Kelvin sign folds to k, which would turn another mailbox into this one.
        let folds_to_ascii = |c: char| !c.is_ascii() && c.to_lowercase().any(|lower| lower.is_ascii());
        if text.contains(folds_to_ascii) {
            return Err(WRONG);
        }
        let (local, domain) = text.rsplit_once('@').ok_or(WRONG)?;
        let local: String = local.to_lowercase().nfc().collect();
        let email = format!("{local}@{}", domain_name(domain).ok_or(WRONG)?);
        if email.len() <= 254 && is_local_part(&local) { Ok(Self(email)) } else { Err(WRONG) }
    }
}

impl Email {
    /// Wraps an address that was parsed before it was stored.
    pub(crate) fn stored(email: String) -> Self {
        Self(email)
    }

    /// The address.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Email([redacted])")
    }
}

/// The canonical form of a login name, by which the account is looked up and failed logins are counted: a user name or
/// an email in one spelling, without surrounding white space. Any other text names no account; only its ASCII letters
/// become lower case, because lower case may turn other letters into those of an account.
pub(crate) fn canonical_login(text: &str) -> String {
    let text = text.trim();
    let username = text.parse().map(|Username(name)| name);
    username.or_else(|_| text.parse().map(|Email(email)| email)).unwrap_or_else(|_| text.to_ascii_lowercase())
}

/// A dot-atom (RFC 5322 section 3.2.3) with the letters of RFC 6531 and their combining marks.
fn is_local_part(local: &str) -> bool {
    let allowed = |c: char| c.is_alphanumeric() || is_combining_mark(c) || "!#$%&'*+/=?^_`{|}~-".contains(c);
    let is_atom = |atom: &str| !atom.is_empty() && !atom.starts_with(is_combining_mark) && atom.chars().all(allowed);
    local.len() <= 64 && local.split('.').all(is_atom)
}

/// The Unicode form of a host name of at least two labels (UTS 46, RFC 1123 section 2.1).
fn domain_name(text: &str) -> Option<String> {
    let ascii = idna::domain_to_ascii_strict(text).ok().filter(|domain| domain.contains('.'))?;
    let (name, valid) = idna::domain_to_unicode(&ascii);
    valid.is_ok().then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn user_names() {
        let longest = "a".repeat(32);
        let cases = [
            ("john", Some("john"), "plain"),
            ("John", Some("john"), "folded"),
            ("7of9", Some("7of9"), "starts with a digit"),
            ("a.b_c-d", Some("a.b_c-d"), "all the marks"),
            ("abc", Some("abc"), "shortest"),
            (longest.as_str(), Some(longest.as_str()), "longest"),
            ("ab", None, "too short"),
            (&"a".repeat(33), None, "too long"),
            ("", None, "empty"),
            (".abc", None, "starts with a mark"),
            (" john", None, "space before; never repaired"),
            ("john\n", None, "line break after"),
            ("jo hn", None, "space inside"),
            ("jo\0hn", None, "NUL"),
            ("jöhn", None, "not ASCII"),
            ("\u{212A}elvin", None, "the Kelvin sign, which Unicode folds to k"),
            ("john@example.org", None, "an email"),
        ];
        for (text, expected, why) in cases {
            assert_eq!(text.parse::<Username>().ok().as_ref().map(Username::as_str), expected, "{why}");
        }
    }

    #[test]
    fn emails() {
        let long_local = format!("{}@example.org", "a".repeat(65));
        let long = format!("{}@{}.{}.{}.org", "a".repeat(64), "b".repeat(63), "c".repeat(63), "d".repeat(63));
        let cases = [
            ("ann@example.org", Some("ann@example.org"), "plain"),
            ("Ann.Smith+Books@Example.ORG", Some("ann.smith+books@example.org"), "folded"),
            ("o'neil@mail.example.co.uk", Some("o'neil@mail.example.co.uk"), "apostrophe"),
            ("Jürgen@müller.example", Some("jürgen@müller.example"), "not ASCII"),
            ("Ju\u{308}rgen@mu\u{308}ller.example", Some("jürgen@müller.example"), "decomposed"),
            ("jürgen@xn--mller-kva.example", Some("jürgen@müller.example"), "Punycode"),
            ("jürgen@XN--Mller-KVA.example", Some("jürgen@müller.example"), "Punycode in capitals"),
            ("ann@müller。example", Some("ann@müller.example"), "an ideographic full stop in a domain"),
            ("संपर्क@डाटामेल.भारत", Some("संपर्क@डाटामेल.भारत"), "Hindi"),
            ("যোগাযোগ@উদাহরণ.বাংলা", Some("যোগাযোগ@উদাহরণ.বাংলা"), "Bengali"),
            ("ผู้ใช้@ตัวอย่าง.ไทย", Some("ผู้ใช้@ตัวอย่าง.ไทย"), "Thai"),
            ("தொடர்பு@எடுத்துக்காட்டு.இந்தியா", Some("தொடர்பு@எடுத்துக்காட்டு.இந்தியா"), "Tamil"),
            ("Σίσυφος@παράδειγμα.ελ", Some("σίσυφος@παράδειγμα.ελ"), "Greek"),
            ("\u{94d}क@example.org", None, "begins with a combining mark"),
            ("ann@\u{94d}क.example", None, "a label that begins with a combining mark"),
            ("ann@xn--a.example", None, "Punycode that says nothing"),
            ("a\u{202e}nn@example.org", None, "a directional override"),
            ("a\u{200b}nn@example.org", None, "a zero width space"),
            ("\u{212A}ate@example.org", None, "the Kelvin sign, which Unicode folds to k"),
            ("ann", None, "no @"),
            ("ann@", None, "no domain"),
            ("@example.org", None, "no local part"),
            ("ann@localhost", None, "one label"),
            ("ann@example..org", None, "empty label"),
            ("ann@example.org.", None, "dot after"),
            ("ann@-example.org", None, "hyphen before"),
            ("ann@exa_mple.org", None, "underscore in a domain"),
            (".ann@example.org", None, "dot before"),
            ("a..nn@example.org", None, "two dots"),
            ("ann@b@example.org", None, "two @"),
            ("ann@example.org\n", None, "line break after"),
            ("ann @example.org", None, "space"),
            ("ann\0@example.org", None, "NUL"),
            ("<ann@example.org>", None, "brackets"),
            ("\"a b\"@example.org", None, "quoted"),
            ("ann@[127.0.0.1]", None, "an address literal"),
            (&long_local, None, "local part of 65 bytes"),
            (&long, None, "more than 254 bytes"),
        ];
        for (text, expected, why) in cases {
            assert_eq!(text.parse::<Email>().ok().as_ref().map(Email::as_str), expected, "{why}");
        }
    }

    #[test]
    fn canonical_form_of_no_login_names_no_account() {
        for text in [
            "\u{212A}elvin",
            "\u{212A}ate@example.org",
            "\u{212A}ate@ex\u{ad}ample.org",
            "ann@\u{212A}ate.org",
            "İ@ex.org",
        ] {
            let login = canonical_login(text);
            assert!(login.parse::<Username>().is_err() && login.parse::<Email>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn spellings_of_one_login_are_one() {
        for (text, expected) in [
            ("anna", "anna"),
            (" \tAnna\u{a0}\n", "anna"),
            ("Ann@Example.org ", "ann@example.org"),
            ("ann@xn--mller-kva.example", "ann@müller.example"),
            ("ann@mu\u{308}ller.example", "ann@müller.example"),
            ("No Such Name", "no such name"),
            ("", ""),
        ] {
            assert_eq!(canonical_login(text), expected, "{text:?}");
        }
    }

    #[test]
    fn an_email_is_not_printed() {
        assert!(!format!("{:?}", "ann@example.org".parse::<Email>()).contains("ann"));
    }
}
