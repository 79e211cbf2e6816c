//! Counters and facts for operators.

use std::ops::AddAssign;

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
#[repr(C)]
pub struct Counters {
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
    /// Packets to send that are no RTP or RTCP, or do not fit the buffer: dropped.
    pub malformed_sent: u64,
    /// Packets to send without a usable local key: dropped.
    pub no_key_sent: u64,
    /// Packets to send under an index already used for other data, or too old: dropped.
    pub reuse_drops: u64,
    /// Packets sent again under their index because they were the same.
    pub reencryptions: u64,
    /// RTCP packets protected.
    pub sent_rtcp: u64,
    /// RTP packets protected, re-encryptions included.
    pub sent_rtp: u64,
}

impl Counters {
    /// Nothing counted.
    pub const ZERO: Counters = Counters {
        sent_rtp: 0,
        sent_rtcp: 0,
        received_rtp: 0,
        received_rtcp: 0,
        auth_failures: 0,
        replays: 0,
        malformed_received: 0,
        no_key_received: 0,
        reuse_drops: 0,
        reencryptions: 0,
        malformed_sent: 0,
        no_key_sent: 0,
    };
}

impl AddAssign for Counters {
    fn add_assign(&mut self, more: Counters) {
        self.sent_rtp += more.sent_rtp;
        self.sent_rtcp += more.sent_rtcp;
        self.received_rtp += more.received_rtp;
        self.received_rtcp += more.received_rtcp;
        self.auth_failures += more.auth_failures;
        self.replays += more.replays;
        self.malformed_received += more.malformed_received;
        self.no_key_received += more.no_key_received;
        self.reuse_drops += more.reuse_drops;
        self.reencryptions += more.reencryptions;
        self.malformed_sent += more.malformed_sent;
        self.no_key_sent += more.no_key_sent;
    }
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
    /// SSRCs of the host's own under the local key in use, of which there may be [`MAX_LOCAL_SOURCES`](crate::MAX_LOCAL_SOURCES).
    pub local_sources: usize,
    /// Packets received under the remote key in use.
    pub remote_key: KeyUsage,
    /// Rollover counter of the SSRC that sent RTP last.
    pub local_roc: Option<u32>,
    /// Rollover counter of the SSRC from which RTP came last.
    pub remote_roc: Option<u32>,
}
