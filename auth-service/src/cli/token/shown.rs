use serde_json::{Map, Value};
use shared_service::clock::rfc3339;

use super::super::console::printable;
use super::parts::{Part, Parts};

/// The claims that are times, in seconds since 1970.
const TIMES: [&str; 4] = ["iat", "nbf", "exp", "auth_time"];

/// Header and claims, a member a line, times readable.
pub(super) fn lines(parts: &Parts, now_ms: i64) -> Vec<String> {
    let mut lines = part("header", &parts.header, now_ms);
    lines.extend(part("claims", &parts.claims, now_ms));
    lines.push("signature".to_owned());
    lines.push(match parts.signature {
        Some(bytes) => format!("  {bytes} bytes, not shown, not checked: auth-service token verify"),
        None => "  not base64url, or not there".to_owned(),
    });
    if parts.segments != 3 {
        lines
            .push(format!("not a token: it has {} segments with points between them, and must have 3", parts.segments));
    }
    lines
}

fn part(name: &str, part: &Part, now_ms: i64) -> Vec<String> {
    let mut lines = vec![name.to_owned()];
    match part {
        Part::Object(members) => lines.extend(members_of(members, now_ms)),
        Part::NotAnObject => lines.push("  not a JSON object, or one with a name twice".to_owned()),
        Part::NotBase64 => lines.push("  not base64url, or not there".to_owned()),
    }
    lines
}

fn members_of(members: &Map<String, Value>, now_ms: i64) -> impl Iterator<Item = String> {
    let width = members.keys().map(|name| name.chars().count()).max().unwrap_or_default();
    members.iter().map(move |(name, value)| {
        let when = Some(value).filter(|_| TIMES.contains(&name.as_str())).and_then(Value::as_i64);
        let when = when.map_or_else(String::new, |seconds| format!("  {}", moment(seconds, now_ms)));
        format!("  {:width$}  {}{when}", printable(name), printable(&value.to_string()))
    })
}

/// `2026-01-31T12:00:00Z, 14 min ago`.
pub(super) fn moment(seconds: i64, now_ms: i64) -> String {
    let text = rfc3339(seconds.saturating_mul(1000)).replace(".000Z", "Z");
    let away = seconds.saturating_sub(now_ms / 1000);
    let span = span(away.unsigned_abs());
    match away {
        0 => format!("{text}, now"),
        1.. => format!("{text}, in {span}"),
        _ => format!("{text}, {span} ago"),
    }
}

/// A time in its two greatest units.
pub(super) fn span(seconds: u64) -> String {
    let (days, hours, minutes, seconds) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, _) => format!("{minutes} min {seconds} s"),
        (0, ..) => format!("{hours} h {minutes} min"),
        _ => format!("{days} d {hours} h"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_says_how_far_away_it_is() {
        let now_ms = 1_769_860_800_250;
        for (seconds, expected) in [
            (1_769_860_800, "2026-01-31T12:00:00Z, now"),
            (1_769_860_859, "2026-01-31T12:00:59Z, in 59 s"),
            (1_769_861_701, "2026-01-31T12:15:01Z, in 15 min 1 s"),
            (1_769_853_600, "2026-01-31T10:00:00Z, 2 h 0 min ago"),
            (1_769_256_000, "2026-01-24T12:00:00Z, 7 d 0 h ago"),
        ] {
            assert_eq!(moment(seconds, now_ms), expected);
        }
        assert!(moment(i64::MAX, now_ms).starts_with("1970"), "beyond what can be written");
    }
}
