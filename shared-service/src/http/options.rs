use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use url::Url;

use super::{TlsFiles, TrustedProxies, descriptors, memory};
use crate::settings::Settings;

/// The maximum number of threads of actix-server, which panics with more.
const MOST_WORKERS: usize = 512;

/// The options of an HTTP server.
#[derive(Clone, Debug)]
pub struct ServerOptions {
    /// The service's name, for the log.
    pub name: &'static str,
    /// The settings of its address and of its metrics address.
    pub settings: [&'static str; 2],
    /// The address to listen on; port 0 picks a free one.
    pub addr: SocketAddr,
    /// Threads that serve requests.
    pub workers: usize,
    /// The maximum number of open connections. More wait to be accepted.
    pub max_connections: usize,
    /// Origins allowed by CORS, as browsers write them.
    pub allowed_origins: Vec<String>,
    /// True if pages of those origins may send cookies.
    pub cookies: bool,
    /// True if a server on a loopback address accepts only requests to `localhost`, to loopback addresses and to the
    /// hosts of `allowed_origins`. Turn it off behind a proxy that passes on its own host name.
    pub loopback_names_only: bool,
    /// The proxies whose `X-Forwarded-For` and `X-Request-Id` are trusted.
    pub trusted_proxies: TrustedProxies,
    /// HTTPS, if a certificate is configured.
    pub tls: Option<TlsFiles>,
    /// The address for metrics, over plain HTTP without authentication; `None` disables metrics.
    pub metrics: Option<SocketAddr>,
}

impl ServerOptions {
    /// Reads the settings common to all services; `addr` and `metrics` name those of the two addresses.
    pub fn read(
        settings: &mut Settings,
        name: &'static str,
        (addr, default): (&'static str, &'static str),
        metrics: &'static str,
    ) -> Self {
        Self {
            name,
            settings: [addr, metrics],
            addr: settings.parsed(
                addr,
                default,
                "an address and a port, such as 127.0.0.1:8080",
                "Address and port of the service",
            ),
            metrics: metrics_addr(settings, metrics),
            workers: match settings.read(
                "WORKERS",
                "0",
                "a number, at most 512",
                "Threads for requests; 0 is one per core",
                |text| text.parse().ok().filter(|workers| *workers <= MOST_WORKERS),
            ) {
                0 => std::thread::available_parallelism().map_or(1, usize::from).min(MOST_WORKERS),
                some => some,
            },
            max_connections: memory::connections().min(descriptors::connections()),
            allowed_origins: origins(settings),
            cookies: false,
            loopback_names_only: false,
            trusted_proxies: TrustedProxies::read(settings),
            tls: TlsFiles::read(settings),
        }
    }

    /// The origin of the service to a browser on this machine.
    #[must_use]
    pub fn local_url(&self) -> String {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://localhost:{}", self.addr.port())
    }

    /// The URL of the readiness check, as seen from this machine.
    #[must_use]
    pub fn ready_url(&self) -> String {
        let ip = match self.addr.ip() {
            IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
            ip => ip,
        };
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://{}/readyz", SocketAddr::new(ip, self.addr.port()))
    }
}

fn metrics_addr(settings: &mut Settings, name: &'static str) -> Option<SocketAddr> {
    let why = "Address and port of /metrics for Prometheus, such as 127.0.0.1:9100";
    let text = settings.optional(name, why)?;
    text.parse().map_err(|_| settings.wrong(name, "must be an address such as 127.0.0.1:9100")).ok()
}

fn origins(settings: &mut Settings) -> Vec<String> {
    let why = "Origins whose pages may call from a browser, such as https://app.example";
    let listed = settings.list("ALLOWED_ORIGINS", "", why);
    let origins: Result<_, String> = listed.iter().map(|text| origin(text)).collect();
    origins.unwrap_or_else(|remedy| {
        settings.wrong("ALLOWED_ORIGINS", remedy);
        Vec::new()
    })
}

/// Normalizes the origin `text` as browsers do: lower case, host in ASCII, no default port (RFC 6454 section 6.2).
///
/// # Errors
/// `text` is not an origin; the message completes the name of the setting and names the remedy.
pub fn origin(text: &str) -> Result<String, String> {
    let readable = !text.contains(|c: char| c == '*' || c.is_whitespace() || c.is_control());
    let behind = text.split_once("://").filter(|_| readable).map(|(_, behind)| behind);
    let url = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
    let (Some(behind), Some(url)) = (behind, url) else {
        return Err("must list origins as browsers send them, such as https://app.example: no *, not null".to_owned());
    };
    let origin = url.origin().ascii_serialization();
    if behind.contains(['/', '\\', '?', '#', '@']) {
        return Err(format!("must list origins, which are scheme, host and port alone: write {origin}"));
    }
    Ok(origin)
}

#[cfg(test)]
mod tests {
    use super::origin;

    #[test]
    fn origin_is_read_into_the_spelling_of_browsers() {
        for (text, read) in [
            ("https://app.example", "https://app.example"),
            ("https://app.example:443", "https://app.example"),
            ("http://app.example:80", "http://app.example"),
            ("https://app.example:80", "https://app.example:80"),
            ("HTTPS://App.EXAMPLE:0443", "https://app.example"),
            ("https://app.example:", "https://app.example"),
            ("http://localhost:5173", "http://localhost:5173"),
            ("http://[::1]:8080", "http://[::1]:8080"),
            ("http://[0:0::0:1]", "http://[::1]"),
            ("https://bücher.example:443", "https://xn--bcher-kva.example"),
            ("https://BÜCHER.example", "https://xn--bcher-kva.example"),
            ("https://xn--bcher-kva.example", "https://xn--bcher-kva.example"),
        ] {
            assert_eq!(origin(text).as_deref(), Ok(read), "{text}");
        }
    }

    #[test]
    fn anything_but_an_origin_is_refused_with_the_remedy() {
        for text in
            ["*", "null", "app.example", "app.example:443", "https://", "https:app.example", "https:/app.example"]
                .into_iter()
                .chain([
                    "https://*.example",
                    "https://app.exam ple",
                    "https://app.\texample",
                    "ftp://a.example",
                    "file:///a",
                ])
                .chain(["https://app.example:99999", "https://[::1"])
        {
            assert!(origin(text).is_err_and(|error| error.contains("such as https://app.example")), "{text}");
        }
        for text in
            ["https://app.example/", "https://app.example/path", "https://app.example:443?", "https://app.example#a"]
                .into_iter()
                .chain(["https://user:secret@app.example", "HTTPS://APP.example/", "https://app.example\\"])
        {
            let error = origin(text).unwrap_err();
            assert!(error.ends_with(": write https://app.example") && !error.contains("secret"), "{text}: {error}");
        }
    }
}
