//! Counters and facts for operators.

use crate::suite::Suite;

/// Packets under one master key, of all its SSRCs. The hard limits are 2^48 RTP and 2^31 RTCP
/// packets (RFC 3711 section 9.2); a new key should be negotiated well before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KeyUsage {
    /// RTP packets.
    pub rtp: u64,
    /// RTCP packets.
    pub rtcp: u64,
}

/// Packets, counted since the session began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// RTP packets protected, re-encryptions included.
    pub sent_rtp: u64,
    /// RTCP packets protected.
    pub sent_rtcp: u64,
    /// RTP packets authenticated and handed up.
    pub received_rtp: u64,
    /// RTCP packets authenticated and handed up.
    pub received_rtcp: u64,
    /// Received packets whose tag verified under no key.
    pub auth_failures: u64,
    /// Received packets dropped because their index was used or is too old.
    pub replays: u64,
    /// Received packets that are no RTP or RTCP, or not encrypted against the policy.
    pub malformed_received: u64,
    /// Received packets while no remote key was set, or behind the last index of the key.
    pub no_key_received: u64,
    /// Packets to send under an index already used for other data, or too old: dropped.
    pub reuse_drops: u64,
    /// Packets sent again under their index because the payload was the same.
    pub reencryptions: u64,
    /// Packets to send that are no RTP or RTCP, or do not fit the buffer: dropped.
    pub malformed_sent: u64,
    /// Packets to send without a usable local key: dropped.
    pub no_key_sent: u64,
}

/// What [`Session::stats`](crate::Session::stats) tells.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Packets.
    pub counters: Counters,
    /// Suite we send with.
    pub local_suite: Option<Suite>,
    /// Suite of the remote key in use.
    pub remote_suite: Option<Suite>,
    /// Packets sent under the local key in use.
    pub local_key: KeyUsage,
    /// Packets received under the remote key in use.
    pub remote_key: KeyUsage,
    /// Rollover counter of the SSRC that sent RTP last.
    pub local_roc: Option<u32>,
    /// Rollover counter of the SSRC from which RTP came last.
    pub remote_roc: Option<u32>,
}
