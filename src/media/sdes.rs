//! The SDES negotiation of one media stream (RFC 4568): which of our lines goes out, which of the peer's is taken.

use std::ffi::CStr;
use std::hash::{DefaultHasher, Hash, Hasher};

use srtp::sdes::{CryptoLine, KeyParam, Rules};
use srtp::{MasterKey, SessionParams, Suite};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::config;
use crate::ffi::module_ref::ModuleRef;
use crate::ffi::rtp::RtpInstance;
use crate::ffi::session::{self, Call};
use crate::ffi::srtp_engine;

use super::policy::PolicyBuilder;
use super::registry;

/// What stands in a description.
pub enum Lines {
    /// The node's own line, and the nodes behind it as they are.
    Own,
    /// The node's line alone: a choice was made.
    Only,
    /// A new offer: the node's line, and these behind it.
    WithFollowers(Vec<Crypto>),
}

/// What was agreed and is in force.
struct Agreed {
    /// Our line, with the key that we send with.
    local: CryptoLine,
    /// The peer's, with the keys that it sends with.
    remote: CryptoLine,
    /// The instance that has them.
    rtp: RtpInstance,
}

/// `struct ast_sdp_crypto`.
pub struct Crypto {
    /// Our lines: those of an offer, until one is chosen.
    offered: Vec<CryptoLine>,
    agreed: Option<Agreed>,
    /// The last description of ours was an offer, and what the peer says may answer it (twice, when a call is forked).
    offering: bool,
    /// The peer's offer was read, and ours has not gone out since: it will be the answer.
    answering: bool,
    /// The line of this node as C wants it, with its NUL. It holds a key.
    line: Zeroizing<Vec<u8>>,
    /// The last line that was refused, so that it is told once though Asterisk asks again.
    refused: Option<u64>,
    _module: ModuleRef,
}

impl Crypto {
    /// A stream about which nothing is agreed.
    pub fn new() -> Self {
        Self {
            offered: Vec::new(),
            agreed: None,
            offering: false,
            answering: false,
            line: Zeroizing::default(),
            refused: None,
            _module: ModuleRef::take(),
        }
    }

    fn with_line(line: &CryptoLine) -> Self {
        let mut crypto = Self::new();
        crypto.set_line(line);
        crypto
    }

    fn set_line(&mut self, line: &CryptoLine) {
        let text = line.to_sdp();
        // In one piece: growing would leave copies of the key behind.
        let mut bytes = Vec::with_capacity(text.len() + 1);
        bytes.extend_from_slice(text.as_bytes());
        bytes.push(0);
        self.line = Zeroizing::new(bytes);
    }

    /// This node's line, once there is one.
    pub fn line(&self) -> Option<&CStr> {
        CStr::from_bytes_until_nul(&self.line).ok()
    }

    /// Prepares what goes out. `tag_32`: the endpoint's `srtp_tag_32`.
    pub fn lines(&mut self, tag_32: bool, call: Option<Call>) -> Lines {
        let answers = std::mem::take(&mut self.answering);
        self.offering = !answers;
        if let Some(agreed) = &self.agreed {
            if answers && let Some(session) = registry::of(agreed.rtp) {
                session.stands();
            }
            return Lines::Only;
        }
        if !self.line.is_empty() {
            // A follower's line, or an offer that goes out once more.
            return Lines::Own;
        }
        let config = config::current();
        let suites = offer(&config.srtp_of(call.as_ref()).offer, tag_32);
        self.offered = (1..)
            .zip(suites)
            .filter_map(|(tag, suite)| new_line(tag, suite))
            .collect();
        let Some((first, rest)) = self.offered.split_first() else {
            return Lines::Own;
        };
        let followers = rest.iter().map(Self::with_line).collect();
        let first = first.clone();
        self.set_line(&first);
        Lines::WithFollowers(followers)
    }

    /// Reads one `a=crypto` value of the peer's. `true`: taken, and its keys are in force.
    pub fn receive(&mut self, rtp: RtpInstance, value: &str) -> bool {
        let call = session::call_of(rtp);
        let config = config::current();
        let srtp = config.srtp_of(call.as_ref());
        let rules = Rules {
            suites: &srtp.accept,
            mki: srtp.mki,
            params: srtp.allow,
        };
        let remote = match CryptoLine::parse(value, &rules) {
            Ok(remote) => remote,
            Err(reason) => {
                self.refuse(call, value, &reason.to_string());
                return false;
            }
        };
        let chosen = |line: &&CryptoLine| line.tag == remote.tag && line.suite == remote.suite;
        let chosen = self.offered.iter().find(chosen).cloned();
        if self.offering && self.agreed.is_none() && chosen.is_none() {
            self.refuse(
                call,
                value,
                "it answers our offer with a tag and suite that were not in it (RFC 4568 section 5.1.3)",
            );
            return false;
        }
        let answers = self.offering && chosen.is_some();
        let Some(local) = self.local_line(rtp, &remote, chosen) else {
            return false;
        };
        let again = self
            .agreed
            .as_ref()
            .is_some_and(|agreed| agreed.is(rtp, &local, &remote));
        if !again && !activate(rtp, &local, &remote, answers) {
            self.refuse(call, value, "its keys could not be put in force");
            return false;
        }
        self.set_line(&local);
        self.agreed = Some(Agreed { local, remote, rtp });
        self.answering = !answers;
        self.refused = None;
        true
    }

    /// Our line to `remote`: the one that it chose of our offer, or the one in use. The local key stays while suite and
    /// stream do, so that its rollover counter can (RFC 3711 section 3.3.1); another suite gets a new key.
    fn local_line(
        &self,
        rtp: RtpInstance,
        remote: &CryptoLine,
        chosen: Option<CryptoLine>,
    ) -> Option<CryptoLine> {
        let agreed = self
            .agreed
            .as_ref()
            .filter(|agreed| agreed.rtp == rtp && agreed.local.suite == remote.suite);
        let line = chosen
            .or_else(|| agreed.map(|agreed| agreed.local.clone()))
            .or_else(|| new_line(remote.tag, remote.suite))?;
        Some(CryptoLine {
            tag: remote.tag,
            old_name: remote.old_name,
            params: remote.params,
            ..line
        })
    }

    /// One line in the log: who, which line, why.
    fn refuse(&mut self, call: Option<Call>, value: &str, reason: &str) {
        let mut hasher = DefaultHasher::new();
        (value, reason).hash(&mut hasher);
        let hash = Some(hasher.finish());
        if self.refused == hash {
            return;
        }
        self.refused = hash;
        let call = call.unwrap_or_default();
        log::warn!(
            "a=crypto line ({}) of endpoint '{}' refused: {reason}. Call-ID {}",
            shown(value),
            call.endpoint,
            call.call_id
        );
    }
}

impl Agreed {
    /// Whether the same is agreed again, on the same stream.
    fn is(&self, rtp: RtpInstance, local: &CryptoLine, remote: &CryptoLine) -> bool {
        self.rtp == rtp && same(&self.local, local) && same(&self.remote, remote)
    }
}

/// Whether two lines lead to the same policies. Tag and lifetime do not matter.
fn same(one: &CryptoLine, other: &CryptoLine) -> bool {
    one.suite == other.suite
        && one.params == other.params
        && one.keys.len() == other.keys.len()
        && one.keys.iter().zip(&other.keys).all(|(one, other)| {
            one.mki == other.mki && bool::from(one.key.key_salt().ct_eq(other.key.key_salt()))
        })
}

/// The suites of an offer: as configured, with the short tag where the endpoint wants it.
fn offer(configured: &[Suite], tag_32: bool) -> Vec<Suite> {
    let mut suites = Vec::new();
    for suite in configured {
        let suite = match suite {
            Suite::AesCm128HmacSha1_80 if tag_32 => Suite::AesCm128HmacSha1_32,
            Suite::AesCm192HmacSha1_80 if tag_32 => Suite::AesCm192HmacSha1_32,
            Suite::AesCm256HmacSha1_80 if tag_32 => Suite::AesCm256HmacSha1_32,
            other => *other,
        };
        if !suites.contains(&suite) {
            suites.push(suite);
        }
    }
    suites
}

/// A line of ours with a fresh key; `None` (logged) without randomness.
fn new_line(tag: u32, suite: Suite) -> Option<CryptoLine> {
    let mut key_salt = Zeroizing::new(vec![0; suite.key_salt_len()]);
    if let Err(error) = openssl::rand::rand_bytes(&mut key_salt) {
        log::error!("OpenSSL has no random octets for a key: {error}");
        return None;
    }
    let key = MasterKey::new(suite, &key_salt).ok()?;
    let keys = vec![KeyParam {
        key,
        lifetime: None,
        mki: None,
    }];
    Some(CryptoLine {
        tag,
        suite,
        old_name: false,
        keys,
        params: SessionParams::default(),
    })
}

/// Gives both sides' keys to the stream's session; makes the session if there is none. `answers`: to our offer.
fn activate(rtp: RtpInstance, local: &CryptoLine, remote: &CryptoLine, answers: bool) -> bool {
    let (Ok(local), Ok(remote)) = (local.policies(), remote.policies()) else {
        return false;
    };
    match (registry::of(rtp), local.first()) {
        (Some(session), Some(local)) if answers => session.answered(&remote, local),
        (Some(session), Some(local)) => session.offered(&remote, local),
        _ => {
            let local = PolicyBuilder::negotiated(local, Some(rtp.ssrc()));
            srtp_engine::activate(rtp, PolicyBuilder::negotiated(remote, None), local)
        }
    }
}

/// A line for the log: its tag and suite if they look like such. What follows may be a key.
fn shown(value: &str) -> String {
    let plain = |word: &&str| {
        word.len() <= 32 && word.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
    };
    let mut words = value.split(' ').filter(|word| !word.is_empty());
    let tag = words
        .next()
        .filter(plain)
        .filter(|tag| tag.len() <= 12)
        .unwrap_or("?");
    let suite = words.next().filter(plain).unwrap_or("?");
    format!("tag {tag}, suite {suite}")
}
