use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::fmt::{self, Write as _};
use std::io::{self, Write as _};

use env_logger::Logger;
use log::kv::{Error, Key, Value, VisitSource};
use log::{LevelFilter, Log, Metadata, Record};
use strum::EnumString;

use crate::clock::{now_ms, rfc3339};
use crate::http::Caller;
use crate::settings::Settings;

/// The target of access lines.
pub(crate) const ACCESS: &str = "http";

/// The space reserved for a line, in bytes; an access line takes some 250.
const LENGTH: usize = 320;

/// The most bytes of lines that a thread holds back: a write of 4096 bytes to a pipe is atomic (`PIPE_BUF` of Linux), so
/// that lines of processes that share a pipe do not mix.
const HELD_BYTES: usize = 4096;

#[derive(Clone, Copy, EnumString)]
#[strum(serialize_all = "lowercase")]
enum Format {
    Text,
    Json,
}

/// Levels and `module=level`, comma-separated, for `env_logger`, which takes any other word for a module name.
fn filters(text: &str) -> Option<String> {
    let parts = text.split('/').next()?.split(',').map(str::trim).filter(|part| !part.is_empty());
    let mut levels = parts.map(|part| part.rsplit('=').next().unwrap_or_default().trim().parse::<LevelFilter>());
    levels.all(|level| level.is_ok()).then(|| text.to_owned())
}

/// Starts the log on standard error, as `RUST_LOG` and `LOG_FORMAT` say. A second call changes nothing.
pub fn start_logging(settings: &mut Settings) {
    let filter = settings.read(
        "RUST_LOG",
        "info",
        "a level (error, warn, info, debug, trace, off) or module=level, with commas between them",
        "Log level: error, warn, info or debug, also per module",
        filters,
    );
    let format = settings.parsed("LOG_FORMAT", "text", "text or json", "Format of a log line: text or json");
    let mut log = env_logger::Builder::new();
    // actix-http logs its threads, and each connection that is not HTTP as an error.
    log.filter_module("actix_http", LevelFilter::Off);
    // sqlx would log the value of an unknown parameter of an address, which may be a password.
    log.filter_module("sqlx_postgres::options", LevelFilter::Off);
    // redis logs each connection attempt; auth-service logs each outage once.
    log.filter_module("redis", LevelFilter::Off);
    log.filter_module("actix_server", LevelFilter::Warn).parse_filters(&filter);
    let filter = log.build();
    let level = filter.filter();
    // Fails if a logger is installed already, as in a process with two services.
    if log::set_boxed_logger(Box::new(Lines { filter, format })).is_ok() {
        log::set_max_level(level);
    }
}

/// The log on standard error. An access line waits in its thread for another line or for [`Log::flush`], so that a busy
/// worker writes many at once.
struct Lines {
    filter: Logger,
    format: Format,
}

thread_local! {
    /// The access lines of this thread that are not written yet.
    static HELD: Cell<String> = const { Cell::new(String::new()) };
}

impl Log for Lines {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        self.filter.enabled(metadata)
    }

    fn log(&self, record: &Record<'_>) {
        if !self.filter.matches(record) {
            return;
        }
        let mut line = match self.format {
            Format::Text => text(record),
            Format::Json => json(record),
        };
        line.push('\n');
        let is_held = record.target() == ACCESS;
        hold(|held| {
            if !is_held || held.len() + line.len() > HELD_BYTES {
                write(held);
            }
            held.push_str(&line);
            if !is_held {
                write(held);
            }
        });
    }

    fn flush(&self) {
        hold(write);
    }
}

/// Calls `change` with the held lines of this thread. While a thread ends, it has none.
fn hold(change: impl FnOnce(&mut String)) {
    let mut held = HELD.try_with(Cell::take).unwrap_or_default();
    change(&mut held);
    let _ = HELD.try_with(|place| place.set(held));
}

/// Writes and removes all `lines`.
fn write(lines: &mut String) {
    // There is no other place for an error of the log itself.
    drop(io::stderr().write_all(lines.as_bytes()));
    lines.clear();
    lines.shrink_to(HELD_BYTES);
}

/// `time LEVEL target message name=value …`. Line breaks in values are escaped, so a value cannot forge a line.
fn text(record: &Record<'_>) -> String {
    let mut line = time();
    push(&mut line, format_args!(" {:5} {} ", record.level(), record.target()));
    push_escaped(&mut line, &message(record));
    for_each_pair(record, |name, value| {
        line.extend([" ", name, "="]);
        push_value(&mut line, value, Format::Text);
    });
    line
}

fn json(record: &Record<'_>) -> String {
    let (time, level, message) = (time(), record.level().as_str(), message(record));
    let mut line = String::with_capacity(LENGTH);
    let mut add = |name: &str, value: &Value<'_>| {
        line.extend([if line.is_empty() { "{\"" } else { ",\"" }, name, "\":"]);
        push_value(&mut line, value, Format::Json);
    };
    for (name, text) in [("time", &*time), ("level", level), ("target", record.target()), ("message", &message)] {
        add(name, &text.into());
    }
    for_each_pair(record, add);
    line.push('}');
    line
}

/// The current time in RFC 3339, in a string with room for a line. Each thread caches the text of the current second.
fn time() -> String {
    thread_local!(static SECOND: RefCell<(i64, String)> = const { RefCell::new((-1, String::new())) });
    let now = now_ms();
    SECOND.with_borrow_mut(|(second, text)| {
        if *second != now / 1000 {
            (*second, *text) = (now / 1000, rfc3339(now));
            text.truncate("2026-01-31T12:00:00.".len());
        }
        let mut line = String::with_capacity(LENGTH);
        push(&mut line, format_args!("{text}{:03}Z", now % 1000));
        line
    })
}

fn message<'a>(record: &Record<'a>) -> Cow<'a, str> {
    record.args().as_str().map_or_else(|| record.args().to_string().into(), Cow::Borrowed)
}

fn push(line: &mut String, text: fmt::Arguments<'_>) {
    // Writing to a String cannot fail.
    let _ = line.write_fmt(text);
}

/// Escapes control characters, including line breaks, as `\n` or `\u{1b}`.
fn push_escaped(line: &mut String, text: &str) {
    for character in text.chars() {
        if character.is_control() || matches!(character, '\u{2028}' | '\u{2029}') {
            line.extend(character.escape_default());
        } else {
            line.push(character);
        }
    }
}

/// Appends a number, or text. Text is quoted as in JSON, unless the format is text and no character requires quotes.
fn push_value(line: &mut String, value: &Value<'_>, format: Format) {
    if let Some(number) = value.to_u64() {
        return push(line, format_args!("{number}"));
    }
    let start = line.len();
    match value.to_borrowed_str() {
        Some(text) => line.push_str(text),
        None => push(line, format_args!("{value}")),
    }
    let mut bytes = line[start..].bytes();
    match format {
        Format::Text if start < line.len() && bytes.all(|byte| byte.is_ascii_graphic() && byte != b'"') => {}
        Format::Json if bytes.all(|byte| matches!(byte, b' '..=b'~') && !b"\"\\".contains(&byte)) => {
            line.insert(start, '"');
            line.push('"');
        }
        _ => {
            let text = line.split_off(start);
            line.push_str(&serde_json::Value::from(text).to_string());
        }
    }
}

/// Calls `each` with the pairs of the record, then with those of its request.
fn for_each_pair(record: &Record<'_>, mut each: impl FnMut(&str, &Value<'_>)) {
    struct Pairs<F>(F);

    impl<'kvs, F: FnMut(&str, &Value<'_>)> VisitSource<'kvs> for Pairs<F> {
        fn visit_pair(&mut self, key: Key<'kvs>, value: Value<'kvs>) -> Result<(), Error> {
            (self.0)(key.as_str(), &value);
            Ok(())
        }
    }

    // The visitor above cannot fail.
    drop(record.key_values().visit(&mut Pairs(&mut each)));
    Caller::with(|caller| {
        each("request_id", &caller.request_id.as_str().into());
        if let Some(address) = &caller.address {
            each("address", &Value::from_display(address));
        }
        if let Some(trace) = caller.trace {
            each("trace_id", &trace.id().as_str().into());
            each("parent_id", &trace.parent().as_str().into());
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_break_cannot_forge_a_line() {
        let pairs = [("user", "x\n2026 INFO forged")];
        let args = format_args!("login\r\nof {}", "\u{1b}[31m");
        let record = Record::builder().level(log::Level::Info).target("t").args(args).key_values(&pairs).build();
        for line in [text(&record), json(&record)] {
            assert!(!line.contains(['\n', '\r', '\u{1b}']), "{line}");
        }
    }

    #[test]
    fn filter_without_a_level_is_refused() {
        for (text, is_right) in [
            ("info", true),
            ("WARN,sqlx=debug, shared_service::http=off", true),
            ("info/started", true),
            ("inof", false),
            ("info,sqlx", false),
            ("sqlx=loud", false),
        ] {
            assert_eq!(filters(text).is_some(), is_right, "{text}");
        }
    }

    #[test]
    fn names_and_values_follow_the_message() {
        let pairs = [("status", 200u64)];
        let record = Record::builder().level(log::Level::Info).args(format_args!("done")).key_values(&pairs).build();
        assert!(text(&record).ends_with("done status=200"), "{}", text(&record));
        assert!(json(&record).contains(r#""status":200"#), "{}", json(&record));
    }
}
