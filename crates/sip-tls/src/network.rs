//! Addresses and networks, as limits count them and profiles are chosen by them.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A network: an address and how many of its first bits count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    prefix: u8,
}

impl Network {
    /// `prefix` is at most 32 of an IPv4 address, and 128 of an IPv6 one; what is beyond that is taken for it. IPv4 addresses that are
    /// written as IPv6 ones are IPv4's (RFC 4291 section 2.5.5.2).
    #[must_use]
    pub fn new(address: IpAddr, prefix: u8) -> Network {
        const MAPPED: u8 = 96;
        match (address.to_canonical(), prefix.checked_sub(MAPPED)) {
            (canonical, Some(prefix)) if canonical != address => Network {
                address: canonical,
                prefix,
            },
            _ => Network { address, prefix },
        }
    }

    /// How many bits count.
    #[must_use]
    pub fn prefix(&self) -> u8 {
        self.prefix
    }

    /// Whether bits of its address are set that do not count.
    #[must_use]
    pub fn has_host_bits(&self) -> bool {
        match self.address {
            IpAddr::V4(address) => {
                let host = u32::MAX.checked_shr(self.prefix.into()).unwrap_or(0);
                u32::from(address) & host != 0
            }
            IpAddr::V6(address) => {
                let host = u128::MAX.checked_shr(self.prefix.into()).unwrap_or(0);
                u128::from(address) & host != 0
            }
        }
    }

    /// Whether `address` is in it. An IPv4 address that is written as an IPv6 one (RFC 4291 section 2.5.5.2) is an IPv4 address.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address.to_canonical(), address.to_canonical()) {
            (IpAddr::V4(network), IpAddr::V4(address)) => {
                let beyond = u32::from(network) ^ u32::from(address);
                let host_bits = Ipv4Addr::BITS.saturating_sub(self.prefix.into());
                beyond.checked_shr(host_bits).unwrap_or(0) == 0
            }
            (IpAddr::V6(network), IpAddr::V6(address)) => {
                let beyond = u128::from(network) ^ u128::from(address);
                let host_bits = Ipv6Addr::BITS.saturating_sub(self.prefix.into());
                beyond.checked_shr(host_bits).unwrap_or(0) == 0
            }
            _ => false,
        }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

/// Who is counted as one: an IPv4 address, or a network of 64 bits of IPv6, of which one host has all addresses (RFC 6177).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Source(IpAddr);

impl Source {
    pub(crate) fn of(address: IpAddr) -> Source {
        const HOST: u128 = (1 << 64) - 1;
        Source(match address.to_canonical() {
            IpAddr::V6(address) => Ipv6Addr::from(u128::from(address) & !HOST).into(),
            v4 @ IpAddr::V4(_) => v4,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn networks_contain_what_begins_like_them() {
        for (network, prefix, address, is_in) in [
            ("192.0.2.10", 32, "192.0.2.10", true),
            ("192.0.2.10", 32, "192.0.2.11", false),
            ("192.0.2.10", 24, "192.0.2.200", true),
            ("192.0.2.10", 24, "192.0.3.10", false),
            ("0.0.0.0", 0, "203.0.113.9", true),
            ("0.0.0.0", 0, "2001:db8::1", false),
            ("192.0.2.0", 24, "::ffff:192.0.2.7", true),
            ("::ffff:192.0.2.0", 120, "192.0.2.7", true),
            ("::ffff:192.0.2.0", 120, "192.0.3.7", false),
            ("2001:db8::", 64, "2001:db8::1:2:3:4", true),
            ("2001:db8::", 64, "2001:db8:0:1::1", false),
            ("2001:db8::1", 128, "2001:db8::2", false),
            ("::", 0, "2001:db8::2", true),
            ("::", 0, "192.0.2.1", false),
            ("192.0.2.10", 255, "192.0.2.10", true),
        ] {
            assert_eq!(
                Network::new(ip(network), prefix).contains(ip(address)),
                is_in,
                "{address} in {network}/{prefix}"
            );
        }
    }

    #[test]
    fn a_network_of_64_bits_is_one_source() {
        assert_eq!(
            Source::of(ip("2001:db8::1")),
            Source::of(ip("2001:db8::ffff:ffff:ffff:ffff"))
        );
        assert_ne!(
            Source::of(ip("2001:db8::1")),
            Source::of(ip("2001:db8:0:1::1"))
        );
        assert_ne!(Source::of(ip("192.0.2.1")), Source::of(ip("192.0.2.2")));
        assert_eq!(
            Source::of(ip("192.0.2.1")),
            Source::of(ip("::ffff:192.0.2.1"))
        );
    }
}
