use reqwest::Url;

/// The URL of the revocation list of the auth-service at `url`; `None` if that is not a plain http or https URL.
pub(super) fn of_list(url: &str) -> Option<Url> {
    let mut list = bare(url)?;
    list.path_segments_mut().ok()?.pop_if_empty().push("revocations");
    Some(list)
}

/// Parses `url` if it is a plain http or https URL: no credentials, query or fragment.
pub(super) fn bare(url: &str) -> Option<Url> {
    let parsed = Url::parse(url).ok()?;
    let is_http = ["http", "https"].contains(&parsed.scheme()) && url[parsed.scheme().len()..].starts_with("://");
    // Credentials would be logged. The URL parser would accept white space and an empty port; here they are errors.
    let is_plain = !url.contains(|c: char| c == '@' || c.is_whitespace()) && !url.trim_end_matches('/').ends_with(':');
    let is_bare = parsed.query().is_none() && parsed.fragment().is_none();
    (is_http && is_plain && is_bare).then_some(parsed)
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
            ("http:auth", None, "no slashes"),
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
            assert_eq!(of_list(url).as_ref().map(Url::as_str), expected, "{why}: {url}");
        }
    }
}
