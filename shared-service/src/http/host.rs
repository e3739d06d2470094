use std::net::IpAddr;

use actix_web::dev::ServiceRequest;
use actix_web::http::header::HOST;
use actix_web::http::uri::Authority;
use shared_claims::{ErrorCode, Problem};

/// The hosts accepted in `Host`.
#[derive(Debug)]
pub(crate) enum Hosts {
    /// Every host.
    Any,
    /// `localhost`, loopback addresses, and the hosts of these origins.
    Loopback(Vec<String>),
}

impl Hosts {
    /// The accepted hosts of a service that listens on loopback.
    pub(crate) fn loopback(origins: &[String]) -> Self {
        let host = |origin: &String| host_of(origin.split_once("://").map_or(origin, |(_, authority)| authority));
        Self::Loopback(origins.iter().filter_map(host).collect())
    }

    /// Refuses a request with another host (RFC 9110 section 7.4). Otherwise a page of any site could call a service on
    /// loopback by DNS rebinding: the name of the site resolves to 127.0.0.1, and the browser sees one origin.
    pub(crate) fn refuse(&self, request: &ServiceRequest) -> Option<Problem> {
        (!self.takes(request)).then(|| Problem::new(ErrorCode::MisdirectedRequest))
    }

    fn takes(&self, request: &ServiceRequest) -> bool {
        let Self::Loopback(names) = self else { return true };
        let is_named = |name: String| {
            let address = name.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
            name == "localhost" || names.contains(&name) || address.is_ok_and(|ip| ip.to_canonical().is_loopback())
        };
        let header = request.headers().get(HOST).and_then(|host| host_of(host.to_str().ok()?));
        header.is_some_and(is_named)
            && request.uri().authority().and_then(|host| host_of(host.as_str())).is_none_or(is_named)
    }
}

/// The host of `authority`, in lower case, without the port.
fn host_of(authority: &str) -> Option<String> {
    authority.parse::<Authority>().ok().map(|authority| authority.host().to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    #[test]
    fn request_names_loopback_or_an_allowed_origin() {
        let hosts = Hosts::loopback(&["https://app.example:8443".to_owned()]);
        for (host, taken) in [
            ("localhost", true),
            ("LocalHost:3000", true),
            ("127.0.0.1:3000", true),
            ("127.8.8.8", true),
            ("[::1]:3000", true),
            ("[::ffff:127.0.0.1]", true),
            ("app.example", true),
            ("evil.example:3000", false),
            ("localhost.evil.example", false),
            ("evil.example.localhost", false),
            ("127.0.0.1.evil.example", false),
            ("localhost@evil.example", false),
            ("192.168.0.7:3000", false),
            ("0.0.0.0:3000", false),
            ("[::]:3000", false),
            ("", false),
        ] {
            let request = TestRequest::default().insert_header((HOST, host)).to_srv_request();
            assert_eq!(hosts.takes(&request), taken, "{host}");
            assert!(Hosts::Any.takes(&request), "{host}");
        }
        assert!(!hosts.takes(&TestRequest::default().to_srv_request()), "no host");
        for (target, taken) in [("http://localhost:3000/me", true), ("http://evil.example/me", false)] {
            let request = TestRequest::with_uri(target).insert_header((HOST, "localhost")).to_srv_request();
            assert_eq!(hosts.takes(&request), taken, "{target}");
        }
    }
}
