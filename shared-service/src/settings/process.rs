use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::path::Path;

use super::Settings;
use super::private::{is_readable_by_others, open_trusted};
use super::spelling::altered_in;

impl Settings {
    /// The environment, and for unset variables `.env` of the working folder, if that belongs to this user or root and
    /// is not writable by others.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "this is the one place")]
    pub fn from_process() -> Self {
        let mut settings = Self::default();
        let path = std::path::absolute(".env").unwrap_or_else(|_| ".env".into());
        match open_trusted(&path).and_then(|file| settings.take_file(&path, file)) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                settings.wrong.push(format!("{} cannot be used: {error}", path.display()));
            }
            _ => {}
        }
        for (name, value) in std::env::vars_os() {
            let name = name.to_string_lossy().into_owned();
            settings.altered.remove(&name);
            // Not the lossy text: a secret with replaced bytes would be accepted as another secret.
            let value = value.into_string().unwrap_or_else(|_| "\u{fffd}".to_owned());
            settings.values.insert(name, value);
        }
        settings
    }

    fn take_file(&mut self, path: &Path, mut file: File) -> io::Result<()> {
        if is_readable_by_others(&file.metadata()?) {
            self.warnings.push(format!("{0} can be read by others: chmod 600 {0}", path.display()));
        }
        let mut text = String::new();
        file.read_to_string(&mut text)?;
        self.file = Some(path.to_owned());
        self.take_text(text.trim_start_matches('\u{feff}'));
        Ok(())
    }

    fn take_text(&mut self, text: &str) {
        let mut last = None;
        for pair in dotenvy::from_read_iter(text.as_bytes()) {
            match pair {
                Ok((name, value)) => {
                    match altered_in(text, &name, &value) {
                        Some(line) => drop(self.altered.insert(name.clone(), line)),
                        None => drop(self.altered.remove(&name)),
                    }
                    self.values.insert(name.clone(), value);
                    last = Some(name);
                }
                Err(_) => self.wrong.push(unreadable(last.as_deref())),
            }
        }
    }
}

/// The error of a line of `.env` after the setting `last`. The line itself is not quoted: it may contain a secret.
fn unreadable(last: Option<&str>) -> String {
    let place = last.map_or_else(|| "at its beginning".to_owned(), |last| format!("behind {last}"));
    format!(".env has a line {place} that is not NAME=value; a value with a space or a # needs quotes")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_line_of_the_file_is_named_and_not_shown() {
        for (file, place) in [
            ("PEPPER=correct horse", "at its beginning"),
            ("GOOD=1\n# yes\nPEPPER=\"correct horse", "behind GOOD"),
            ("GOOD=1\ncorrect horse", "behind GOOD"),
        ] {
            let mut settings = Settings::default();
            settings.take_text(file);
            let message = settings.finish().map_or_else(|error| error.to_string(), |()| String::new());
            assert!(message.contains(&format!(".env has a line {place} that is not NAME=value")), "{message}");
            assert!(!message.contains("horse") && !message.contains("correct"), "{message}");
        }
    }
}
