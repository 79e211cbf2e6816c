//! What is known of how a call is encrypted: one leg's facts, and what is told of them by [`fields`] and by one line for the CDR.
//!
//! A fact is known or it is not, and then a sentence says why: nothing is guessed.

pub mod fields;
mod line;

#[cfg(test)]
mod tests;

use std::fmt;

/// A fact, or why it is not known.
pub type Known<T> = Result<T, &'static str>;

/// One leg of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// How its SIP messages travel.
    pub signaling: Known<Signaling>,
    /// Its streams of media, audio first.
    pub media: Known<Vec<Stream>>,
}

/// The connection that carried the leg's latest INVITE or the answer to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signaling {
    /// PJSIP's name of the transport's type: `UDP`, `TCP`, `TLS`, `WS`, `WSS`.
    pub transport: String,
    /// Whether that type encrypts.
    pub is_secure: bool,
    /// A message of the leg came over one that does not, be it another one: its keys of SDES could be read.
    pub was_in_clear: bool,
    /// Of TLS.
    pub tls: Known<Tls>,
}

/// A TLS connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tls {
    /// `TLSv1.2` or `TLSv1.3`.
    pub version: String,
    /// OpenSSL's name of the cipher.
    pub cipher: String,
    /// The group of the key exchange, e.g. `X25519`.
    pub group: Known<String>,
    /// Whether an earlier session was resumed.
    pub is_resumed: bool,
    /// Whether the peer's certificate was found good: by its chain and, where a name was asked for, by that name.
    pub is_verified: bool,
    /// The name that was asked for and that the certificate has.
    pub verified_name: Known<String>,
    /// The peer's certificate.
    pub certificate: Known<Certificate>,
}

/// A certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificate {
    /// `/C=DE/O=Carrier/CN=sip.example.com`
    pub subject: String,
    /// Likewise.
    pub issuer: String,
    /// Each as `DNS:`, `URI:`, `IP:` or `email:` and the name.
    pub alt_names: Vec<String>,
    /// Big-endian.
    pub serial: Vec<u8>,
    /// Of its DER form.
    pub sha256: [u8; 32],
    /// Seconds since 1970 UTC.
    pub not_after: i64,
}

/// Where the keys of SRTP come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeySource {
    /// SDP, RFC 4568.
    Sdes,
    /// A handshake on the media path, RFC 5764.
    DtlsSrtp,
}

impl fmt::Display for KeySource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Sdes => "SDES",
            Self::DtlsSrtp => "DTLS-SRTP",
        })
    }
}

/// A stream of media.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stream {
    /// `audio` or `video`.
    pub kind: &'static str,
    /// What it is encrypted with; `None`: it has no SRTP.
    pub srtp: Option<Srtp>,
    /// RTP packets sent and received, encrypted or not.
    pub packets: Known<[u64; 2]>,
    /// RTP packets of the peer's that did not come.
    pub lost: Known<u64>,
    /// Whether a packet of it went in clear, either way; `false` is said only where every packet is known to have been SRTP.
    pub in_clear: Known<bool>,
}

/// What a stream is encrypted with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Srtp {
    /// The suites that it sends and receives with, as RFC 4568 names them.
    pub suites: [Known<&'static str>; 2],
    /// Where the keys come from.
    pub source: KeySource,
    /// Received packets dropped because their index was used or is too old.
    pub replays: u64,
    /// Received packets whose tag verified under no key.
    pub failures: u64,
    /// The rollover counters, sending and receiving.
    pub roc: [Known<u32>; 2],
    /// How often new keys have come since the first.
    pub rekeys: u32,
}

/// A leg in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Word {
    /// Signalling and all media.
    Encrypted,
    /// Media goes, or went, in clear.
    SignalingOnly,
    /// Signalling goes in clear, and with SDES the keys of the media with it.
    MediaOnly,
    /// Neither is encrypted.
    Plain,
}

impl Word {
    /// All of them.
    pub const ALL: [Self; 4] = [
        Self::Encrypted,
        Self::SignalingOnly,
        Self::MediaOnly,
        Self::Plain,
    ];

    /// The word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Encrypted => "encrypted",
            Self::SignalingOnly => "signaling-only",
            Self::MediaOnly => "media-only",
            Self::Plain => "plain",
        }
    }
}

impl fmt::Display for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Facts {
    /// The leg in one word. Media counts as encrypted where each stream has SRTP, and no packet of any has gone in clear.
    ///
    /// # Errors
    ///
    /// Why it is not known.
    pub fn word(&self) -> Known<Word> {
        let signaling = self.signaling.as_ref().map_err(|why| *why)?;
        let signaling = signaling.is_secure && !signaling.was_in_clear;
        let streams = self.media.as_ref().map_err(|why| *why)?;
        if streams.is_empty() {
            return Err("the call has no media yet");
        }
        let media = match self.in_clear() {
            _ if streams.iter().any(|stream| stream.srtp.is_none()) => false,
            Ok(in_clear) => !in_clear,
            Err(why) => return Err(why),
        };
        Ok(match (signaling, media) {
            (true, true) => Word::Encrypted,
            (true, false) => Word::SignalingOnly,
            (false, true) => Word::MediaOnly,
            (false, false) => Word::Plain,
        })
    }

    /// Whether any packet of its media went in clear.
    ///
    /// # Errors
    ///
    /// Why it is not known: of one stream at least, and no other is known to have.
    pub fn in_clear(&self) -> Known<bool> {
        let streams = self.media.as_ref().map_err(|why| *why)?;
        if streams.is_empty() {
            return Err("the call has no media yet");
        }
        let each = || streams.iter().map(|stream| stream.in_clear);
        if each().any(|clear| clear == Ok(true)) {
            return Ok(true);
        }
        each().find(Result::is_err).unwrap_or(Ok(false))
    }

    /// Its first stream of `kind`.
    ///
    /// # Errors
    ///
    /// Why there is none.
    pub fn stream(&self, kind: &str) -> Known<&Stream> {
        let streams = self.media.as_ref().map_err(|why| *why)?;
        let stream = streams.iter().find(|stream| stream.kind == kind);
        stream.ok_or("the call has no such stream")
    }
}
