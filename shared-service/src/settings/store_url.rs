use std::fmt;
use std::str::FromStr;

use url::{ParseError, Url};

/// URL parameters that contain no secret.
const HARMLESS: [&str; 11] = [
    "mode",
    "cache",
    "sslmode",
    "sslrootcert",
    "sslcert",
    "sslkey",
    "host",
    "hostaddr",
    "port",
    "dbname",
    "application_name",
];

/// The address of a store: a URL with one host, or several separated by commas (Sentinels, or the nodes of a Cluster).
/// `Display` masks every part that may be a password, even one that is not escaped.
#[derive(Clone)]
pub struct StoreUrl(Vec<Url>);

impl StoreUrl {
    /// The URL for each host; at least one. They differ only in the host.
    #[must_use]
    pub fn hosts(&self) -> &[Url] {
        &self.0
    }
}

impl FromStr for StoreUrl {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let start = text.find("://").ok_or(ParseError::RelativeUrlWithoutBase)? + 3;
        let (scheme, rest) = text.split_at(start);
        let (authority, tail) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
        let (credentials, hosts) = authority.split_at(authority.rfind('@').map_or(0, |at| at + 1));
        let url = |host: &str| Url::parse(&format!("{scheme}{credentials}{host}{tail}"));
        hosts.split(',').map(url).collect::<Result<_, _>>().map(Self)
    }
}

impl fmt::Display for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(first) = self.0.first() else { return Ok(()) };
        write!(f, "{}://", first.scheme())?;
        let is_rest_of_a_password = first.path().contains(['@', '=', ';', ' '])
            || first.path().contains("%20")
            || first.username().contains(['=', ';'])
            || first.query().is_some_and(|query| query.contains('@'))
            || first.fragment().is_some();
        if is_rest_of_a_password {
            return f.write_str("***");
        }
        match (first.username(), first.password()) {
            (user, Some(_)) => write!(f, "{user}:***@")?,
            ("", None) => {}
            (user, None) => write!(f, "{user}@")?,
        }
        let host = |url: &Url| {
            let port = url.port().map_or_else(String::new, |port| format!(":{port}"));
            format!("{}{port}", url.host_str().unwrap_or_default())
        };
        f.write_str(&self.0.iter().map(host).collect::<Vec<_>>().join(","))?;
        f.write_str(first.path().trim_end_matches('/'))?;
        first.query().map_or(Ok(()), |query| write!(f, "?{}", without_secrets(query)))
    }
}

/// Masks all parameters but harmless names with a harmless value: a word, a number or a path.
pub(super) fn without_secrets(query: &str) -> String {
    if query.contains(['?', ';']) {
        return "***".to_owned();
    }
    let is_harmless = |value: &str| value.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-/".contains(&byte));
    let pairs = query.split('&').map(|pair| match pair.split_once('=') {
        Some((name, value)) if HARMLESS.contains(&name) && is_harmless(value) => pair.to_owned(),
        Some((name, _)) => format!("{name}=***"),
        None => "***".to_owned(),
    });
    pairs.collect::<Vec<_>>().join("&")
}
