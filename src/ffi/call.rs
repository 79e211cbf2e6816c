//! What is known of a call, as plain values.

use std::net::SocketAddr;

use srtp::sdes::negotiation::Exchange;

/// Names a live session of PJSIP's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct SessionKey(pub(super) usize);

/// How the peer's INVITE came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Came {
    /// From where.
    pub remote: SocketAddr,
    /// To where; `None`: pjsip does not say.
    pub local: Option<SocketAddr>,
    /// Over which transport: `UDP`, `TCP`, `TLS`.
    pub over: String,
}

/// What is known of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// Its session.
    pub key: SessionKey,
    /// The PJSIP endpoint, as `pjsip.conf` names it.
    pub endpoint: String,
    /// The unique id of its channel; empty before it has one.
    pub channel: String,
    /// The `Call-ID` header's value.
    pub call_id: String,
    /// The peer's URI, and the address that its INVITE came from or went to where one is under way.
    pub peer: String,
    /// How the peer's INVITE came, where one is under way.
    pub came: Option<Came>,
    /// The media line asked about: its kind, and its number from 0. Empty if none was.
    pub media: String,
    /// The number of that line.
    pub stream: Option<usize>,
    /// Where the peer's latest description wants that line's media. `None`: no description, no address of a host, or the
    /// stream is off.
    pub media_address: Option<SocketAddr>,
    /// Where its negotiation is now.
    pub exchange: Exchange,
}
