use std::fmt::Write;

use http::Uri;

/// Where auth-service tells what is revoked.
pub(super) struct Address {
    list: String,
    is_https: bool,
}

impl Address {
    /// The list of the auth-service at `url`; `None` where that is no bare http or https URL.
    pub(super) fn of(url: &str) -> Option<Self> {
        let uri: Uri = url.parse().ok()?;
        let is_https = match uri.scheme_str()? {
            "https" => true,
            "http" => false,
            _ => return None,
        };
        let authority = uri.authority()?;
        let has_port = authority.port_u16().is_some();
        // Credentials would come into the log, and a port that is none would be taken for no port.
        let is_plain = has_port && !authority.as_str().contains('@') || authority.as_str() == authority.host();
        let is_bare = uri.query().is_none() && !url.contains('#');
        let list = format!("{}/revocations", url.trim_end_matches('/'));
        (is_plain && is_bare && !authority.host().is_empty()).then_some(Self { list, is_https })
    }

    pub(super) const fn is_https(&self) -> bool {
        self.is_https
    }

    /// Where to ask for what is new since the cursor `after`.
    pub(super) fn since(&self, after: Option<&str>) -> String {
        after.map_or_else(|| self.list.clone(), |cursor| format!("{}?after={}", self.list, escaped(cursor)))
    }
}

/// RFC 3986 section 2.1: all but the unreserved characters, because a cursor may be any text.
fn escaped(cursor: &str) -> String {
    cursor.bytes().fold(String::with_capacity(cursor.len()), |mut text, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            text.push(char::from(byte));
        } else {
            // Writing into a text cannot fail.
            let _ = write!(text, "%{byte:02X}");
        }
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_bare_url() {
        for (url, expected, why) in [
            ("http://auth:3000", Some("http://auth:3000/revocations"), "as in compose"),
            ("http://auth:3000/", Some("http://auth:3000/revocations"), "a slash at the end"),
            ("https://auth.example.com", Some("https://auth.example.com/revocations"), "without a port"),
            ("http://[::1]:3000", Some("http://[::1]:3000/revocations"), "IPv6"),
            ("https://example.com/auth/", Some("https://example.com/auth/revocations"), "below a path"),
            ("", None, "nothing"),
            ("auth:3000", None, "no scheme"),
            ("auth", None, "a name"),
            ("/auth", None, "a path"),
            ("ftp://auth", None, "another scheme"),
            ("http://", None, "no host"),
            ("http://:3000", None, "a port without a host"),
            ("http://auth:port", None, "no number for a port"),
            ("http://auth:65536", None, "no port has that number"),
            ("http://auth:", None, "half a port"),
            ("http://me:secret@auth", None, "credentials"),
            ("http://auth?x=1", None, "a query"),
            ("http://auth#x", None, "a fragment"),
            ("http://auth 3000", None, "a space"),
            (" http://auth", None, "a space in front"),
        ] {
            assert_eq!(Address::of(url).map(|address| address.since(None)).as_deref(), expected, "{why}: {url}");
        }
    }

    #[test]
    fn a_cursor_may_be_any_text() -> Result<(), &'static str> {
        let address = Address::of("http://auth").ok_or("an address")?;
        for (cursor, query) in [("7-a_b.c~d", "7-a_b.c~d"), ("", ""), ("a b&c=d/é+%", "a%20b%26c%3Dd%2F%C3%A9%2B%25")]
        {
            assert_eq!(address.since(Some(cursor)), format!("http://auth/revocations?after={query}"));
        }
        Ok(())
    }
}
