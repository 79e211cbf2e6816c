//! An SRTP key in a line.
//!
//! ```text
//! #SRTP time=1795772400 dir=out peer=192.0.2.7:30000 endpoint=carrier channel=1795772400.3 call=a84b4c76e66710 roc=0 crypto=1 AES_CM_128_HMAC_SHA1_80 inline:...
//! ```
//!
//! `crypto` comes last and is the value of SDP's `a=crypto` (RFC 4568 section 9.1), also for keys that DTLS-SRTP agreed. What
//! stands before it is for people, and for finding a call; only `roc` is needed: the rollover counter that the stream had when
//! the line was written. Values have blanks, `%`, `=` and what is not printable as `%20` (RFC 3986 section 2.1).

use std::fmt;

use srtp::sdes::{CryptoLine, KeyParam, MkiRule, Rules, SdesError};
use srtp::{Policy, SessionParams, Suite};
use zeroize::Zeroizing;

/// What a line begins with.
const MARK: &str = "#SRTP ";
/// What the key stands behind.
const CRYPTO: &str = " crypto=";

/// Which way the packets go, as seen from this Asterisk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Direction {
    /// They come.
    In,
    /// They are sent.
    Out,
}

impl fmt::Display for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::In => "in",
            Self::Out => "out",
        })
    }
}

/// A key, and whose it is.
#[derive(Debug, Clone)]
pub struct KeyLine {
    /// When the line was written, in seconds of the epoch.
    pub time: u64,
    /// Which way.
    pub direction: Direction,
    /// The peer's address for media.
    pub peer: String,
    /// The PJSIP endpoint; empty if it is not known.
    pub endpoint: String,
    /// The channel's unique id; empty if there is none yet.
    pub channel: String,
    /// The Call-ID; empty if it is not known.
    pub call: String,
    /// The stream's rollover counter at that time.
    pub roc: u32,
    /// The key.
    pub policy: Policy,
}

/// Why a line with the mark cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BadKeyLine {
    /// There is no `crypto=`.
    NoKey,
    /// `dir` is neither `in` nor `out`, or is not there.
    NoDirection,
    /// `roc` is no number.
    BadRoc,
    /// The key's own part.
    Key(SdesError),
}

impl fmt::Display for BadKeyLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoKey => f.write_str("it has no crypto="),
            Self::NoDirection => f.write_str("it has neither dir=in nor dir=out"),
            Self::BadRoc => f.write_str("its roc= is not a rollover counter"),
            Self::Key(error) => write!(f, "its key: {error}"),
        }
    }
}

impl KeyLine {
    /// The line, without its end. It has the key: for that file alone.
    #[must_use]
    pub fn to_text(&self) -> Zeroizing<String> {
        let crypto = CryptoLine {
            tag: 1,
            suite: self.policy.suite(),
            old_name: false,
            keys: vec![KeyParam {
                key: self.policy.key().clone(),
                lifetime: None,
                mki: self.policy.mki().cloned(),
            }],
            params: self.policy.params(),
        };
        let crypto = crypto.to_sdp();
        let head = format!(
            "{MARK}time={} dir={} peer={} endpoint={} channel={} call={} roc={}{CRYPTO}",
            self.time,
            self.direction,
            Escaped(&self.peer),
            Escaped(&self.endpoint),
            Escaped(&self.channel),
            Escaped(&self.call),
            self.roc
        );
        // One allocation: growing would leave copies of the key behind.
        let mut text = Zeroizing::new(String::with_capacity(head.len() + crypto.len()));
        text.push_str(&head);
        text.push_str(&crypto);
        text
    }

    /// Reads a line. `None`: it is none of an SRTP key.
    ///
    /// # Errors
    ///
    /// It has the mark and is spoilt.
    pub fn parse(line: &str) -> Option<Result<Self, BadKeyLine>> {
        line.trim_end().strip_prefix(MARK).map(Self::read)
    }

    fn read(rest: &str) -> Result<Self, BadKeyLine> {
        const RULES: Rules<'_> = Rules {
            suites: &Suite::ALL,
            mki: MkiRule::Any,
            params: SessionParams {
                unencrypted_srtp: true,
                unencrypted_srtcp: true,
                unauthenticated_srtp: true,
            },
        };
        let (head, crypto) = rest.split_once(CRYPTO).ok_or(BadKeyLine::NoKey)?;
        let value = |name: &str| {
            let found = head
                .split(' ')
                .filter_map(|word| word.split_once('='))
                .find(|(key, _)| *key == name);
            found.map(|(_, value)| unescaped(value))
        };
        let direction = match value("dir").as_deref() {
            Some("in") => Direction::In,
            Some("out") => Direction::Out,
            _ => return Err(BadKeyLine::NoDirection),
        };
        let roc = value("roc").map_or(Ok(0), |roc| roc.parse().map_err(|_| BadKeyLine::BadRoc))?;
        let line = CryptoLine::parse(crypto, &RULES).map_err(BadKeyLine::Key)?;
        let policies = line.policies();
        let policy = policies.ok().and_then(|mut all| all.pop());
        Ok(Self {
            time: value("time")
                .and_then(|time| time.parse().ok())
                .unwrap_or(0),
            direction,
            peer: value("peer").unwrap_or_default(),
            endpoint: value("endpoint").unwrap_or_default(),
            channel: value("channel").unwrap_or_default(),
            call: value("call").unwrap_or_default(),
            roc,
            policy: policy.ok_or(BadKeyLine::NoKey)?,
        })
    }
}

/// A value without what would end it.
struct Escaped<'a>(&'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for octet in self.0.bytes() {
            match octet {
                b'%' | b'=' => write!(f, "%{octet:02X}")?,
                b'!'..=b'~' => write!(f, "{}", char::from(octet))?,
                _ => write!(f, "%{octet:02X}")?,
            }
        }
        Ok(())
    }
}

fn unescaped(value: &str) -> String {
    let octets = value.as_bytes();
    let mut out = Vec::with_capacity(octets.len());
    let mut at = 0;
    while at < octets.len() {
        let hex = (octets[at] == b'%')
            .then(|| octets.get(at + 1..at + 3))
            .flatten()
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match hex {
            Some(octet) => {
                out.push(octet);
                at += 3;
            }
            None => {
                out.push(octets[at]);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}
