use std::fmt;
use std::io::{self, BufRead, IsTerminal, Write};

use secrecy::{ExposeSecret, SecretString};

use super::CliError;

/// The terminal or the streams of a command.
pub struct Console {
    /// True for a terminal, where a password is typed twice without echo.
    terminal: bool,
    pub(super) input: Box<dyn BufRead>,
    pub(super) output: Box<dyn Write>,
}

impl Console {
    /// The terminal or the standard streams of this process.
    #[must_use]
    pub fn of_process() -> Self {
        let stdin = io::stdin();
        Self { terminal: stdin.is_terminal(), input: Box::new(stdin.lock()), output: Box::new(io::stdout().lock()) }
    }

    /// Streams without a terminal; everything needed is in `input`.
    #[must_use]
    pub fn piped(input: impl BufRead + 'static, output: impl Write + 'static) -> Self {
        Self { terminal: false, input: Box::new(input), output: Box::new(output) }
    }

    /// Writes one line.
    pub(super) fn say(&mut self, line: impl fmt::Display) -> io::Result<()> {
        writeln!(self.output, "{line}")
    }

    /// Writes a table: columns as wide as their widest cell, two spaces between them, no trailing spaces.
    pub(super) fn table<const N: usize>(&mut self, rows: &[[String; N]]) -> io::Result<()> {
        let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or_default();
        let widths: [usize; N] = std::array::from_fn(width);
        rows.iter().try_for_each(|row| {
            let cells = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}"));
            self.say(cells.collect::<Vec<_>>().join("  ").trim_end())
        })
    }

    /// One line of the input.
    pub(super) fn read_line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        self.input.read_line(&mut line)?;
        Ok(line)
    }

    /// Reads a new password: typed twice on a terminal, one line elsewhere.
    pub(super) fn new_password(&mut self) -> Result<SecretString, CliError> {
        if self.terminal {
            return typed_twice();
        }
        let line =
            self.read_line().map_err(|error| CliError::refused(format!("the password cannot be read: {error}")))?;
        let text = line.strip_suffix('\n').unwrap_or(&line);
        let text = text.strip_suffix('\r').unwrap_or(text);
        if text.is_empty() {
            return Err(CliError::refused("no password: give it as one line on standard input"));
        }
        Ok(text.into())
    }
}

fn typed_twice() -> Result<SecretString, CliError> {
    let first = SecretString::from(rpassword::prompt_password("Password: ")?);
    let second = SecretString::from(rpassword::prompt_password("The same again: ")?);
    if first.expose_secret() == second.expose_secret() {
        Ok(first)
    } else {
        Err(CliError::refused("the two passwords differ; nothing was changed"))
    }
}

/// Text from another party, without control characters and directional overrides, which could manipulate the terminal.
pub(super) fn printable(text: &str) -> String {
    let escaped = |c: char| match c {
        '"' | '\'' | '\\' => c.to_string(),
        c => c.escape_debug().to_string(),
    };
    text.chars().map(escaped).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_of_a_label_are_replaced() {
        for (text, expected, why) in [
            ("a\u{9b}31m\u{7f}é", "a\\u{9b}31m\\u{7f}é", "control characters"),
            ("a\nb\tc", "a\\nb\\tc", "lines and tabs"),
            ("\u{202e}evil\u{200b}", "\\u{202e}evil\\u{200b}", "the direction, and nothing to be seen"),
            (r#"a "b" 'c' \d"#, r#"a "b" 'c' \d"#, "what is only text"),
        ] {
            assert_eq!(printable(text), expected, "{why}");
        }
    }
}
