//! Which peers a profile is for: by the name or address that a connection goes to, by where one comes from, and by the server name
//! that a client asks for.
//!
//! A name chooses by itself, and what DNS makes of it chooses nothing: an address in a list is compared with what the caller asked for,
//! where that is an address, and with where a connection comes from.

use std::fmt;
use std::net::IpAddr;

use crate::network::Network;
use crate::verify::PeerName;

/// What one word of `match` stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Destination {
    /// A host's name, without a final dot, in lower case.
    Host(String),
    /// Every name below this one, in lower case, without the leading dot that it is written with.
    Domain(String),
    /// An address, or a network of them.
    Net(Network),
}

/// Why a word is no [`Destination`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BadDestination {
    /// Neither a name nor an address.
    NotAName,
    /// What follows the `/` is no number of bits of such an address.
    BadLength,
    /// Bits behind the network's are set: which is meant?
    HostBits,
}

impl fmt::Display for BadDestination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotAName => {
                "is neither a host's name, nor a domain with a leading dot, nor an address or network"
            }
            Self::BadLength => "has no number of bits behind its '/' that such an address has",
            Self::HostBits => "is an address within a network: the bits behind its '/' are not 0",
        })
    }
}

/// Reads `192.0.2.1`, `192.0.2.0/24`, `2001:db8::/32`; brackets around an address of IPv6 are taken.
fn network(text: &str) -> Result<Network, BadDestination> {
    let (address, prefix) = match text.split_once('/') {
        Some((address, prefix)) => (address, Some(prefix)),
        None => (text, None),
    };
    let PeerName::Ip(address) = PeerName::parse(address) else {
        return Err(BadDestination::NotAName);
    };
    let most = if address.is_ipv4() { 32 } else { 128 };
    let prefix = match prefix {
        None => most,
        Some(prefix) => prefix
            .parse()
            .ok()
            .filter(|prefix| *prefix <= most)
            .ok_or(BadDestination::BadLength)?,
    };
    let network = Network::new(address, prefix);
    if network.has_host_bits() {
        return Err(BadDestination::HostBits);
    }
    Ok(network)
}

impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host(name) => f.write_str(name),
            Self::Domain(name) => write!(f, ".{name}"),
            Self::Net(network) => network.fmt(f),
        }
    }
}

/// A name as one compares it: without a final dot, in lower case. `None`: nothing that could be one.
fn name(text: &str) -> Option<String> {
    let name = text.strip_suffix('.').unwrap_or(text);
    let label = |label: &str| {
        !label.is_empty()
            && label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
    };
    name.split('.')
        .all(label)
        .then(|| name.to_ascii_lowercase())
}

impl Destination {
    /// Reads one word: `sip.example.com`, `.example.com`, `192.0.2.1`, `192.0.2.0/24`, `2001:db8::/32`.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, BadDestination> {
        if let Some(domain) = text.strip_prefix('.') {
            return name(domain)
                .map(Self::Domain)
                .ok_or(BadDestination::NotAName);
        }
        if text.contains('/') || matches!(PeerName::parse(text), PeerName::Ip(_)) {
            return network(text).map(Self::Net);
        }
        // A number is no name: `192.0.2` is an address with a mistake.
        if text
            .bytes()
            .all(|byte| byte.is_ascii_digit() || byte == b'.')
        {
            return Err(BadDestination::NotAName);
        }
        name(text).map(Self::Host).ok_or(BadDestination::NotAName)
    }

    /// How closely it fits a name: more is closer. `None`: it does not.
    fn fits_name(&self, wanted: &str) -> Option<usize> {
        match self {
            Self::Host(name) => name.eq_ignore_ascii_case(wanted).then_some(usize::MAX),
            Self::Domain(domain) => {
                let at = wanted.len().checked_sub(domain.len() + 1)?;
                let end = wanted.get(at..)?.strip_prefix('.')?;
                (at > 0 && end.eq_ignore_ascii_case(domain)).then_some(domain.len())
            }
            Self::Net(_) => None,
        }
    }

    fn fits_address(&self, address: IpAddr) -> Option<usize> {
        match self {
            Self::Net(network) => network.contains(address).then_some(network.prefix().into()),
            Self::Host(_) | Self::Domain(_) => None,
        }
    }
}

/// What chooses a profile.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selectors {
    /// `match`
    pub destinations: Vec<Destination>,
    /// `server_name`: what a client asks for (RFC 6066 3); names and domains.
    pub server_names: Vec<Destination>,
    /// Every connection that we make and that no other fits: whom it is for could not be read.
    pub is_for_the_rest: bool,
}

impl Selectors {
    /// How closely a connection to `name` fits.
    #[must_use]
    pub fn outgoing(&self, name: &PeerName) -> Option<usize> {
        let rest = self.is_for_the_rest.then_some(0);
        let fits = self.destinations.iter().filter_map(|it| match name {
            PeerName::Dns(name) => it.fits_name(name),
            PeerName::Ip(address) => it.fits_address(*address),
        });
        fits.max().or(rest)
    }

    /// How closely a connection from `address` fits.
    #[must_use]
    pub fn incoming(&self, address: IpAddr) -> Option<usize> {
        let fits = self
            .destinations
            .iter()
            .filter_map(|it| it.fits_address(address));
        fits.max()
    }

    /// How closely the server name fits that a client asks for.
    #[must_use]
    pub fn asked(&self, server_name: &str) -> Option<usize> {
        let wanted = server_name.strip_suffix('.').unwrap_or(server_name);
        let fits = self
            .server_names
            .iter()
            .filter_map(|it| it.fits_name(wanted));
        fits.max()
    }
}

/// The one that fits closest; of several that fit alike, the last.
pub fn closest<T>(all: &[T], fit: impl Fn(&T) -> Option<usize>) -> Option<&T> {
    let fitting = all.iter().filter_map(|it| Some((fit(it)?, it)));
    fitting.max_by_key(|(fit, _)| *fit).map(|(_, it)| it)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn selectors(words: &[&str]) -> Selectors {
        Selectors {
            destinations: words
                .iter()
                .map(|word| Destination::parse(word).unwrap())
                .collect(),
            ..Selectors::default()
        }
    }

    #[test]
    fn words() {
        for (word, shown) in [
            ("Sip.Example.com.", "sip.example.com"),
            (".example.com", ".example.com"),
            ("192.0.2.1", "192.0.2.1/32"),
            ("192.0.2.0/24", "192.0.2.0/24"),
            ("0.0.0.0/0", "0.0.0.0/0"),
            ("[2001:db8::1]", "2001:db8::1/128"),
            ("2001:db8::/32", "2001:db8::/32"),
            ("pbx", "pbx"),
        ] {
            assert_eq!(Destination::parse(word).unwrap().to_string(), shown);
        }
        for (word, reason) in [
            ("", BadDestination::NotAName),
            (".", BadDestination::NotAName),
            ("*.example.com", BadDestination::NotAName),
            ("sip:example.com", BadDestination::NotAName),
            ("example..com", BadDestination::NotAName),
            ("192.0.2", BadDestination::NotAName),
            ("192.0.2.1/33", BadDestination::BadLength),
            ("192.0.2.1/", BadDestination::BadLength),
            ("192.0.2.1/24", BadDestination::HostBits),
            ("2001:db8::1/64", BadDestination::HostBits),
            ("example.com/24", BadDestination::NotAName),
        ] {
            assert_eq!(Destination::parse(word), Err(reason), "{word}");
        }
    }

    #[test]
    fn names_and_addresses_outgoing() {
        let carrier = selectors(&[
            "sip.example.com",
            ".trunk.example.com",
            "192.0.2.0/24",
            "2001:db8::/32",
        ]);
        for (name, fits) in [
            ("sip.example.com", true),
            ("SIP.example.COM.", true),
            ("a.trunk.example.com", true),
            ("a.b.trunk.example.com", true),
            ("trunk.example.com", false),
            ("xtrunk.example.com", false),
            ("sip.example.com.evil.test", false),
            ("asip.example.com", false),
            ("192.0.2.7", true),
            ("192.0.3.7", false),
            ("[2001:db8::7]", true),
            ("2001:db9::7", false),
        ] {
            let name = PeerName::parse(name);
            assert_eq!(carrier.outgoing(&name).is_some(), fits, "{name}");
        }
    }

    #[test]
    fn the_closest_is_chosen() {
        let all = [
            selectors(&[".com", "10.0.0.0/8"]),
            selectors(&[".example.com", "10.1.0.0/16"]),
            selectors(&["sip.example.com", "10.1.1.1"]),
        ];
        for (name, wanted) in [
            ("sip.example.com", Some(2)),
            ("x.example.com", Some(1)),
            ("example.com", Some(0)),
            ("example.net", None),
            ("10.1.1.1", Some(2)),
            ("10.1.1.2", Some(1)),
            ("10.2.1.1", Some(0)),
            ("11.0.0.1", None),
        ] {
            let name = PeerName::parse(name);
            let found = closest(&all, |it| it.outgoing(&name));
            assert_eq!(found, wanted.map(|at: usize| &all[at]), "{name}");
        }
    }

    #[test]
    fn incoming_by_address_and_by_server_name() {
        let mut phones = selectors(&["phone.example.com", "10.0.0.0/8"]);
        assert!(phones.incoming("10.1.2.3".parse().unwrap()).is_some());
        assert!(
            phones
                .incoming("::ffff:10.1.2.3".parse().unwrap())
                .is_some()
        );
        assert!(phones.incoming("11.1.2.3".parse().unwrap()).is_none());
        assert!(phones.asked("phone.example.com").is_none());
        phones.server_names = vec![Destination::parse("a.example").unwrap()];
        assert!(phones.asked("A.Example.").is_some());
        assert!(phones.asked("b.example").is_none());
    }
}
