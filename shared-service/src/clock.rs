//! The wall clock. Code below the routes takes the time as an argument.

use std::num::NonZeroU8;
use std::time::SystemTime;

use time::OffsetDateTime;
use time::format_description::well_known::Iso8601;
use time::format_description::well_known::iso8601::{Config, EncodedConfig, TimePrecision};

/// RFC 3339, a profile of ISO 8601; always with milliseconds, so that the texts sort in the order of time.
const MILLISECONDS: EncodedConfig =
    Config::DEFAULT.set_time_precision(TimePrecision::Second { decimal_digits: NonZeroU8::new(3) }).encode();

/// Milliseconds since 1970-01-01T00:00:00Z; 0 if the clock is set before that.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "this is the one place")]
pub fn now_ms() -> i64 {
    SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

/// Parses an instant into milliseconds since 1970. Accepts RFC 3339 and the forms that databases write: a space instead
/// of the `T`, an offset without minutes, no offset (UTC), or only a date.
#[must_use]
pub fn instant(text: &str) -> Option<i64> {
    let text = text.replacen(' ', "T", 1);
    let parse = |end| OffsetDateTime::parse(&format!("{text}{end}"), &Iso8601::PARSING).ok();
    let instant = ["", "Z", "T00:00Z"].into_iter().find_map(parse)?;
    i64::try_from(instant.unix_timestamp_nanos() / 1_000_000).ok()
}

/// The instant `ms` (as from [`now_ms`]) as RFC 3339 text in UTC with milliseconds, `2026-01-31T12:00:00.000Z`.
#[must_use]
pub fn rfc3339(ms: i64) -> String {
    let instant =
        OffsetDateTime::from_unix_timestamp_nanos(i128::from(ms) * 1_000_000).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    instant.format(&Iso8601::<MILLISECONDS>).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instant_is_written_in_utc() {
        assert_eq!(rfc3339(0), "1970-01-01T00:00:00.000Z");
        assert_eq!(rfc3339(1_769_860_800_250), "2026-01-31T12:00:00.250Z");
    }

    #[test]
    fn instant_is_read_from_the_forms_of_databases() {
        for (text, expected) in [
            ("2026-01-31T12:00:00.250Z", Some(1_769_860_800_250)),
            ("2026-01-31T13:00:00+01:00", Some(1_769_860_800_000)),
            ("2026-01-31T12:00:00.250+0000", Some(1_769_860_800_250)),
            ("2026-01-31 12:00:00.25+00", Some(1_769_860_800_250)),
            ("2026-01-31 13:00:00.250123+01", Some(1_769_860_800_250)),
            ("2026-01-31 12:00:00", Some(1_769_860_800_000)),
            ("1970-01-01", Some(0)),
            ("Sat Jan 31 2026 12:00:00 GMT+0000", None),
            ("31.01.2026", None),
            ("yesterday", None),
            ("", None),
        ] {
            assert_eq!(instant(text), expected, "{text}");
        }
    }
}
