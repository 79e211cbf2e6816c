//! What is to be looked at.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use sip_tls::{ProfileConfig, Sni};

/// A peer, and how it is looked at. Times are limits for single waits (a TCP connection, a handshake, an answer).
#[derive(Clone)]
pub struct Options {
    /// A name, an IPv4 address, or an IPv6 address with or without brackets.
    pub host: String,
    /// Without it the DNS decides, and 5061 where that says nothing (RFC 3263).
    pub port: Option<u16>,
    /// The name that its certificate must have, and that is sent as SNI; without it `host`.
    pub name: Option<String>,
    /// Our certificate, the CAs, versions, ciphers, and what is asked of its certificate: as the transport of a call to it has them, or
    /// its profile in `ciphertrunk.conf`. Where it names no CAs, those of the system are trusted.
    pub tls: ProfileConfig,
    /// Where no CAs are given, those of the system are meant; without it that is a fault of ours, and judged by them all the same.
    pub system_cas: bool,
    /// The limit of one wait.
    pub timeout: Duration,
    /// The limit of everything. What is not done by then is not tried.
    pub limit: Option<Duration>,
    /// Our own address, for connections to addresses of its family; the system's choice without it.
    pub local: Option<IpAddr>,
    /// The name server; without it those of `/etc/resolv.conf`.
    pub dns: Option<SocketAddr>,
    /// The URI of our From, `sip:user@host`.
    pub from: Option<String>,
    /// The number, or the SIP URI, that is called once for each suite, if calls are to be tried.
    pub call: Option<String>,
}

impl Options {
    /// The limit of one wait, where nothing else is asked for.
    pub const TIMEOUT: Duration = Duration::from_secs(5);

    /// To look at `target`, `HOST[:PORT]`, with every default. `None` if it is none.
    #[must_use]
    pub fn new(target: &str) -> Option<Options> {
        let (host, port) = host_port(target)?;
        Some(Options {
            host,
            port,
            name: None,
            tls: ProfileConfig {
                verify_server: true,
                ..ProfileConfig::default()
            },
            system_cas: true,
            timeout: Options::TIMEOUT,
            limit: None,
            local: None,
            dns: None,
            from: None,
            call: None,
        })
    }

    /// Whether it says whose certificates are good.
    pub(crate) fn names_cas(&self) -> bool {
        self.tls.ca_list_file.is_some() || self.tls.ca_list_path.is_some()
    }

    /// The server name that is sent: names only (RFC 6066 3).
    pub(crate) fn server_name(&self) -> Option<&str> {
        match &self.tls.sni {
            Sni::Asked => Some(self.name()).filter(|name| name.parse::<IpAddr>().is_err()),
            Sni::Off => None,
            Sni::Name(name) => Some(name),
        }
    }

    /// The name that counts: what the certificate is for.
    #[must_use]
    pub fn name(&self) -> &str {
        self.name.as_deref().unwrap_or(&self.host)
    }
}

/// `HOST`, `HOST:PORT`, `[V6]`, `[V6]:PORT`, or a bare IPv6 address.
fn host_port(target: &str) -> Option<(String, Option<u16>)> {
    let target = target.trim();
    if target.parse::<std::net::Ipv6Addr>().is_ok() {
        return Some((target.to_owned(), None));
    }
    let (host, port) = match target.strip_prefix('[') {
        Some(rest) => {
            let (host, rest) = rest.split_once(']')?;
            host.parse::<std::net::Ipv6Addr>().ok()?;
            match rest.strip_prefix(':') {
                Some(port) => (host, Some(port)),
                None if rest.is_empty() => (host, None),
                None => return None,
            }
        }
        None => match target.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (target, None),
        },
    };
    let port = match port {
        Some(port) => Some(port.parse().ok().filter(|port| *port != 0)?),
        None => None,
    };
    let host = host.strip_suffix('.').unwrap_or(host);
    let good = !host.is_empty()
        && host
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b".-_:".contains(&byte));
    good.then(|| (host.to_owned(), port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn server_names() {
        let mut options = Options::new("192.0.2.1:5061").unwrap();
        assert_eq!(options.server_name(), None);
        options.name = Some("sip.example.com".to_owned());
        assert_eq!(options.server_name(), Some("sip.example.com"));
        options.tls.sni = Sni::Name("a.example".to_owned());
        assert_eq!(options.server_name(), Some("a.example"));
        options.tls.sni = Sni::Off;
        assert_eq!(options.server_name(), None);
    }

    #[test]
    fn targets() {
        for (text, host, port) in [
            ("sip.example.com", "sip.example.com", None),
            ("sip.example.com.:5061", "sip.example.com", Some(5061)),
            ("192.0.2.1:5062", "192.0.2.1", Some(5062)),
            ("[2001:db8::1]:5061", "2001:db8::1", Some(5061)),
            ("[2001:db8::1]", "2001:db8::1", None),
            ("2001:db8::1", "2001:db8::1", None),
        ] {
            assert_eq!(host_port(text), Some((host.to_owned(), port)), "{text}");
        }
        for text in [
            "", ":5061", "a:0", "a:65536", "a:b", "[a]:1", "[::1]x", "a b", "sip:a", "a/b",
        ] {
            assert_eq!(host_port(text), None, "{text}");
        }
    }
}
