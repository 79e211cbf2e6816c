//! `[tls]`: how much clients may take, and who stands for many of them.

use std::net::IpAddr;
use std::time::Duration;

use super::Variable;
use super::parse::{names, number};

/// An address and how many of its first bits count.
pub type Network = (IpAddr, u8);

/// The most connections that one source has by default: what a large site behind one address has, with 0.5 GB of memory.
const MOST_OF_SOURCE: usize = 20_000;
/// What one address may have of the descriptors that connections may take, by default: others come in beside it.
const SHARE_OF_SOURCE: (usize, usize) = (3, 4);
/// The part of all descriptors that is kept for media and the console, by default.
const RESERVE: usize = 4;
/// More than this part is not kept, whatever the file says: nobody could connect.
const MOST_RESERVE: usize = 2;
/// How many seconds' connections may come at once.
const BURST: usize = 10;

/// How much clients may take. A limit of `None` is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// `max_connections`
    pub connections: Option<usize>,
    /// `max_connections_per_source`
    pub connections_per_source: Auto,
    /// `max_handshakes`
    pub handshakes: Option<usize>,
    /// `max_handshakes_per_source`
    pub handshakes_per_source: Option<usize>,
    /// `connection_rate_per_source`, per second.
    pub rate_per_source: Option<usize>,
    /// `reserve_descriptors`
    pub reserve_descriptors: Auto,
    /// `trusted_sources`
    pub trusted: Vec<Network>,
    /// `proxy_protocol_from`
    pub balancers: Vec<Network>,
    /// `acl`: a section of acl.conf.
    pub acl: Option<String>,
    /// `write_queue`: octets. Read when the module is loaded, as all below.
    pub write_queue: usize,
    /// `trunk_write_queue`: the same of a connection that we make.
    pub trunk_write_queue: usize,
    /// `idle_timeout`
    pub idle_timeout: Option<Duration>,
    /// `tcp_user_timeout`
    pub tcp_user_timeout: Option<Duration>,
}

/// A number that depends on how many descriptors there are, unless the file says one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Auto {
    /// `auto`
    Auto,
    /// 0 is none.
    Set(usize),
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: None,
            connections_per_source: Auto::Auto,
            handshakes: Some(10_000),
            handshakes_per_source: Some(5_000),
            rate_per_source: Some(200),
            reserve_descriptors: Auto::Auto,
            trusted: Vec::new(),
            balancers: Vec::new(),
            acl: None,
            write_queue: 1024 * 1024,
            trunk_write_queue: 4 * 1024 * 1024,
            idle_timeout: None,
            // Timer B and F of RFC 3261: a request whose octets have no acknowledgement by then has failed anyway.
            tcp_user_timeout: Some(Duration::from_secs(32)),
        }
    }
}

impl Limits {
    /// The options' names.
    pub(super) const OPTIONS: &'static str = "max_connections, max_connections_per_source, max_handshakes, max_handshakes_per_source, \
                                              connection_rate_per_source, reserve_descriptors, trusted_sources, proxy_protocol_from, acl, \
                                              write_queue, trunk_write_queue, idle_timeout, tcp_user_timeout";

    /// Sets one. `None`: it is none of these.
    pub(super) fn set(&mut self, variable: &Variable) -> Option<Result<(), String>> {
        fn put<T>(slot: &mut T, value: Result<T, String>) -> Result<(), String> {
            *slot = value?;
            Ok(())
        }
        let value = variable.value.as_str();
        Some(match variable.name.as_str() {
            "max_connections" => put(&mut self.connections, limit(value)),
            "max_connections_per_source" => put(&mut self.connections_per_source, auto(value)),
            "max_handshakes" => put(&mut self.handshakes, limit(value)),
            "max_handshakes_per_source" => put(&mut self.handshakes_per_source, limit(value)),
            "connection_rate_per_source" => put(&mut self.rate_per_source, limit(value)),
            "reserve_descriptors" => put(&mut self.reserve_descriptors, auto(value)),
            "trusted_sources" => put(&mut self.trusted, networks(value)),
            "proxy_protocol_from" => put(&mut self.balancers, networks(value)),
            "acl" => {
                self.acl = (!value.is_empty()).then(|| value.to_owned());
                Ok(())
            }
            "write_queue" => put(&mut self.write_queue, queue(value)),
            "trunk_write_queue" => put(&mut self.trunk_write_queue, queue(value)),
            "idle_timeout" => put(&mut self.idle_timeout, seconds(value, 10_000_000)),
            "tcp_user_timeout" => put(&mut self.tcp_user_timeout, seconds(value, 86_400)),
            _ => return None,
        })
    }

    /// The descriptors with this number and higher ones are not for connections, of a process that may have `limit` open.
    pub fn descriptors(&self, limit: Option<u64>) -> Option<usize> {
        let limit = usize::try_from(limit?).unwrap_or(usize::MAX);
        let reserve = match self.reserve_descriptors {
            Auto::Auto => limit / RESERVE,
            Auto::Set(0) => return None,
            Auto::Set(reserve) => reserve.min(limit / MOST_RESERVE),
        };
        Some(limit - reserve)
    }

    /// The connections of one source.
    pub fn connections_per_source(&self, limit: Option<u64>) -> Option<usize> {
        match self.connections_per_source {
            Auto::Set(0) => None,
            Auto::Set(connections) => Some(connections),
            Auto::Auto => {
                let (part, whole) = SHARE_OF_SOURCE;
                let of_descriptors = self
                    .descriptors(limit)
                    .map_or(usize::MAX, |descriptors| descriptors / whole * part);
                Some(of_descriptors.min(MOST_OF_SOURCE))
            }
        }
    }

    /// The new connections of one source: per second, and at once.
    pub fn rate(&self) -> Option<(u32, u32)> {
        let rate = self.rate_per_source?;
        let of = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        Some((of(rate), of(rate.saturating_mul(BURST))))
    }

    /// The options as the file writes them.
    pub fn shown(&self) -> Vec<(&'static str, String)> {
        let limit = |limit: Option<usize>| limit.unwrap_or(0).to_string();
        let time = |time: Option<Duration>| time.map_or(0, |time| time.as_secs()).to_string();
        let auto = |auto: Auto| match auto {
            Auto::Auto => "auto".to_owned(),
            Auto::Set(number) => number.to_string(),
        };
        vec![
            ("max_connections", limit(self.connections)),
            (
                "max_connections_per_source",
                auto(self.connections_per_source),
            ),
            ("max_handshakes", limit(self.handshakes)),
            (
                "max_handshakes_per_source",
                limit(self.handshakes_per_source),
            ),
            ("connection_rate_per_source", limit(self.rate_per_source)),
            ("reserve_descriptors", auto(self.reserve_descriptors)),
            ("trusted_sources", shown(&self.trusted)),
            ("proxy_protocol_from", shown(&self.balancers)),
            ("acl", self.acl.clone().unwrap_or_default()),
            ("write_queue", self.write_queue.to_string()),
            ("trunk_write_queue", self.trunk_write_queue.to_string()),
            ("idle_timeout", time(self.idle_timeout)),
            ("tcp_user_timeout", time(self.tcp_user_timeout)),
        ]
    }
}

/// Networks, as the file writes them.
pub fn shown(networks: &[Network]) -> String {
    let of = |(address, prefix): &Network| match (address, prefix) {
        (IpAddr::V4(_), 32) | (IpAddr::V6(_), 128) => address.to_string(),
        _ => format!("{address}/{prefix}"),
    };
    networks.iter().map(of).collect::<Vec<_>>().join(", ")
}

/// A number; 0 is no limit.
fn limit(value: &str) -> Result<Option<usize>, String> {
    let limit = number(value, 0, 10_000_000)?;
    Ok((limit > 0).then_some(limit))
}

fn auto(value: &str) -> Result<Auto, String> {
    if value == "auto" {
        return Ok(Auto::Auto);
    }
    number(value, 0, 10_000_000)
        .map(Auto::Set)
        .map_err(|reason| format!("{reason}, or auto"))
}

/// Octets: a message of the largest size fits.
fn queue(value: &str) -> Result<usize, String> {
    number(value, 65_536, 1 << 30)
}

/// Seconds; 0 is never.
fn seconds(value: &str, most: usize) -> Result<Option<Duration>, String> {
    let seconds = number(value, 0, most)?;
    Ok((seconds > 0).then(|| Duration::from_secs(seconds as u64)))
}

/// `192.0.2.10, 192.0.2.0/24, 2001:db8::/64`
pub(super) fn networks(value: &str) -> Result<Vec<Network>, String> {
    names(value).iter().map(|name| network(name)).collect()
}

fn network(name: &str) -> Result<Network, String> {
    let (address, prefix) = match name.split_once('/') {
        Some((address, prefix)) => (address, Some(prefix)),
        None => (name, None),
    };
    let address: IpAddr = address
        .trim()
        .parse()
        .map_err(|_| format!("'{name}' is not an address like 192.0.2.10 or 2001:db8::/64"))?;
    let bits: u8 = if address.is_ipv4() { 32 } else { 128 };
    let prefix = match prefix {
        None => bits,
        Some(prefix) => prefix
            .trim()
            .parse()
            .ok()
            .filter(|prefix| *prefix <= bits)
            .ok_or_else(|| format!("'{name}': behind the / there is a number from 0 to {bits}"))?,
    };
    Ok((address, prefix))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_leave_a_part_of_the_descriptors_and_a_part_of_the_connections() {
        let limits = Limits::default();
        assert_eq!(limits.descriptors(Some(1024)), Some(768));
        assert_eq!(limits.connections_per_source(Some(1024)), Some(576));
        assert_eq!(limits.connections_per_source(Some(65_536)), Some(20_000));
        assert_eq!(limits.descriptors(None), None);
        assert_eq!(limits.connections_per_source(None), Some(20_000));
        assert_eq!(limits.rate(), Some((200, 2000)));
    }

    #[test]
    fn a_reserve_leaves_half_for_connections() {
        let limits = |reserve| Limits {
            reserve_descriptors: Auto::Set(reserve),
            ..Limits::default()
        };
        assert_eq!(limits(100).descriptors(Some(1024)), Some(924));
        assert_eq!(limits(2000).descriptors(Some(1024)), Some(512));
        assert_eq!(limits(0).descriptors(Some(1024)), None);
    }

    #[test]
    fn networks_are_read_and_shown() {
        let text = "192.0.2.10, 192.0.2.0/24, 2001:db8::/64, ::1";
        let read = networks(text).unwrap();
        assert_eq!(read.len(), 4);
        assert_eq!(shown(&read), text);
        assert_eq!(networks(""), Ok(Vec::new()));
        for bad in [
            "192.0.2.10/33",
            "192.0.2",
            "host.example",
            "::1/129",
            "1.2.3.4/",
            "/8",
        ] {
            networks(bad).unwrap_err();
        }
    }
}
