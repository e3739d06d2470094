use std::io::ErrorKind;
use std::path::Path;

use secrecy::{ExposeSecret, SecretString};
use shared_claims::Secret;

use super::Settings;
use super::kind::Kind;
use super::private::is_readable_by_others;
use super::shown::masked;
use super::spelling::flaw;
use crate::database::is_address;

impl Settings {
    /// Reads a secret text: `NAME`, or the content of the file `NAME_FILE` without a line break at its end. A value
    /// that is probably mistyped is an error.
    pub fn secret_text(&mut self, name: &'static str, why: &'static str) -> Option<SecretString> {
        self.declare(name, "", why);
        self.hidden.insert(name, None);
        if let Some(line) = self.altered.get(name) {
            let remedy = format!("put it in single quotes, or into a file, {name}_FILE");
            self.wrong(name, format!("is changed by the rules of .env, line {line}: {remedy}"));
            return None;
        }
        let file = self.raw(&format!("{name}_FILE")).map(str::to_owned);
        let text = match (self.raw(name).map(str::to_owned), file) {
            (Some(_), Some(_)) => {
                self.wrong(name, format!("is set, and {name}_FILE too; keep one"));
                return None;
            }
            (Some(text), None) => text,
            (None, Some(path)) => self.secret_file(name, &path)?,
            (None, None) => return None,
        };
        if let Some(flaw) = flaw(&text) {
            self.wrong(name, flaw);
            return None;
        }
        self.hidden.insert(name, Some("***  # set".to_owned()));
        Some(text.into())
    }

    /// Reads a secret text that is the address of a store.
    pub fn secret_address(&mut self, name: &'static str, why: &'static str) -> Option<SecretString> {
        let address = self.secret_text(name, why);
        self.hidden.insert(name, address.as_ref().map(|address| masked(address.expose_secret())));
        address
    }

    /// Reads the address of an SQL database, which is required; "" if it is missing.
    pub fn database_url(&mut self, name: &'static str, why: &'static str) -> String {
        let before = self.wrong.len();
        let url = self.secret_address(name, why).map_or_else(String::new, |url| url.expose_secret().to_owned());
        let is_known = |scheme: &&str| url.starts_with(*scheme);
        if url.is_empty() && self.wrong.len() == before {
            self.wrong(name, format!("is not set: {why}"));
        } else if !url.is_empty() && !["sqlite:", "postgres:", "postgresql:"].iter().any(is_known) {
            self.wrong(name, "must be sqlite://FILE?mode=rwc or postgres://user:password@host/database");
        } else if !url.is_empty() && !is_address(&url) {
            self.wrong(name, "is not understood: check its host, its port and what follows the ?");
        } else if let Kind::Sqlite(file) = Kind::of(&url) {
            match file {
                Some(file) => self.doubt_readable(name, &file),
                None => self.wrong(
                    name,
                    "must name a file, sqlite://FILE?mode=rwc: in memory, each connection would have another one",
                ),
            }
        }
        url
    }

    /// Warns if other users can read the database. `SQLite` gives its `-wal` and `-shm` files the mode of the database.
    fn doubt_readable(&mut self, name: &str, file: &Path) {
        let files = ["", "-wal", "-shm"].map(|end| format!("{}{end}", file.display()));
        let is_readable =
            |path: &String| std::fs::metadata(path).is_ok_and(|found| found.is_file() && is_readable_by_others(&found));
        let readable: Vec<&str> = files.iter().filter(|path| is_readable(path)).map(String::as_str).collect();
        if !readable.is_empty() {
            let readable = readable.join(" ");
            self.warnings.push(format!("{name} names a database that others can read: chmod 600 {readable}"));
        }
    }

    fn secret_file(&mut self, name: &'static str, path: &str) -> Option<String> {
        let read = std::fs::read_to_string(path).map_err(|error| match error.kind() {
            ErrorKind::InvalidData => "is not UTF-8: save it as UTF-8 without a byte order mark".to_owned(),
            _ => format!("cannot be read: {error}"),
        });
        read.map(|text| text.strip_suffix('\n').unwrap_or(&text).to_owned())
            .map_err(|why| self.wrong(&format!("{name}_FILE"), format!("names {path}, which {why}")))
            .ok()
    }

    /// Reads an optional signing secret (see [`Secret::parse`]).
    pub fn signing_secret(&mut self, name: &'static str, why: &'static str) -> Option<Secret> {
        let text = self.secret_text(name, why)?;
        let secret = Secret::parse(text.expose_secret()).map_err(|error| self.wrong(name, error.to_string())).ok()?;
        self.hidden.insert(name, Some(format!("***  # set, kid {}", secret.key_id())));
        Some(secret)
    }

    /// Warns if `previous`, the secret `name`, is also the secret in use.
    pub fn warn_of_same(&mut self, name: &str, current: Option<&Secret>, previous: Option<&Secret>) {
        if current.zip(previous).is_some_and(|(current, previous)| current.same_as(previous)) {
            self.warnings.push(format!("{name} is the secret in use: tokens of the one before it are refused"));
        }
    }

    /// Records an error if the secret `name` is not set and no other key takes its place.
    pub fn require_secret(&mut self, name: &str, has_other: bool) {
        if !has_other && !self.is_set(name) {
            self.wrong(name, "is not set; make one with `auth-service keygen`");
        }
    }
}
