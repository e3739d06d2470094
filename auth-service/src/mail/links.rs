use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use secrecy::ExposeSecret;
use url::Url;

use super::tickets::{Purpose, Ticket};

/// The address of auth-service as a browser sees it. Every link begins with it, never with a request's `Host`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicUrl(Url);

impl PublicUrl {
    /// The URL of the page that redeems `ticket`. Its fragment reaches no server, log or `Referer`.
    pub(super) fn link(&self, purpose: Purpose, ticket: &Ticket) -> String {
        format!("{self}/{}#token={}", purpose.into_str(), ticket.expose_secret())
    }

    /// The host name that auth-service sends to a mail server in `EHLO`.
    pub(super) fn host(&self) -> &str {
        // A URL of HTTP has a host.
        self.0.host_str().unwrap_or_default()
    }

    /// True if links go over HTTP to another machine.
    pub fn travels_in_clear(&self) -> bool {
        self.0.scheme() == "http" && !is_loopback(self.host())
    }
}

impl FromStr for PublicUrl {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        let is_bare = |url: &Url| {
            url.username().is_empty() && url.password().is_none() && url.query().or(url.fragment()).is_none()
        };
        let url = Url::parse(text).ok().filter(|url| is_bare(url) && ["http", "https"].contains(&url.scheme()));
        url.map(Self).ok_or("must be an address such as https://auth.example.org, without user, query and fragment")
    }
}

impl fmt::Display for PublicUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_str().trim_end_matches('/'))
    }
}

/// True if the host of a URL is this machine.
pub(super) fn is_loopback(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn public_url_is_a_web_address_without_decoration() {
        for (text, expected) in [
            ("https://auth.example.org", Some("https://auth.example.org")),
            ("https://Example.org/auth/", Some("https://example.org/auth")),
            ("http://localhost:3000/", Some("http://localhost:3000")),
            ("auth.example.org", None),
            ("ftp://auth.example.org", None),
            ("https://", None),
            ("https://user@auth.example.org", None),
            ("https://auth.example.org/?a=b", None),
            ("https://auth.example.org/#a", None),
        ] {
            assert_eq!(text.parse::<PublicUrl>().ok().map(|url| url.to_string()).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn http_to_another_machine_travels_in_clear() {
        for (text, expected) in
            [("http://auth.example.org", true), ("https://auth.example.org", false), ("http://[::1]:3000", false)]
        {
            assert_eq!(text.parse::<PublicUrl>().map(|url| url.travels_in_clear()), Ok(expected), "{text}");
        }
    }
}
