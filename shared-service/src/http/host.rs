use std::net::IpAddr;

use actix_web::dev::ServiceRequest;
use actix_web::http::header::HOST;
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
        let host = |origin: &String| host_of(origin.split_once("://").map_or(origin, |(_, host)| host)).to_owned();
        Self::Loopback(origins.iter().map(host).collect())
    }

    /// Refuses a request with another host (RFC 9110 section 7.4). Otherwise a page of any site could call a service on
    /// loopback by DNS rebinding: the name of the site resolves to 127.0.0.1, and the browser sees one origin.
    pub(crate) fn refuse(&self, request: &ServiceRequest) -> Option<Problem> {
        (!self.takes(request)).then(|| Problem::new(ErrorCode::MisdirectedRequest))
    }

    fn takes(&self, request: &ServiceRequest) -> bool {
        let Self::Loopback(names) = self else { return true };
        let is_accepted = |authority: &str| {
            let host = host_of(authority);
            let address = match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
                Some(address) => address.parse().map(IpAddr::V6),
                None => host.parse().map(IpAddr::V4),
            };
            let is_named = |name: &str| name.eq_ignore_ascii_case(host);
            is_named("localhost")
                || address.is_ok_and(|ip| ip.to_canonical().is_loopback())
                || names.iter().any(|name| is_named(name))
        };
        let header = request.headers().get(HOST).and_then(|host| host.to_str().ok());
        header.is_some_and(is_accepted) && request.uri().authority().is_none_or(|host| is_accepted(host.as_str()))
    }
}

/// `authority` without its port.
fn host_of(authority: &str) -> &str {
    match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => authority,
    }
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
            ("::1:3000", false),
            ("[::ffff:127.0.0.1]", true),
            ("app.example", true),
            ("evil.example:3000", false),
            ("localhost.evil.example", false),
            ("evil.example.localhost", false),
            ("127.0.0.1.evil.example", false),
            ("localhost@evil.example", false),
            ("evil.example@localhost", false),
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
