//! `ciphertrunk.conf`: the model, the parser, and what is doubtful about a file that is good.

pub mod limits;
mod parse;
#[cfg(feature = "tls")]
mod profile;

#[cfg(test)]
mod tests;
#[cfg(all(test, feature = "tls"))]
mod tests_tls;

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use packet_crypto::Kernels;
use srtp::sdes::MkiRule;
use srtp::{SessionParams, Suite};

use crate::demand::{BadDemand, Demand};

pub use parse::{Problem, fallback, parse};
#[cfg(feature = "tls")]
pub use profile::TlsProfile;

/// One `name = value` line.
#[derive(Debug, Clone)]
pub struct Variable {
    /// The option's name as written.
    pub name: String,
    /// Its value, without white space around it.
    pub value: String,
    /// The line in the file, from 1.
    pub line: i32,
}

/// One `[section]`.
#[derive(Debug, Clone)]
pub struct Section {
    /// The name between the brackets.
    pub name: String,
    /// Its lines, in order.
    pub variables: Vec<Variable>,
}

/// Everything that can be configured.
#[derive(Debug, Clone)]
pub struct Config {
    /// `[general] kernel`: the packet-crypto kernels that new sessions use.
    pub kernels: &'static Kernels,
    /// `[general] fips`: nothing but OpenSSL encrypts, under a FIPS provider.
    pub fips: bool,
    /// `[general] cdr`: each leg's facts go into the CDR.
    pub cdr: bool,
    /// `[general] cel`: each leg's facts become a CEL event.
    pub cel: bool,
    /// `[general] keylog`: `ciphertrunk keylog` may be used.
    pub keylog: bool,
    /// `[media] native_bridge`: encrypted calls may pass through Asterisk's native RTP bridge.
    pub native_bridge: bool,
    /// `[srtp]`: for every endpoint without a section of its own.
    srtp: Srtp,
    /// Sections with `type = endpoint`, by the endpoint's name: what differs from `[srtp]`.
    endpoints: BTreeMap<String, Srtp>,
    /// `require_...` of those sections: what is demanded of each call of theirs.
    demands: BTreeMap<String, Demand>,
    /// What is demanded of each other endpoint's calls.
    demand: Demand,
    /// Sections with `type = peer`, by the name of chan_sip's peer: what differs from `[srtp]`.
    peers: BTreeMap<String, Srtp>,
    /// Sections with `type = tls`.
    #[cfg(feature = "tls")]
    pub profiles: Vec<TlsProfile>,
    /// `[tls] leave_alone`: `protocol=tls` transports that stay pjproject's.
    pub leave_alone: Vec<String>,
    /// `[tls] io_threads`. Read when the module is loaded.
    pub io_threads: usize,
    /// `[tls] handshake_timeout`: TCP connection and TLS handshake together. Read when the module is loaded.
    pub handshake_timeout: Duration,
    /// `[tls] watch_files`: a change of a transport's files is in force without a reload.
    pub watch_files: bool,
    /// `[tls] ticket_keys`: a file with the keys of session tickets, which nodes share.
    pub ticket_keys: Option<PathBuf>,
    /// `[tls]`: how much clients may take.
    pub limits: limits::Limits,
    /// What the file sets, and where: section and option, and the line.
    set: BTreeMap<(String, String), i32>,
    /// `[tls] key_log`: a file for the sessions' keys, by which Wireshark can decrypt them.
    pub key_log: Option<PathBuf>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            kernels: packet_crypto::kernels(),
            fips: false,
            cdr: false,
            cel: false,
            keylog: true,
            native_bridge: true,
            srtp: Srtp::default(),
            endpoints: BTreeMap::new(),
            demands: BTreeMap::new(),
            demand: Demand::default(),
            peers: BTreeMap::new(),
            #[cfg(feature = "tls")]
            profiles: Vec::new(),
            leave_alone: Vec::new(),
            io_threads: std::thread::available_parallelism()
                .map_or(2, |cores| cores.get().clamp(2, 8)),
            handshake_timeout: Duration::from_secs(10),
            key_log: None,
            watch_files: true,
            ticket_keys: None,
            limits: limits::Limits::default(),
            set: BTreeMap::new(),
        }
    }
}

/// Where what is in force comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// A line of this section.
    Line(String, i32),
    /// The file does not say it.
    Default,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Line(section, line) => {
                write!(f, "ciphertrunk.conf [{section}], line {line}")
            }
            Self::Default => f.write_str("default"),
        }
    }
}

/// What SDES may negotiate with an endpoint.
#[derive(Debug, Clone)]
pub struct Srtp {
    /// `offer`: the suites of our offers, in order. An endpoint's `srtp_tag_32` turns `_80` into `_32`.
    pub offer: Vec<Suite>,
    /// `accept`: the suites that a peer may choose or offer.
    pub accept: Vec<Suite>,
    /// `mki`: every MKI of RFC 4568, or only those of value 1.
    pub mki: MkiRule,
    /// `allow`: session parameters that weaken protection.
    pub allow: SessionParams,
    /// `lifetime`: of our keys, in packets, as our lines say it; a new key is offered at nine tenths of it.
    pub lifetime: Option<u64>,
    /// `strict_lifetime`: audio stops at the end of a lifetime.
    pub strict_lifetime: bool,
}

impl Default for Srtp {
    fn default() -> Self {
        Self {
            // What stock offers. Stronger suites wait for a measure of which peers stumble over a second line.
            offer: vec![Suite::AesCm128HmacSha1_80],
            // Everything that is registered with IANA; the two draft suites have to be asked for.
            accept: Suite::ALL
                .into_iter()
                .filter(|suite| !matches!(suite, Suite::AeadAes128Gcm8 | Suite::AeadAes256Gcm8))
                .collect(),
            mki: MkiRule::One,
            allow: SessionParams::default(),
            lifetime: None,
            strict_lifetime: false,
        }
    }
}

/// A suite that is offered and not accepted: a peer that chooses it is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OfferedOnly {
    /// The section.
    pub section: String,
    /// The suite.
    pub suite: Suite,
}

impl fmt::Display for OfferedOnly {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "[{}] offer has {}, which accept does not have: a peer that chooses it is refused",
            self.section,
            self.suite.name()
        )
    }
}

impl Config {
    /// What holds for a call of this PJSIP endpoint. A call that is not known gets `[srtp]`, and never another endpoint's
    /// section.
    pub fn srtp_of(&self, endpoint: Option<&str>) -> &Srtp {
        endpoint
            .and_then(|endpoint| self.endpoints.get(endpoint))
            .unwrap_or(&self.srtp)
    }

    /// Where an option comes from that stands in the first of these sections that has it.
    pub fn origin(&self, sections: &[&str], option: &str) -> Origin {
        let found = sections.iter().find_map(|section| {
            let line = self.set.get(&((*section).to_owned(), option.to_owned()))?;
            Some(Origin::Line((*section).to_owned(), *line))
        });
        found.unwrap_or(Origin::Default)
    }

    /// The `require_...` options of an endpoint's section, with their lines.
    pub fn required_of(&self, endpoint: &str) -> Vec<(String, i32)> {
        let of_endpoint = self
            .set
            .iter()
            .filter(|((section, option), _)| section == endpoint && option.starts_with("require_"));
        of_endpoint
            .map(|((_, option), line)| (option.clone(), *line))
            .collect()
    }

    /// What is demanded of each call of this PJSIP endpoint.
    pub fn demand_of(&self, endpoint: &str) -> &Demand {
        self.demands.get(endpoint).unwrap_or(&self.demand)
    }

    /// Whether anything is demanded of any endpoint's calls.
    pub fn has_demands(&self) -> bool {
        !self.demands.is_empty() || !self.demand.is_nothing()
    }

    /// The defaults, for a file that may demand anything and that cannot be read: no call is good enough.
    pub fn unknown(reason: &str) -> Self {
        Self {
            demand: Demand::impossible(&BadDemand::new(reason.to_owned())),
            ..Self::default()
        }
    }

    /// What holds for a call of this peer of chan_sip's, whose names have no case.
    pub fn srtp_of_peer(&self, peer: &str) -> &Srtp {
        let same = |(name, _): &(&String, &Srtp)| name.eq_ignore_ascii_case(peer);
        self.peers
            .iter()
            .find(same)
            .map_or(&self.srtp, |(_, srtp)| srtp)
    }

    /// chan_sip's peers that have a section.
    pub fn peers(&self) -> impl Iterator<Item = &str> {
        self.peers.keys().map(String::as_str)
    }

    /// The endpoints that have a section.
    pub fn endpoints(&self) -> impl Iterator<Item = &str> {
        self.endpoints.keys().map(String::as_str)
    }

    /// What is offered and not accepted. An endpoint that has it from `[srtp]` alone is not named again.
    pub fn offered_only(&self) -> Vec<OfferedOnly> {
        let of = |section: &str, srtp: &Srtp| {
            let refused = srtp
                .offer
                .iter()
                .filter(|suite| !srtp.accept.contains(suite));
            refused
                .map(|suite| OfferedOnly {
                    section: section.to_owned(),
                    suite: *suite,
                })
                .collect::<Vec<_>>()
        };
        let mut all = of("srtp", &self.srtp);
        for (name, srtp) in self.endpoints.iter().chain(&self.peers) {
            if srtp.offer != self.srtp.offer || srtp.accept != self.srtp.accept {
                all.extend(of(name, srtp));
            }
        }
        all
    }
}
