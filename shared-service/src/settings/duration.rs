use std::time::Duration;

/// Parses a duration: a number and one of `ms s m h d`, or a number of seconds.
pub(crate) fn parse(text: &str) -> Option<Duration> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().ok()?;
    let seconds = match unit {
        "ms" => return Some(Duration::from_millis(number)),
        "" | "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86400,
        _ => return None,
    };
    // At most a hundred years: more is a typing error and would overflow clock arithmetic.
    number.checked_mul(seconds).filter(|seconds| *seconds <= 100 * 365 * 86400).map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_a_number_and_a_unit() {
        let cases = [
            ("10s", Some(10)),
            ("15m", Some(900)),
            ("12h", Some(43_200)),
            ("7d", Some(604_800)),
            ("0", Some(0)),
            ("90", Some(90)),
            ("", None),
            ("s", None),
            ("-1s", None),
            ("1.5h", None),
            ("7 d", None),
            ("1w", None),
            ("99999999999999999999d", None),
            ("300000000d", None),
        ];
        for (text, seconds) in cases {
            assert_eq!(parse(text), seconds.map(Duration::from_secs), "{text}");
        }
    }
}
