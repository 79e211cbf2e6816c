//! `ciphertrunk.conf`: what it says, and the last good state of it.

#[cfg(feature = "pjsip")]
mod key_log;
mod parse;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use packet_crypto::Kernels;
use srtp::sdes::MkiRule;
use srtp::{SessionParams, Suite};

use crate::ffi::config::{self as file, Unread};
use crate::ffi::session::Call;

#[cfg(feature = "pjsip")]
pub use key_log::key_log;

/// The file's name, below Asterisk's configuration directory.
pub const FILE: &str = "ciphertrunk.conf";

/// Everything that can be configured.
#[derive(Debug, Clone)]
pub struct Config {
    /// `[general] kernel`: the packet-crypto kernels that new sessions use.
    pub kernels: &'static Kernels,
    /// `[srtp]`: for every endpoint without a section of its own.
    srtp: Srtp,
    /// Sections with `type = endpoint`, by the endpoint's name: what differs from `[srtp]`.
    endpoints: BTreeMap<String, Srtp>,
    /// `[tls] leave_alone`: `protocol=tls` transports that stay pjproject's.
    pub leave_alone: Vec<String>,
    /// `[tls] io_threads`. Read when the module is loaded.
    pub io_threads: usize,
    /// `[tls] handshake_timeout`: TCP connection and TLS handshake together. Read when the module is loaded.
    pub handshake_timeout: Duration,
    /// `[tls] key_log`: a file for the sessions' keys, by which Wireshark can decrypt them.
    pub key_log: Option<PathBuf>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            kernels: packet_crypto::kernels(),
            srtp: Srtp::default(),
            endpoints: BTreeMap::new(),
            leave_alone: Vec::new(),
            io_threads: std::thread::available_parallelism()
                .map_or(2, |cores| cores.get().clamp(2, 8)),
            handshake_timeout: Duration::from_secs(10),
            key_log: None,
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

impl Config {
    /// What holds for a call's endpoint. A call that is not known gets `[srtp]`, and never another call's section.
    pub fn srtp_of(&self, call: Option<&Call>) -> &Srtp {
        call.and_then(|call| self.endpoints.get(&call.endpoint))
            .unwrap_or(&self.srtp)
    }
}

static CURRENT: RwLock<Option<Arc<Config>>> = RwLock::new(None);

/// The state in force.
pub fn current() -> Arc<Config> {
    let current = CURRENT.read().unwrap_or_else(PoisonError::into_inner);
    current
        .as_ref()
        .map_or_else(|| Arc::new(Config::default()), Arc::clone)
}

fn put(config: Config) {
    *CURRENT.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(config));
}

/// Reads the file and puts it in force. A bad file changes nothing: each problem is a line in the log, and the last good
/// state stays (at the first load: the defaults).
pub fn load() {
    let first = CURRENT
        .read()
        .unwrap_or_else(PoisonError::into_inner)
        .is_none();
    match file::load(FILE) {
        Ok(sections) => match parse::parse(&sections) {
            Ok(config) => {
                put(config);
                log::debug!("{FILE} is in force");
                return;
            }
            Err(problems) => {
                for problem in problems {
                    log::error!("{FILE}: {problem}");
                }
            }
        },
        Err(Unread::Missing) => {
            log::debug!("there is no {FILE}: the defaults are in force");
            put(Config::default());
            return;
        }
        // Asterisk has said what is wrong.
        Err(Unread::Invalid) => {}
    }
    if first {
        put(Config::default());
        log::error!("{FILE} is not used: the defaults are in force");
    } else {
        log::error!("{FILE} is not used: the last good state stays in force");
    }
}
