//! Where a caller comes from, as far as it matters how much somebody asks for.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

/// The addresses that one subscriber has: an IPv4 address, or an IPv6 network of 64 bits. Whoever is not known, a command
/// line too, is in the default one.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub struct Neighbourhood(Option<IpAddr>);

impl From<Option<IpAddr>> for Neighbourhood {
    fn from(address: Option<IpAddr>) -> Self {
        Self(address.map(|address| match address {
            IpAddr::V4(_) => address,
            IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
        }))
    }
}

impl fmt::Display for Neighbourhood {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            None => f.write_str("unknown"),
            Some(IpAddr::V4(address)) => address.fmt(f),
            Some(IpAddr::V6(network)) => write!(f, "{network}/64"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_neighbourhood_is_what_one_subscriber_has() {
        for (address, expected) in [
            ("192.0.2.1", "192.0.2.1"),
            ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
            ("2001:db8:1:2:ffff::", "2001:db8:1:2::/64"),
            ("2001:db8:1:3::", "2001:db8:1:3::/64"),
        ] {
            assert_eq!(Neighbourhood::from(address.parse().ok()).to_string(), expected);
        }
    }
}
