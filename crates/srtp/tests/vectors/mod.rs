//! Vectors of the RFCs, as tables. Unit tests of the crate run them (they need session keys).

pub(crate) mod rfc3711;
pub(crate) mod rfc6188;
pub(crate) mod rfc7714;

use crate::suite::Suite;

/// A key derivation: master key and salt to RTP session keys.
pub(crate) struct Kdf {
    pub(crate) source: &'static str,
    pub(crate) suite: Suite,
    pub(crate) master_key: &'static str,
    pub(crate) master_salt: &'static str,
    pub(crate) cipher_key: &'static str,
    pub(crate) salt: &'static str,
    /// Its first octets, as many as the RFC prints.
    pub(crate) auth_key: &'static str,
}

/// All key derivations.
pub(crate) const KDF: [&Kdf; 3] = [&rfc3711::KDF, &rfc6188::KDF_192, &rfc6188::KDF_256];

/// The first key stream of SSRC 0, index 0.
pub(crate) struct KeyStream {
    pub(crate) source: &'static str,
    pub(crate) suite: Suite,
    pub(crate) session_key: &'static str,
    pub(crate) session_salt: &'static str,
    pub(crate) key_stream: &'static str,
}

/// All key streams.
pub(crate) const KEY_STREAMS: [&KeyStream; 3] = [
    &rfc3711::KEY_STREAM,
    &rfc6188::KEY_STREAM_192,
    &rfc6188::KEY_STREAM_256,
];

/// Octets of a hexadecimal string; blanks and line ends are skipped.
pub(crate) fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text
        .chars()
        .filter(|c| !c.is_whitespace())
        .map(|c| c.to_digit(16).expect("a hexadecimal digit") as u8)
        .collect();
    assert_eq!(digits.len() % 2, 0);
    digits.chunks(2).map(|d| d[0] << 4 | d[1]).collect()
}
