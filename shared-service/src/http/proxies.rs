use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Once};

use actix_web::http::header::{HeaderMap, X_FORWARDED_FOR};
use ipnet::IpNet;

use crate::settings::Settings;

/// The proxies whose `X-Forwarded-For` and `X-Request-Id` are trusted. If every sender were trusted, a client could
/// choose the address and the request id that limits and logs use.
#[derive(Clone, Debug, Default)]
pub struct TrustedProxies(Arc<[IpNet]>);

impl TrustedProxies {
    /// Reads `TRUSTED_PROXIES`.
    pub fn read(settings: &mut Settings) -> Self {
        let why =
            "Proxies whose X-Forwarded-For and X-Request-Id are trusted: addresses or networks, such as 10.0.0.0/8";
        let networks: Option<Arc<[IpNet]>> =
            settings.list("TRUSTED_PROXIES", "", why).iter().map(|text| network(text)).collect();
        if networks.is_none() {
            settings
                .wrong("TRUSTED_PROXIES", "must list addresses or networks, such as 127.0.0.1, 10.0.0.0/8, fd00::/8");
        }
        Self(networks.unwrap_or_default())
    }

    /// The client's address: the last one in the forwarding chain that is not a trusted proxy. Everything before it may
    /// be forged.
    pub(crate) fn caller(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let peer = peer.to_canonical();
        if !headers.contains_key(X_FORWARDED_FOR) {
            return peer;
        }
        if !self.trusts(peer) {
            static WARNING: Once = Once::new();
            // Behind an unknown proxy, all clients have one address and share its limits.
            WARNING.call_once(|| {
                log::warn!(
                    "{peer} sends X-Forwarded-For, which is ignored; if that is a proxy of yours, add it to TRUSTED_PROXIES"
                );
            });
            return peer;
        }
        let mut caller = peer;
        let values: Vec<&str> = headers.get_all(X_FORWARDED_FOR).map(|value| value.to_str().unwrap_or("?")).collect();
        for hop in values.iter().rev().flat_map(|value| value.rsplit(',')) {
            let Some(hop) = address(hop.trim()) else { break };
            caller = hop;
            if !self.trusts(hop) {
                break;
            }
        }
        caller
    }

    pub(crate) fn trusts(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        let wide = if let IpAddr::V4(ip) = address { ip.to_ipv6_mapped().into() } else { address };
        self.0.iter().any(|network| network.contains(&address) || network.contains(&wide))
    }
}

/// Parses `192.0.2.1`, `192.0.2.1:80`, `2001:db8::1`, `[2001:db8::1]`, `[2001:db8::1]:80`: proxies write all forms.
fn address(text: &str) -> Option<IpAddr> {
    let bare = || text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text).parse().ok();
    let address: Option<IpAddr> = bare().or_else(|| text.parse().ok().map(|with_port: SocketAddr| with_port.ip()));
    address.map(|address| address.to_canonical())
}

/// Parses a network, or a single address.
fn network(text: &str) -> Option<IpNet> {
    text.parse().ok().or_else(|| text.parse().ok().map(IpAddr::into))
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::HeaderValue;

    use super::*;

    fn proxies(list: &str) -> TrustedProxies {
        let mut settings = Settings::from_pairs([("TRUSTED_PROXIES", list)]);
        let proxies = TrustedProxies::read(&mut settings);
        assert!(settings.finish().is_ok(), "{list}");
        proxies
    }

    #[test]
    fn only_what_a_trusted_proxy_wrote_counts() {
        let cases: [(&str, &str, &[&str], &str, &str); 20] = [
            ("", "192.0.2.9", &[], "192.0.2.9", "no header"),
            ("", "192.0.2.9", &["1.1.1.1"], "192.0.2.9", "nobody is trusted"),
            ("10.0.0.1", "192.0.2.9", &["1.1.1.1"], "192.0.2.9", "another is trusted"),
            ("10.0.0.1", "10.0.0.1", &["192.0.2.9"], "192.0.2.9", "the proxy's word"),
            ("10.0.0.1", "::ffff:10.0.0.1", &["192.0.2.9"], "192.0.2.9", "the proxy on a socket of both families"),
            ("10.0.0.1", "10.0.0.1", &["6.6.6.6, 192.0.2.9"], "192.0.2.9", "what the client wrote before it"),
            ("10.0.0.1", "10.0.0.1", &["6.6.6.6", "192.0.2.9"], "192.0.2.9", "the same in two headers"),
            ("10.0.0.0/8", "10.0.0.1", &["6.6.6.6, 192.0.2.9, 10.9.9.9"], "192.0.2.9", "two proxies"),
            ("10.0.0.0/8", "10.0.0.1", &["10.0.0.7, 10.9.9.9"], "10.0.0.7", "nobody but proxies: the farthest"),
            ("10.0.0.0/8", "10.0.0.1", &["192.0.2.9, garbage, 10.9.9.9"], "10.9.9.9", "nothing behind garbage"),
            ("10.0.0.0/8", "10.0.0.1", &["\u{e9}"], "10.0.0.1", "no text"),
            ("10.0.0.0/8", "10.0.0.1", &[""], "10.0.0.1", "an empty one"),
            ("10.0.0.0/8", "11.0.0.1", &["1.1.1.1"], "11.0.0.1", "just outside"),
            ("::1, fd00::/8", "fd12::1", &["2001:db8::5"], "2001:db8::5", "IPv6"),
            ("fd00::/8", "fd12::1", &["[2001:db8::5]:4711"], "2001:db8::5", "with a port"),
            ("10.0.0.1", "10.0.0.1", &["192.0.2.9:4711"], "192.0.2.9", "IPv4 with a port"),
            ("0.0.0.0/0", "10.0.0.1", &["2001:db8::5, 192.0.2.9"], "2001:db8::5", "all of IPv4, and no more"),
            ("::/0", "10.0.0.1", &["192.0.2.9"], "192.0.2.9", "all there is"),
            ("::ffff:10.0.0.0/104", "10.0.0.1", &["192.0.2.9"], "192.0.2.9", "IPv4 as IPv6 writes it"),
            ("::ffff:10.0.0.1", "10.0.0.1", &["192.0.2.9"], "192.0.2.9", "one address of that kind"),
        ];
        for (trusted, peer, forwarded, caller, why) in cases {
            let mut headers = HeaderMap::new();
            for value in forwarded {
                headers.append(X_FORWARDED_FOR, HeaderValue::from_bytes(value.as_bytes()).unwrap());
            }
            let found = proxies(trusted).caller(peer.parse().unwrap(), &headers);
            assert_eq!(found.to_string(), caller, "{why}");
        }
    }

    #[test]
    fn invalid_trusted_proxy_stops_the_start() {
        for list in ["10.0.0.0/33", "::/129", "10.0.0", "proxy.example", "10.0.0.1/", "*", "10.0.0.0/-1"] {
            let mut settings = Settings::from_pairs([("TRUSTED_PROXIES", list)]);
            TrustedProxies::read(&mut settings);
            let error = settings.finish().err().map(|error| error.to_string()).unwrap_or_default();
            assert!(error.contains("TRUSTED_PROXIES must list"), "{list}: {error}");
        }
    }
}
