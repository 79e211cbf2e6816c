//! From a name to the addresses of its servers for SIP over TLS: NAPTR, SRV, A and AAAA, each shown.

use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::time::Instant;

use simple_dns::TYPE;

use super::client::Record;
use super::{Client, Trouble};
use crate::code::Code;
use crate::options::Options;
use crate::report::{Finding, Stage, Step};

/// SIP over TLS, where nothing else is said (RFC 3261 19.1.2).
const SIPS_PORT: u16 = 5061;
/// NAPTR's service for SIP over TLS (RFC 3263 4.1).
const SIPS_D2T: &str = "SIPS+D2T";
/// Addresses that are looked at.
const MOST: usize = 8;

/// An address, and the server of an SRV record that it belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) address: SocketAddr,
    pub(crate) srv: Option<String>,
}

/// What was found.
#[derive(Debug)]
pub(crate) struct Located {
    pub(crate) step: Step,
    /// In the order in which a client has to try them.
    pub(crate) targets: Vec<Target>,
}

/// Where the servers of `options.host` are.
pub(crate) fn locate(options: &Options, end: Option<Instant>) -> Located {
    if let Ok(ip) = options.host.parse::<IpAddr>() {
        let address = SocketAddr::new(ip, options.port.unwrap_or(SIPS_PORT));
        return Located {
            step: Step::not_tried(Stage::Dns, "an address was given"),
            targets: vec![Target { address, srv: None }],
        };
    }
    let mut search = Search {
        client: Client::new(options.dns, options.timeout, end),
        step: Step::new(Stage::Dns),
        targets: Vec::new(),
    };
    search.name(&options.host, options.port);
    search.targets.truncate(MOST);
    Located {
        step: search.step,
        targets: search.targets,
    }
}

struct Search {
    client: Client,
    step: Step,
    targets: Vec<Target>,
}

impl Search {
    fn name(&mut self, host: &str, port: Option<u16>) {
        // RFC 6761 6.3: never asked of the DNS.
        let local = host.eq_ignore_ascii_case("localhost")
            || host.to_ascii_lowercase().ends_with(".localhost");
        if local {
            return self.system(host, port.unwrap_or(SIPS_PORT));
        }
        if port.is_none() {
            let service = self
                .naptr(host)
                .unwrap_or_else(|| format!("_sips._tcp.{host}"));
            if self.srv(&service) {
                return;
            }
        }
        let port = port.unwrap_or(SIPS_PORT);
        match self.addresses(host) {
            Ok(addresses) if !addresses.is_empty() => self.add(addresses, port, None),
            Ok(_) => self.nowhere(host, port, Code::DnsNoAddress, String::new()),
            Err(Trouble::UnknownName) => {
                self.nowhere(host, port, Code::DnsNameUnknown, String::new())
            }
            Err(Trouble::Failed(what)) => self.nowhere(host, port, Code::DnsFailed, what),
            Err(Trouble::NoAnswer(what)) => self.nowhere(host, port, Code::DnsNoAnswer, what),
        }
    }

    /// The name of the SRV record that NAPTR leads to.
    fn naptr(&mut self, host: &str) -> Option<String> {
        let records = match self.client.ask(host, TYPE::NAPTR) {
            Ok(records) => records,
            Err(trouble) => {
                self.step.fact(format!("NAPTR {host}: {}", told(&trouble)));
                return None;
            }
        };
        let mut found: Vec<(u16, u16, String, String)> = Vec::new();
        for record in records {
            if let Record::Naptr {
                order,
                preference,
                flags,
                service,
                replacement,
            } = record
            {
                self.step.fact(format!(
                    "NAPTR {host}: {order} {preference} \"{flags}\" \"{service}\" {replacement}"
                ));
                found.push((order, preference, service, replacement));
            }
        }
        if found.is_empty() {
            self.step.fact(format!("NAPTR {host}: none"));
            return None;
        }
        found.sort();
        let ours = found
            .iter()
            .find(|(_, _, service, _)| service.eq_ignore_ascii_case(SIPS_D2T));
        if ours.is_none()
            && found
                .iter()
                .any(|(_, _, service, _)| service.to_ascii_uppercase().starts_with("SIP"))
        {
            let services: Vec<&str> = found
                .iter()
                .map(|(_, _, service, _)| service.as_str())
                .collect();
            self.step
                .add(Finding::new(Code::NaptrWithoutTls, services.join(", ")));
        }
        ours.map(|(_, _, _, replacement)| replacement.clone())
    }

    /// Whether there are SRV records, whatever has become of them.
    fn srv(&mut self, service: &str) -> bool {
        let records = match self.client.ask(service, TYPE::SRV) {
            Ok(records) => records,
            Err(trouble) => {
                self.step.fact(format!("SRV {service}: {}", told(&trouble)));
                return false;
            }
        };
        let mut found: Vec<(u16, u16, u16, String)> = Vec::new();
        for record in records {
            if let Record::Srv {
                priority,
                weight,
                port,
                target,
            } = record
            {
                self.step.fact(format!(
                    "SRV {service}: {priority} {weight} {port} {target}"
                ));
                found.push((priority, weight, port, target));
            }
        }
        if found.is_empty() {
            self.step.fact(format!("SRV {service}: none"));
            return false;
        }
        if let [(_, _, _, target)] = &found[..]
            && (target.is_empty() || target == ".")
        {
            self.step.add(Finding::new(Code::SrvDenied, service));
            return true;
        }
        // RFC 2782: the lowest priority first; among equals the heaviest, so that two runs do the same.
        found.sort_by(|one, other| (one.0, other.1).cmp(&(other.0, one.1)));
        let mut lost = Vec::new();
        for (_, _, port, target) in found {
            match self.addresses(&target) {
                Ok(addresses) if !addresses.is_empty() => self.add(addresses, port, Some(&target)),
                Ok(_) => lost.push(target),
                Err(trouble) => lost.push(format!("{target} ({})", told(&trouble))),
            }
        }
        let code = if self.targets.is_empty() {
            Code::SrvTargetsUnknown
        } else {
            Code::SrvTargetUnknown
        };
        for target in lost {
            self.step.add(Finding::new(code, target));
        }
        true
    }

    /// AAAA and A; a failure only if there is no address at all.
    fn addresses(&mut self, host: &str) -> Result<Vec<IpAddr>, Trouble> {
        let mut all = Vec::new();
        let mut trouble = None;
        for (word, kind) in [("AAAA", TYPE::AAAA), ("A", TYPE::A)] {
            match self.client.ask(host, kind) {
                Ok(records) => {
                    let addresses = records.iter().filter_map(|record| match record {
                        Record::Address(address) => Some(*address),
                        _ => None,
                    });
                    let before = all.len();
                    all.extend(addresses);
                    let words: Vec<String> =
                        all[before..].iter().map(ToString::to_string).collect();
                    self.step.fact(format!(
                        "{word} {host}: {}",
                        if words.is_empty() {
                            "none".to_owned()
                        } else {
                            words.join(", ")
                        }
                    ));
                }
                Err(error) => {
                    self.step.fact(format!("{word} {host}: {}", told(&error)));
                    trouble = Some(error);
                }
            }
        }
        match trouble {
            Some(trouble) if all.is_empty() => Err(trouble),
            _ => Ok(all),
        }
    }

    fn add(&mut self, addresses: Vec<IpAddr>, port: u16, srv: Option<&str>) {
        for address in addresses {
            let target = Target {
                address: SocketAddr::new(address, port),
                srv: srv.map(str::to_owned),
            };
            if !self
                .targets
                .iter()
                .any(|known| known.address == target.address)
            {
                self.targets.push(target);
            }
        }
    }

    /// The DNS has no address: this machine's own files may.
    fn nowhere(&mut self, host: &str, port: u16, code: Code, detail: String) {
        self.system(host, port);
        if self.targets.is_empty() {
            self.step
                .findings
                .retain(|finding| finding.code != Code::DnsNotInDns);
            let detail = if detail.is_empty() {
                host.to_owned()
            } else {
                format!("{host}, {detail}")
            };
            self.step.add(Finding::new(code, detail));
        }
    }

    /// What the system's resolver says (getaddrinfo), which reads `/etc/hosts`.
    fn system(&mut self, host: &str, port: u16) {
        let addresses: Vec<IpAddr> = (host, port)
            .to_socket_addrs()
            .map(|all| all.map(|address| address.ip()).collect())
            .unwrap_or_default();
        if addresses.is_empty() {
            return;
        }
        let words: Vec<String> = addresses.iter().map(ToString::to_string).collect();
        self.step
            .fact(format!("the system's resolver: {}", words.join(", ")));
        self.step.add(Finding::new(Code::DnsNotInDns, host));
        self.add(addresses, port, None);
    }
}

fn told(trouble: &Trouble) -> String {
    match trouble {
        Trouble::UnknownName => "the name does not exist".to_owned(),
        Trouble::Failed(what) => format!("the name server failed ({what})"),
        Trouble::NoAnswer(what) => format!("no answer ({what})"),
    }
}
