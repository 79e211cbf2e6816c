//! Whose keys: an address, a network, a host's name, or a PJSIP endpoint with all of these.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// Addresses with a common beginning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    /// How many bits they have in common.
    prefix: u8,
}

impl Network {
    /// Reads `192.0.2.7`, `192.0.2.0/24` or `192.0.2.0/255.255.255.0`, and the same of IPv6 with a number of bits.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (address, mask) = match text.split_once('/') {
            Some((address, mask)) => (address, Some(mask)),
            None => (text, None),
        };
        let address = bare(address).parse::<IpAddr>().ok()?.to_canonical();
        let most = if address.is_ipv4() { 32 } else { 128 };
        let prefix = match mask {
            None => most,
            Some(mask) => match mask.parse::<Ipv4Addr>() {
                Ok(mask) => {
                    let bits = mask.to_bits();
                    // Ones, and then zeros.
                    (bits.leading_ones() + bits.trailing_zeros() == 32 || bits == 0)
                        .then_some(bits.leading_ones() as u8)?
                }
                Err(_) => mask.parse().ok()?,
            },
        };
        (prefix <= most).then_some(Self { address, prefix })
    }

    /// Whether an address is one of them.
    #[must_use]
    pub fn has(&self, address: IpAddr) -> bool {
        let same = |one: u128, other: u128, most: u8| {
            let spare = u32::from(most - self.prefix);
            one.checked_shr(spare) == other.checked_shr(spare)
        };
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(one), IpAddr::V4(other)) => {
                same(one.to_bits().into(), other.to_bits().into(), 32)
            }
            (IpAddr::V6(one), IpAddr::V6(other)) => same(one.to_bits(), other.to_bits(), 128),
            _ => false,
        }
    }
}

/// What is known of a media stream.
#[derive(Debug, Clone, Copy, Default)]
pub struct Media<'a> {
    /// The PJSIP endpoint of its call; empty if that is not known.
    pub endpoint: &'a str,
    /// Where it goes to.
    pub address: Option<IpAddr>,
    /// The peer of its call: a URI, and perhaps ` at ADDRESS:PORT` behind it.
    pub peer: &'a str,
}

/// Whose keys are taken.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Peer {
    networks: Vec<Network>,
    /// The one port, of an address that was given with one.
    port: Option<u16>,
    hosts: Vec<String>,
    endpoint: Option<String>,
}

impl Peer {
    /// An address with or without a port, a network, or the name of a host that is connected to.
    #[must_use]
    pub fn named(text: &str) -> Self {
        let mut peer = Self::default();
        match text.parse::<SocketAddr>() {
            Ok(address) => {
                peer.add_host(&address.ip().to_string());
                peer.port = Some(address.port());
            }
            Err(_) => peer.add_host(text),
        }
        peer
    }

    /// A PJSIP endpoint, with the URIs of its contacts and what `identify` sections match.
    pub fn endpoint<'a>(
        name: &str,
        contacts: impl IntoIterator<Item = &'a str>,
        matches: impl IntoIterator<Item = &'a str>,
    ) -> Self {
        let mut peer = Self {
            endpoint: Some(name.to_owned()),
            ..Self::default()
        };
        for host in contacts.into_iter().filter_map(host_of) {
            peer.add_host(host);
        }
        for host in matches {
            peer.add_host(host.trim());
        }
        peer
    }

    fn add_host(&mut self, host: &str) {
        match Network::parse(host) {
            Some(network) if !self.networks.contains(&network) => self.networks.push(network),
            Some(_) => {}
            None if host.is_empty() || self.has_host(host) => {}
            None => self.hosts.push(host.to_owned()),
        }
    }

    fn has_host(&self, host: &str) -> bool {
        self.hosts
            .iter()
            .any(|known| known.eq_ignore_ascii_case(host))
    }

    /// Whether no connection can be its: an endpoint without a contact and an address.
    #[must_use]
    pub fn is_nowhere(&self) -> bool {
        self.networks.is_empty() && self.hosts.is_empty()
    }

    /// Whether a TLS connection is its: `wanted` is the name that was connected to.
    #[must_use]
    pub fn has_connection(&self, remote: SocketAddr, wanted: Option<&str>) -> bool {
        let is_port = self.port.is_none_or(|port| port == remote.port());
        is_port && self.has_address(remote.ip()) || wanted.is_some_and(|host| self.has_host(host))
    }

    /// Whether a media stream is its. Of an endpoint only its own calls are, wherever they come from.
    #[must_use]
    pub fn has_media(&self, media: Media<'_>) -> bool {
        if let Some(endpoint) = &self.endpoint {
            return endpoint == media.endpoint;
        }
        let (uri, at) = match media.peer.rsplit_once(" at ") {
            Some((uri, at)) => (uri, at.parse::<SocketAddr>().ok()),
            None => (media.peer, None),
        };
        let signaling = at.is_some_and(|at| self.has_connection(at, None));
        // A port is one of SIP's: media have others.
        let own = self.port.is_none() && media.address.is_some_and(|it| self.has_address(it));
        signaling || own || host_of(uri).is_some_and(|host| self.has_host(host))
    }

    fn has_address(&self, address: IpAddr) -> bool {
        self.networks.iter().any(|network| network.has(address))
    }
}

/// The host of a SIP URI, in angle brackets or without.
fn host_of(uri: &str) -> Option<&str> {
    let uri = uri.split_once('<').map_or(uri, |(_, rest)| rest);
    let (_, rest) = uri.split_once(':')?;
    let rest = rest.split(['>', ';', '?']).next()?;
    let rest = rest.rsplit_once('@').map_or(rest, |(_, host)| host);
    let host = match rest.strip_prefix('[') {
        Some(rest) => rest.split_once(']')?.0,
        None => rest.split(':').next()?,
    };
    (!host.is_empty()).then_some(host)
}

fn bare(address: &str) -> &str {
    address
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .unwrap_or(address)
}
