//! The network of a client: the unit of rate limits and of turns in the password queue.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The prefix length of the smallest IPv6 network of one subscriber, in bits.
const SUBSCRIBER: u32 = 64;
/// The prefix length of the largest one, in bits.
const SITE: u32 = 48;

/// The addresses of one subscriber: an IPv4 address, or an IPv6 network of 64 bits. The default is for clients without
/// an address, such as a command.
///
/// An IPv4 address is the same network in all its IPv6 forms: mapped (`::ffff:0:0/96`), and translated by NAT64 (RFC
/// 6052, `64:ff9b::/96`).
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub struct ClientNetwork {
    network: Option<IpAddr>,
    bits: u32,
}

impl ClientNetwork {
    /// The surrounding IPv6 network of 48 bits, which a subscriber may own as a whole. An IPv4 address is its own site.
    pub(crate) fn site(self) -> Self {
        match self.network {
            Some(IpAddr::V6(network)) => Self::of(network, SITE),
            _ => self,
        }
    }

    fn of(address: Ipv6Addr, bits: u32) -> Self {
        let network = Ipv6Addr::from_bits(address.to_bits() >> (128 - bits) << (128 - bits));
        Self { network: Some(network.into()), bits }
    }
}

impl From<Option<IpAddr>> for ClientNetwork {
    fn from(address: Option<IpAddr>) -> Self {
        match address.map(without_translation) {
            Some(IpAddr::V6(address)) => Self::of(address, SUBSCRIBER),
            network => Self { network, bits: 0 },
        }
    }
}

/// The IPv4 address embedded in an IPv6 address; any other address unchanged.
fn without_translation(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(translated) if translated.segments()[..6] == [0x64, 0xff9b, 0, 0, 0, 0] => {
            let [.., a, b, c, d] = translated.octets();
            Ipv4Addr::new(a, b, c, d).into()
        }
        address => address,
    }
}

impl fmt::Display for ClientNetwork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.network {
            None => f.write_str("unknown"),
            Some(IpAddr::V4(address)) => address.fmt(f),
            Some(IpAddr::V6(network)) => write!(f, "{network}/{}", self.bits),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ipv6_network_has_64_bits_and_ipv4_is_one_address() {
        for (address, expected, site) in [
            ("192.0.2.1", "192.0.2.1", "192.0.2.1"),
            ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64", "2001:db8:1::/48"),
            ("2001:db8:1:2:ffff::", "2001:db8:1:2::/64", "2001:db8:1::/48"),
            ("2001:db8:1:3::", "2001:db8:1:3::/64", "2001:db8:1::/48"),
            ("2001:db8:2:3::", "2001:db8:2:3::/64", "2001:db8:2::/48"),
            ("::ffff:192.0.2.1", "192.0.2.1", "192.0.2.1"),
            ("64:ff9b::192.0.2.1", "192.0.2.1", "192.0.2.1"),
            ("64:ff9b::c000:202", "192.0.2.2", "192.0.2.2"),
            ("64:ff9b:1::192.0.2.1", "64:ff9b:1::/64", "64:ff9b:1::/48"),
            ("", "unknown", "unknown"),
        ] {
            let network = ClientNetwork::from(address.parse().ok());
            assert_eq!((network.to_string(), network.site().to_string()), (expected.into(), site.into()));
        }
    }
}
