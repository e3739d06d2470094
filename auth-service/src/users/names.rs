use std::fmt;

/// A user name in lower case: `^[a-z0-9][a-z0-9._-]{2,31}$`. It never holds an `@`, so no name looks like an email.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Username(String);

/// A text that is no user name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must have 3 to 32 characters, letters a-z, digits, '.', '_' or '-', the first a letter or digit")]
pub struct InvalidUsername;

impl Username {
    /// Folds ASCII letters to lower case and refuses what is not a name then; nothing is repaired.
    ///
    /// # Errors
    /// The text is no name.
    pub fn parse(text: &str) -> Result<Self, InvalidUsername> {
        let name = text.to_ascii_lowercase();
        let of_word = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
        let allowed = name.bytes().all(|b| of_word(b) || matches!(b, b'.' | b'_' | b'-'));
        let starts = name.bytes().next().is_some_and(of_word);
        if allowed && starts && (3..=32).contains(&name.len()) { Ok(Self(name)) } else { Err(InvalidUsername) }
    }

    /// A name that went through [`parse`](Self::parse) before it was stored.
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

/// An email address in lower case, at most 254 bytes (RFC 5321 section 4.5.3.1). Whether anybody reads it is not known.
/// `Debug` does not show it, so that it does not get into a log.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Email(String);

/// A text that is no email address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be an email address such as ann@example.org, of at most 254 bytes")]
pub struct InvalidEmail;

impl Email {
    /// Folds to lower case and refuses what cannot be an address. Quoted local parts and address literals are legal and
    /// unused; they are refused.
    ///
    /// # Errors
    /// The text is no address.
    pub fn parse(text: &str) -> Result<Self, InvalidEmail> {
        // The Kelvin sign folds to k: another mailbox would become this one.
        let folds_to_ascii = |c: char| !c.is_ascii() && c.to_lowercase().any(|lower| lower.is_ascii());
        if text.contains(folds_to_ascii) {
            return Err(InvalidEmail);
        }
        let email = text.to_lowercase();
        let (local, domain) = email.split_once('@').ok_or(InvalidEmail)?;
        if email.len() <= 254 && is_local_part(local) && is_domain(domain) {
            Ok(Self(email))
        } else {
            Err(InvalidEmail)
        }
    }

    /// An address that went through [`parse`](Self::parse) before it was stored.
    pub(super) fn stored(email: String) -> Self {
        Self(email)
    }

    /// The address.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Email([redacted])")
    }
}

/// RFC 5322 section 3.2.3, dot-atom, with the letters of RFC 6531.
fn is_local_part(local: &str) -> bool {
    let allowed = |c: char| c.is_alphanumeric() || "!#$%&'*+/=?^_`{|}~-".contains(c);
    local.len() <= 64 && local.split('.').all(|atom| !atom.is_empty() && atom.chars().all(allowed))
}

/// At least two labels of RFC 1123, with the letters of RFC 5890.
fn is_domain(domain: &str) -> bool {
    let allowed = |c: char| c.is_alphanumeric() || c == '-';
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.chars().all(allowed)
    };
    domain.contains('.') && domain.split('.').all(is_label)
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
            assert_eq!(Username::parse(text).ok().as_ref().map(Username::as_str), expected, "{why}");
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
            assert_eq!(Email::parse(text).ok().as_ref().map(Email::as_str), expected, "{why}");
        }
    }

    #[test]
    fn an_email_is_not_printed() {
        assert!(!format!("{:?}", Email::parse("ann@example.org")).contains("ann"));
    }
}
