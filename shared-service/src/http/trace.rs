use actix_web::http::header::{HeaderMap, HeaderName};

pub(crate) const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// The trace that a request belongs to, from `traceparent` (W3C Trace Context).
///
/// Accepted from every client, unlike the request id: the trace id names the client's own operation, and requests of
/// two clients with one trace id still have different request ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Trace {
    id: u128,
    parent: u64,
}

impl Trace {
    /// The trace in the `traceparent` header; `None` if the header is absent, invalid or sent more than once.
    pub(crate) fn of(headers: &HeaderMap) -> Option<Self> {
        let mut values = headers.get_all(TRACEPARENT);
        let (value, None) = (values.next()?, values.next()) else { return None };
        Self::parse(value.to_str().ok()?)
    }

    /// Parses version, `-`, 32 hex digits of the trace id, `-`, 16 of the parent id, `-`, 2 of flags. A version after
    /// 00 may append more, and is parsed as if it were 00 (section 3.2.4).
    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.splitn(5, '-');
        let mut number = |digits: usize| {
            let part = parts.next().filter(|part| part.len() == digits)?;
            let is_hex = part.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
            u128::from_str_radix(part, 16).ok().filter(|_| is_hex)
        };
        let (version, id) = (number(2)?, number(32)?);
        let (parent, _flags) = (u64::try_from(number(16)?).ok()?, number(2)?);
        let is_known = version != 0xff && (version > 0 || parts.next().is_none());
        (is_known && id != 0 && parent != 0).then_some(Self { id, parent })
    }

    /// The trace id, for the log: 32 hex digits.
    pub(crate) fn id(self) -> String {
        format!("{:032x}", self.id)
    }

    /// The parent id, for the log: 16 hex digits.
    pub(crate) fn parent(self) -> String {
        format!("{:016x}", self.parent)
    }
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::HeaderValue;

    use super::*;

    const GOOD: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn a_traceparent_is_taken_to_the_letter() {
        let cases = [
            (GOOD, true, "the example of the standard"),
            ("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00", true, "not sampled"),
            ("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-ff", true, "flags that nobody knows"),
            ("00-00000000000000000000000000000001-0000000000000001-01", true, "small ids"),
            ("", false, "empty"),
            ("01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", true, "a later version"),
            ("cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-what-the-future", true, "with more to say"),
            ("cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01.what", false, "which has to be apart"),
            ("0-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", false, "half a version"),
            ("ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", false, "no version"),
            ("00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01", false, "upper case"),
            ("00-4bf92f3577b34da6a3ce929d0e0e4736-00F067AA0BA902B7-01", false, "upper case in the parent"),
            ("00-4bf92f3577b34da6a3ce929d0e0e473-00f067aa0ba902b7-01", false, "a short trace"),
            ("00-4bf92f3577b34da6a3ce929d0e0e47361-00f067aa0ba902b7-01", false, "a long trace"),
            ("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b-01", false, "a short parent"),
            ("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-1", false, "short flags"),
            ("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0x", false, "flags that are no number"),
            ("00-+bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", false, "a sign"),
            ("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7", false, "no flags"),
            ("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-00", false, "more behind it"),
            ("00-00000000000000000000000000000000-00f067aa0ba902b7-01", false, "no trace"),
            ("00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01", false, "no parent"),
            (" 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", false, "a space"),
        ];
        for (value, taken, why) in cases {
            assert_eq!(Trace::parse(value).is_some(), taken, "{why}");
        }
    }

    #[test]
    fn second_traceparent_is_ignored() {
        let mut headers = HeaderMap::new();
        assert_eq!(Trace::of(&headers), None);
        headers.append(TRACEPARENT, HeaderValue::from_static(GOOD));
        let trace = Trace::of(&headers).unwrap();
        assert_eq!((trace.id().as_str(), trace.parent().as_str()), (&GOOD[3..35], &GOOD[36..52]));
        headers.append(TRACEPARENT, HeaderValue::from_static(GOOD));
        assert_eq!(Trace::of(&headers), None, "even where they agree");
    }
}
