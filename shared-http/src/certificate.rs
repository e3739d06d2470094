//! From when until when a certificate is good (RFC 5280 section 4.1.2.5). rustls checks such dates, but does not tell them.

use time::{Date, Month, PrimitiveDateTime, Time};

const SEQUENCE: u8 = 0x30;
const VERSION: u8 = 0xa0;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;

/// When a certificate is good, in seconds since 1970.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) from: i64,
    pub(crate) until: i64,
}

/// Reads the dates of a certificate in DER; `None` where it is none.
pub(crate) fn validity(certificate: &[u8]) -> Option<Span> {
    let mut certificate = Elements(certificate).next_of(SEQUENCE)?;
    let mut signed = certificate.next_of(SEQUENCE)?;
    if signed.0.first() == Some(&VERSION) {
        signed.next_any()?;
    }
    // Serial number, algorithm, issuer.
    for _ in 0..3 {
        signed.next_any()?;
    }
    let mut dates = signed.next_of(SEQUENCE)?;
    Some(Span { from: instant(dates.next_any()?)?, until: instant(dates.next_any()?)? })
}

/// What is left of a row of DER elements.
struct Elements<'a>(&'a [u8]);

impl<'a> Elements<'a> {
    /// The next element: its tag and what is in it.
    fn next_any(&mut self) -> Option<(u8, &'a [u8])> {
        let (&[tag, first], rest) = self.0.split_first_chunk()?;
        let (length, rest) = match first {
            0..=0x7f => (usize::from(first), rest),
            0x81..=0x84 => {
                let (bytes, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
                (bytes.iter().fold(0, |length, byte| length << 8 | usize::from(*byte)), rest)
            }
            _ => return None,
        };
        let (content, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        Some((tag, content))
    }

    /// What is in the next element, if that is a `tag`.
    fn next_of(&mut self, tag: u8) -> Option<Self> {
        self.next_any().filter(|(found, _)| *found == tag).map(|(_, content)| Self(content))
    }
}

/// `YYMMDDHHMMSSZ` before 2050, `YYYYMMDDHHMMSSZ` from then on.
fn instant((tag, content): (u8, &[u8])) -> Option<i64> {
    let text = std::str::from_utf8(content).ok()?.strip_suffix('Z')?;
    let (year, rest) = text.split_at_checked(match tag {
        UTC_TIME => 2,
        GENERALIZED_TIME => 4,
        _ => return None,
    })?;
    let year: i32 = year.parse().ok()?;
    let year = match (tag, year) {
        (UTC_TIME, 0..50) => 2000 + year,
        (UTC_TIME, _) => 1900 + year,
        _ => year,
    };
    let number = |at: usize| rest.get(at..at + 2)?.parse::<u8>().ok();
    let date = Date::from_calendar_date(year, Month::try_from(number(0)?).ok()?, number(2)?).ok()?;
    let time = Time::from_hms(number(4)?, number(6)?, number(8)?).ok()?;
    Some(PrimitiveDateTime::new(date, time).assume_utc().unix_timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_of_a_date_are_read() {
        for (tag, text, expected, why) in [
            (UTC_TIME, "260131120000Z", Some(1_769_860_800), "this century"),
            (UTC_TIME, "700101000000Z", Some(0), "the one before"),
            (GENERALIZED_TIME, "20500101000000Z", Some(2_524_608_000), "beyond two digits"),
            (UTC_TIME, "260231120000Z", None, "no such day"),
            (UTC_TIME, "2601311200Z", None, "no seconds"),
            (UTC_TIME, "260131120000", None, "no time zone"),
            (SEQUENCE, "260131120000Z", None, "no date"),
            (UTC_TIME, "é", None, "no digits"),
        ] {
            assert_eq!(instant((tag, text.as_bytes())), expected, "{why}");
        }
    }

    #[test]
    fn what_is_no_certificate_has_no_dates() {
        for bytes in [&b""[..], b"0", b"\x30\x84\xff\xff\xff\xff", b"\x30\x80\x00\x00", b"\x30\x02\x30\x00", b"text"] {
            assert_eq!(validity(bytes), None, "{bytes:?}");
        }
    }
}
