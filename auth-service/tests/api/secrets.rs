//! Texts that must never appear in a log, in any test.

use std::fmt::Write;
use std::sync::{Mutex, Once};

use log::kv::{Error, Key, Value, VisitSource};
use log::{Level, LevelFilter, Log, Metadata, Record};

use crate::service::{ACCESS_SECRET, ADMIN, GOOD, MEMBER, REFRESH_SECRET};

/// Log lines that contain a secret.
static LEAKS: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// True if `text` contains a token, or a password or a secret of the tests.
pub fn is_in(text: &str) -> bool {
    [ACCESS_SECRET, REFRESH_SECRET, GOOD, ADMIN.1, MEMBER.1].iter().any(|secret| text.contains(secret))
        || text.match_indices("eyJ").any(|(start, _)| is_token(&text[start..]))
        || text.match_indices("$2").any(|(start, _)| is_hash(&text[start..]))
}

/// True if a bcrypt hash begins here: `$2b$12$`, and 53 characters.
fn is_hash(text: &str) -> bool {
    let letters = text.bytes().skip(7).take_while(|byte| byte.is_ascii_alphanumeric() || b"./".contains(byte));
    text.as_bytes().get(6) == Some(&b'$') && letters.count() >= 53
}

/// True if a token begins here: two objects in base64url, separated by a full stop.
fn is_token(text: &str) -> bool {
    let end = text.find(|c: char| !(c.is_ascii_alphanumeric() || "-_".contains(c))).unwrap_or(text.len());
    text[end..].starts_with(".eyJ")
}

/// Checks every line that this process logs from now on, down to `debug`.
pub fn watch() {
    static WATCH: Once = Once::new();
    WATCH.call_once(|| {
        log::set_logger(&Watch).unwrap();
        log::set_max_level(LevelFilter::Debug);
    });
}

/// Panics if a logged line contained a secret.
pub fn assert_kept() {
    let leaks = LEAKS.lock().unwrap().clone();
    assert!(leaks.is_empty(), "secrets are in the log: {leaks:#?}");
}

struct Watch;

impl Log for Watch {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        // The service's own logger omits `actix_http`, too. `sqlx::query` logs statements: those of the service have no
        // values, but those that the tests write do.
        metadata.level() <= Level::Debug
            && !["actix_http", "sqlx::query"].iter().any(|t| metadata.target().starts_with(t))
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        let mut line = Line(format!("{} {}", record.target(), record.args()));
        record.key_values().visit(&mut line).unwrap();
        if is_in(&line.0) {
            LEAKS.lock().unwrap().push(line.0);
        }
    }

    fn flush(&self) {}
}

struct Line(String);

impl<'kvs> VisitSource<'kvs> for Line {
    fn visit_pair(&mut self, key: Key<'kvs>, value: Value<'kvs>) -> Result<(), Error> {
        write!(self.0, " {key}={value}").map_err(Error::from)
    }
}

#[test]
fn a_secret_in_a_log_is_noticed() {
    const HASH: &str = "fixed:$2b$04$uvuBjaGkDowoTbW6Vvf03eq.GaLGs.1YyY34ZuHoo2W13VnkNlrkK";
    let token = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln";
    for text in [token, "user=1 token=eyJ0.eyJ1", GOOD, "x password123member", ACCESS_SECRET, HASH] {
        assert!(is_in(&format!("INFO audit {text} more")), "{text}");
    }
    for text in ["eyJ", "eyJhbGciOiJIUzI1NiJ9 .eyJ", "keyJob.done", "a line like any other", "ends with $2b$12$…"] {
        assert!(!is_in(text), "{text}");
    }
}
