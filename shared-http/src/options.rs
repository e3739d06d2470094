use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use actix_web::http::header::HeaderName;

use crate::{Settings, TlsFiles, TrustedProxies, memory};

/// What every HTTP server of the stack is told.
#[derive(Clone, Debug)]
pub struct ServerOptions {
    /// The service's name, for the log.
    pub name: &'static str,
    /// Where it listens; port 0 takes a free one.
    pub addr: SocketAddr,
    /// Threads that serve requests.
    pub workers: usize,
    /// Connections that are open at once, those of the metrics too. More wait to be accepted.
    pub max_connections: usize,
    /// Origins whose pages may call (CORS); none by default.
    pub allowed_origins: Vec<String>,
    /// The header that may carry an access token, too.
    pub token_header: Option<HeaderName>,
    /// Whether those pages may send cookies.
    pub cookies: bool,
    /// Whether a server on a loopback address takes requests to `localhost`, to loopback addresses and to the hosts of
    /// `allowed_origins` alone. Not behind a proxy, which passes on the name that it was called by.
    pub loopback_names_only: bool,
    /// The proxies whose `X-Forwarded-For` and `X-Request-Id` count.
    pub trusted_proxies: TrustedProxies,
    /// HTTPS, where there is a certificate.
    pub tls: Option<TlsFiles>,
    /// Where it shows its metrics, by plain HTTP and to whoever asks; nowhere, and nothing is counted, where it is `None`.
    pub metrics: Option<SocketAddr>,
}

impl ServerOptions {
    /// Reads what is common to all services; the address stands in `addr`, and that of the metrics in `metrics`.
    pub fn read(
        settings: &mut Settings,
        name: &'static str,
        (addr, default): (&'static str, &'static str),
        metrics: &'static str,
    ) -> Self {
        Self {
            name,
            addr: settings.parsed(
                addr,
                default,
                "an address and a port, such as 127.0.0.1:8080",
                "Where the service listens",
            ),
            metrics: metrics_addr(settings, metrics),
            workers: match settings.parsed("WORKERS", "0", "a number", "Threads that serve requests; 0 is one a core") {
                0 => std::thread::available_parallelism().map_or(1, usize::from),
                some => some,
            },
            max_connections: memory::connections(),
            allowed_origins: origins(settings),
            token_header: None,
            cookies: false,
            loopback_names_only: false,
            trusted_proxies: TrustedProxies::read(settings),
            tls: TlsFiles::read(settings),
        }
    }

    /// Where this machine asks the service whether it is ready.
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
    let why = "Where the service shows its metrics to Prometheus, such as 127.0.0.1:9100; nowhere by default";
    let text = settings.optional(name, why)?;
    text.parse().map_err(|_| settings.wrong(name, "must be an address such as 127.0.0.1:9100")).ok()
}

fn origins(settings: &mut Settings) -> Vec<String> {
    let why = "Origins whose pages may call from a browser, such as https://app.example";
    let origins = settings.list("ALLOWED_ORIGINS", "", why);
    if !origins.iter().all(|origin| is_origin(origin)) {
        settings
            .wrong("ALLOWED_ORIGINS", "must list origins as browsers write them: https://app.example, no path, no *");
    }
    origins
}

/// Scheme, host and perhaps a port, in lower case and nothing behind (RFC 6454 section 6.2).
fn is_origin(text: &str) -> bool {
    let host = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    host.is_some_and(|host| {
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-._:[]".contains(&byte);
        !host.is_empty() && host.bytes().all(plain)
    })
}

#[cfg(test)]
mod tests {
    use super::is_origin;

    #[test]
    fn an_origin_has_one_spelling() {
        for origin in
            ["https://app.example", "http://localhost:5173", "http://[::1]:8080", "https://xn--bcher-kva.example"]
        {
            assert!(is_origin(origin), "{origin}");
        }
        for text in ["*", "null", "app.example", "https://", "https://app.example/", "https://App.example", "ftp://a.b"]
        {
            assert!(!is_origin(text), "{text}");
        }
    }
}
