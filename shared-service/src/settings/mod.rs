/// Durations, such as `15m`.
mod duration;
/// The kind of database at an address.
mod kind;
/// Files that only this user can read.
mod private;
/// The environment, and `.env`.
mod process;
/// Secret settings.
mod secrets;
/// The effective settings as text.
mod shown;
/// Signs of a mistyped secret.
mod spelling;
/// The address of a store.
mod store_url;
/// Variables that are probably a misspelt setting.
mod strangers;

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

pub(crate) use self::kind::Kind;
pub use self::private::{keep_private, open_trusted};
pub use self::store_url::StoreUrl;

/// The settings of a service. An invalid value is recorded and replaced by the default, so that [`Settings::finish`]
/// reports all errors in one message. An empty value counts as absent.
#[derive(Default)]
pub struct Settings {
    values: HashMap<String, String>,
    specs: Vec<SettingSpec>,
    /// The secret settings, each with its masked value if it is set.
    hidden: HashMap<&'static str, Option<String>>,
    wrong: Vec<String>,
    warnings: Vec<String>,
    file: Option<PathBuf>,
    /// Settings changed by the quoting rules of `.env`, with their line numbers.
    altered: HashMap<String, usize>,
}

/// A setting that the program has read, as `--help` and `.env.example` describe it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettingSpec {
    /// The environment variable.
    pub name: &'static str,
    /// The default value.
    pub default: String,
    /// The description, one line.
    pub why: &'static str,
}

/// All errors in the settings, in one message.
#[derive(Debug, thiserror::Error)]
#[error("the settings are wrong:\n  {}", .0.join("\n  "))]
pub struct SettingsError(pub(crate) Vec<String>);

impl Settings {
    /// Settings from the given pairs only: for tests, and for a program that fills in missing values.
    pub fn from_pairs<N: Into<String>, V: Into<String>>(pairs: impl IntoIterator<Item = (N, V)>) -> Self {
        let values = pairs.into_iter().map(|(name, value)| (name.into(), value.into())).collect();
        Self { values, ..Self::default() }
    }

    /// Sets `name` to `value` if it is not set.
    pub fn fill(&mut self, name: &str, value: impl Into<String>) {
        if !self.is_set(name) {
            self.values.insert(name.to_owned(), value.into());
        }
    }

    /// True if `name` or `name_FILE` is set, valid or not.
    #[must_use]
    pub fn is_set(&self, name: &str) -> bool {
        self.raw(name).is_some() || self.raw(&format!("{name}_FILE")).is_some()
    }

    /// Reads a text.
    pub fn text(&mut self, name: &'static str, default: &'static str, why: &'static str) -> String {
        self.declare(name, default, why);
        self.raw(name).unwrap_or(default).to_owned()
    }

    /// Reads an optional text.
    pub fn optional(&mut self, name: &'static str, why: &'static str) -> Option<String> {
        self.declare(name, "", why);
        self.raw(name).map(str::to_owned)
    }

    /// Reads a value of type `T`; `expected` completes "must be …".
    ///
    /// # Panics
    /// The default does not parse: a programming error, found at the first start.
    pub fn parsed<T: FromStr>(
        &mut self,
        name: &'static str,
        default: &'static str,
        expected: &'static str,
        why: &'static str,
    ) -> T {
        self.read(name, default, expected, why, |text| text.parse().ok())
    }

    /// Reads a duration: `500ms`, `10s`, `15m`, `12h`, `7d`, or whole seconds.
    pub fn duration(&mut self, name: &'static str, default: &'static str, why: &'static str) -> Duration {
        self.read(name, default, "a time such as 10s, 15m, 12h or 7d", why, duration::parse)
    }

    /// Reads `true` or `false`.
    pub fn flag(&mut self, name: &'static str, default: bool, why: &'static str) -> bool {
        let default = if default { "true" } else { "false" };
        self.read(name, default, "true or false", why, |text| match text.to_ascii_lowercase().as_str() {
            "true" | "1" | "yes" | "on" => Some(true),
            "false" | "0" | "no" | "off" => Some(false),
            _ => None,
        })
    }

    /// Reads a comma-separated list.
    pub fn list(&mut self, name: &'static str, default: &'static str, why: &'static str) -> Vec<String> {
        let text = self.text(name, default, why);
        text.split(',').map(str::trim).filter(|item| !item.is_empty()).map(str::to_owned).collect()
    }

    /// Reads a duration of whole seconds, at least one, such as the lifetime of a token.
    pub fn whole_seconds(&mut self, name: &'static str, default: &'static str, why: &'static str) -> Duration {
        let time = self.duration(name, default, why);
        if time.as_secs() == 0 || time.subsec_nanos() != 0 {
            self.wrong(name, "must be whole seconds, one at least");
        }
        time
    }

    /// Records an error of `name`; `what` follows the name in the message.
    pub fn wrong(&mut self, name: &str, what: impl Into<String>) {
        self.wrong.push(format!("{name} {}", what.into()));
    }

    /// All settings read so far, in that order.
    #[must_use]
    pub fn specs(&self) -> &[SettingSpec] {
        &self.specs
    }

    /// The `.env` file that was read, if any.
    #[must_use]
    pub fn file(&self) -> Option<&Path> {
        self.file.as_deref()
    }

    /// Warnings about values that work but are probably not meant, a line each.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings: Vec<String> = self.warnings.iter().cloned().chain(self.strangers()).collect();
        warnings.sort();
        warnings.dedup();
        warnings
    }

    /// Logs the source of the settings, and the warnings. For the start of a service.
    pub fn log(&self) {
        if let Some(file) = &self.file {
            log::info!("settings are read from the environment and from {}", file.display());
        }
        self.warnings().iter().for_each(|warning| log::warn!("{warning}"));
    }

    /// Reports the recorded errors.
    ///
    /// # Errors
    /// At least one setting is invalid.
    pub fn finish(mut self) -> Result<(), SettingsError> {
        // Two services in one process read the same settings; each error is reported once.
        let mut told = HashSet::new();
        self.wrong.retain(|wrong| told.insert(wrong.clone()));
        if self.wrong.is_empty() { Ok(()) } else { Err(SettingsError(self.wrong)) }
    }

    /// Reads a value with `parse`; `expected` completes "must be …".
    ///
    /// # Panics
    /// The default does not parse.
    #[expect(
        clippy::panic,
        reason = "a default that does not parse is a fault of the program, found by its first start"
    )]
    pub fn read<T>(
        &mut self,
        name: &'static str,
        default: &'static str,
        expected: &'static str,
        why: &'static str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> T {
        self.declare(name, default, why);
        if let Some(text) = self.raw(name) {
            match parse(text) {
                Some(value) => return value,
                None => self.wrong(name, format!("must be {expected}")),
            }
        }
        parse(default).unwrap_or_else(|| panic!("the default of {name} is wrong"))
    }

    pub(crate) fn raw(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    fn declare(&mut self, name: &'static str, default: &str, why: &'static str) {
        if self.specs.iter().all(|known| known.name != name) {
            self.specs.push(SettingSpec { name, default: default.to_owned(), why });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_wrong_settings_are_reported_at_once() {
        let mut settings =
            Settings::from_pairs([("TTL", "soon"), ("PORT", "70000"), ("EMPTY", ""), ("SECRET_FILE", "/no/such")]);
        assert_eq!(settings.duration("TTL", "15m", ""), Duration::from_mins(15));
        assert_eq!(settings.parsed::<u16>("PORT", "3000", "a port", ""), 3000);
        assert_eq!(settings.text("EMPTY", "default", ""), "default");
        assert!(settings.secret_text("SECRET", "").is_none());
        assert_eq!(settings.database_url("URL", "where"), "");
        assert_eq!(settings.database_url("URL", "where"), "", "asked for by another service, too");
        let message = settings.finish().map_or_else(|error| error.to_string(), |()| String::new());
        for part in ["TTL must be a time", "PORT must be a port", "SECRET_FILE names /no/such", "URL is not set"] {
            assert_eq!(message.matches(part).count(), 1, "{part} in {message}");
        }
    }

    #[test]
    fn a_database_is_a_file_or_a_server() {
        for (url, is_right) in [
            ("sqlite://books.db?mode=rwc", true),
            ("sqlite:books.db", true),
            ("sqlite:///data/books.db", true),
            ("postgres://user:password@host/books", true),
            ("sqlite://", false),
            ("sqlite:?mode=rwc", false),
            ("sqlite::memory:", false),
            ("sqlite://:memory:", false),
            ("sqlite://books?mode=memory", false),
            ("mysql://host/books", false),
        ] {
            let mut settings = Settings::from_pairs([("URL", url)]);
            settings.database_url("URL", "where");
            assert_eq!(settings.finish().is_ok(), is_right, "{url}");
        }
    }
}
