use std::fmt::Write as _;
use std::io::Write;
use std::str::FromStr;

use env_logger::fmt::Formatter;
use log::kv::{Error, Key, Value, VisitSource};
use log::{LevelFilter, ParseLevelError, Record};
use serde_json::Map;
use strum::EnumString;

use crate::clock::{now_ms, rfc3339};
use crate::http::Caller;
use crate::settings::Settings;

#[derive(Clone, Copy, EnumString)]
#[strum(serialize_all = "lowercase")]
enum Format {
    Text,
    Json,
}

/// Levels and `module=level` with commas between them, as `env_logger` reads them. It takes any other word for a module.
struct Filters(String);

impl FromStr for Filters {
    type Err = ParseLevelError;

    fn from_str(text: &str) -> Result<Self, ParseLevelError> {
        let parts =
            text.split('/').next().unwrap_or_default().split(',').map(str::trim).filter(|part| !part.is_empty());
        let mut levels = parts.map(|part| part.rsplit('=').next().unwrap_or_default().trim().parse::<LevelFilter>());
        levels.try_for_each(|level| level.map(drop)).map(|()| Self(text.to_owned()))
    }
}

/// Starts the log on standard error, as `RUST_LOG` and `LOG_FORMAT` say. A second call changes nothing.
pub fn start_logging(settings: &mut Settings) {
    let Filters(filter) = settings.parsed(
        "RUST_LOG",
        "info",
        "a level (error, warn, info, debug, trace, off) or module=level, with commas between them",
        "Log level: error, warn, info or debug, also per module",
    );
    let format = settings.parsed("LOG_FORMAT", "text", "text or json", "Format of a log line: text or json");
    let mut log = env_logger::Builder::new();
    // actix-http logs its threads, and each connection that is not HTTP as an error.
    log.filter_module("actix_http", LevelFilter::Off);
    // redis logs each connection attempt; auth-service logs each outage once.
    log.filter_module("redis", LevelFilter::Off);
    log.filter_module("actix_server", LevelFilter::Warn)
        .parse_filters(&filter)
        .format(move |out, record| write(format, out, record));
    // Fails if a logger is installed already, as in a process with two services.
    drop(log.try_init());
}

fn write(format: Format, out: &mut Formatter, record: &Record<'_>) -> std::io::Result<()> {
    let line = match format {
        Format::Text => text(record),
        Format::Json => json(record),
    };
    writeln!(out, "{line}")
}

/// `time LEVEL target message name=value …`. Line breaks in values are escaped, so a value cannot forge a line.
fn text(record: &Record<'_>) -> String {
    let mut line = format!("{} {:5} {} ", rfc3339(now_ms()), record.level(), record.target());
    push_escaped(&mut line, &record.args().to_string());
    for (name, value) in pairs(record) {
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let plain = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'"');
        line.push(' ');
        line.push_str(&name);
        line.push('=');
        if plain { line.push_str(&value) } else { line.push_str(&serde_json::Value::from(value).to_string()) }
    }
    line
}

fn json(record: &Record<'_>) -> String {
    let mut object = Map::new();
    object.insert("time".to_owned(), rfc3339(now_ms()).into());
    object.insert("level".to_owned(), record.level().as_str().into());
    object.insert("target".to_owned(), record.target().into());
    object.insert("message".to_owned(), record.args().to_string().into());
    object.extend(pairs(record));
    serde_json::Value::Object(object).to_string()
}

/// Escapes control characters, including line breaks, as `\n` or `\u{1b}`.
fn push_escaped(line: &mut String, text: &str) {
    for character in text.chars() {
        if character.is_control() || matches!(character, '\u{2028}' | '\u{2029}') {
            // Writing to a String cannot fail.
            let _ = write!(line, "{}", character.escape_default());
        } else {
            line.push(character);
        }
    }
}

/// The key-value pairs of the record and of its request; numbers stay numbers.
fn pairs(record: &Record<'_>) -> Map<String, serde_json::Value> {
    struct Pairs(Map<String, serde_json::Value>);

    impl<'kvs> VisitSource<'kvs> for Pairs {
        fn visit_pair(&mut self, key: Key<'kvs>, value: Value<'kvs>) -> Result<(), Error> {
            let value = value.to_u64().map_or_else(|| value.to_string().into(), serde_json::Value::from);
            self.0.insert(key.to_string(), value);
            Ok(())
        }
    }

    let mut pairs = Pairs(Map::new());
    // The visitor above cannot fail.
    drop(record.key_values().visit(&mut pairs));
    Caller::with(|caller| {
        pairs.0.insert("request_id".to_owned(), caller.request_id.as_str().into());
        if let Some(address) = caller.address {
            pairs.0.insert("address".to_owned(), address.to_string().into());
        }
        if let Some(trace) = caller.trace {
            pairs.0.insert("trace_id".to_owned(), trace.id().into());
            pairs.0.insert("parent_id".to_owned(), trace.parent().into());
        }
    });
    pairs.0
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
            assert_eq!(text.parse::<Filters>().is_ok(), is_right, "{text}");
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
