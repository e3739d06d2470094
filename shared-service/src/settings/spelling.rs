/// A sign that the text of a secret is not the intended one; completes a sentence that begins with the setting.
pub(super) fn flaw(text: &str) -> Option<String> {
    let quotes = [('"', '"'), ('\'', '\''), ('`', '`'), ('\u{201c}', '\u{201d}'), ('\u{2018}', '\u{2019}')];
    let invisible = |c: &char| matches!(c, '\u{ad}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}');
    if text.starts_with('\u{feff}') {
        Some("begins with a byte order mark: save the file as UTF-8 without it".to_owned())
    } else if text.trim_matches('\0').contains('\0') {
        Some("contains NUL, as a file in UTF-16 does: save it as UTF-8".to_owned())
    } else if text.trim_matches(|c: char| c.is_whitespace() || c == '\0') != text {
        Some("starts or ends with white space or NUL; remove it".to_owned())
    } else if quotes.iter().any(|&(first, last)| text.len() > 1 && text.starts_with(first) && text.ends_with(last)) {
        Some(
            "is still in its quotes: remove them, because `docker run --env-file` and a file of its own do not"
                .to_owned(),
        )
    } else {
        text.chars()
            .find(invisible)
            .map(|c| format!("contains an invisible character, U+{:04X}: remove it", u32::from(c)))
    }
}

/// The line of `.env` (`text`) that sets `name`, if `value` differs from the written text, bare or in one pair of
/// quotes: `$` was expanded, a backslash or an inner quote was taken as an escape, or a # as a comment. The last line
/// of that name counts.
pub(super) fn altered_in(text: &str, name: &str, value: &str) -> Option<usize> {
    let (mut line, mut written, mut start) = (0, "", 0);
    for (index, whole) in text.split_inclusive('\n').enumerate() {
        if let Some((key, _)) = whole.split_once('=')
            && key.trim().trim_start_matches("export").trim_start() == name
        {
            (line, written) = (index + 1, &text[start + key.len() + 1..]);
        }
        start += whole.len();
    }
    let (behind_equal, written) = (written, written.trim_start_matches([' ', '\t']));
    // Without a space before it, # may belong to the secret.
    if value.is_empty() && written.starts_with('#') && written != behind_equal {
        return None;
    }
    let first_line = |text: &str| text.lines().next().unwrap_or_default().trim().to_owned();
    let quoted = |quote| {
        let rest = written.strip_prefix(quote)?.strip_prefix(value)?.strip_prefix(quote)?;
        Some(first_line(rest)).filter(|rest| rest.is_empty() || rest.starts_with('#'))
    };
    let is_kept = first_line(written) == value || quoted('\'').is_some() || quoted('"').is_some();
    (!is_kept).then_some(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spelling_that_was_not_meant_is_named() {
        for (text, expected, why) in [
            ("pQ7vXk2mZ9sLr4tYw8bNc3hJf6dGa1eU", None, "as it was made"),
            ("correct horse 'battery' \"staple\" $5 # 7 \\", None, "whatever stands within"),
            ("two\nlines", None, "as base64 writes a long one"),
            ("\u{feff}secret", Some("begins with a byte order mark"), "Notepad"),
            ("s\0e\0c\0", Some("contains NUL"), "UTF-16"),
            ("\0secret", Some("starts or ends"), "NUL"),
            ("secret\r", Some("starts or ends"), "CR LF"),
            ("secret ", Some("starts or ends"), "a space"),
            ("\u{a0}secret", Some("starts or ends"), "a space that does not break"),
            ("\"secret\"", Some("is still in its quotes"), "docker run --env-file"),
            ("'secret'", Some("is still in its quotes"), "the same"),
            ("\u{201c}secret\u{201d}", Some("is still in its quotes"), "a document"),
            ("\"secret", None, "one quote is a letter"),
            ("sec\u{200b}ret", Some("contains an invisible character, U+200B"), "a web page"),
            ("secret\u{feff}", Some("contains an invisible character, U+FEFF"), "a mark at the end"),
        ] {
            let found = flaw(text);
            assert_eq!(found.is_some(), expected.is_some(), "{why}: {found:?}");
            assert!(found.is_none_or(|found| found.starts_with(expected.unwrap_or_default())), "{why}");
        }
    }
}
