use super::Settings;

impl Settings {
    /// The environment, and behind it `.env` of this folder or one above.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "this is the one place")]
    pub fn from_process() -> Self {
        let mut settings = Self::from_pairs(std::iter::empty::<(String, String)>());
        match dotenvy::dotenv_iter() {
            Ok(pairs) => settings.take_file(pairs),
            Err(error) if error.not_found() => {}
            Err(error) => settings.wrong.push(unreadable(&error, None)),
        }
        for (name, value) in std::env::vars_os() {
            let name = name.to_string_lossy().into_owned();
            match value.into_string() {
                Ok(value) => drop(settings.values.insert(name, value)),
                Err(_) => drop(settings.values.insert(name, "\u{fffd}".to_owned())),
            }
        }
        settings
    }

    fn take_file(&mut self, pairs: impl Iterator<Item = dotenvy::Result<(String, String)>>) {
        let mut last = None;
        for pair in pairs {
            match pair {
                Ok((name, value)) => {
                    self.values.insert(name.clone(), value);
                    last = Some(name);
                }
                Err(error) => self.wrong.push(unreadable(&error, last.as_deref())),
            }
        }
    }
}

/// What is wrong with `.env`, behind the setting `last`. The line itself is not told: it may hold a secret.
fn unreadable(error: &dotenvy::Error, last: Option<&str>) -> String {
    let place = last.map_or_else(|| "at its beginning".to_owned(), |last| format!("behind {last}"));
    match error {
        dotenvy::Error::LineParse(..) => {
            format!(".env has a line {place} that is not NAME=value; a value with a space or a # needs quotes")
        }
        dotenvy::Error::Io(error) => format!(".env cannot be read: {error}"),
        _ => format!(".env cannot be read {place}"),
    }
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
            let mut settings = Settings::from_pairs::<&str, &str>([]);
            settings.take_file(dotenvy::from_read_iter(file.as_bytes()));
            let message = settings.finish().map_or_else(|error| error.to_string(), |()| String::new());
            assert!(message.contains(&format!(".env has a line {place} that is not NAME=value")), "{message}");
            assert!(!message.contains("horse") && !message.contains("correct"), "{message}");
        }
    }
}
