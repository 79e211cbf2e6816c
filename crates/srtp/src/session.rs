//! A session: a sending and a receiving half, with counters.

use packet_crypto::Kernels;

use crate::error::{PolicyError, ProtectError, UnprotectError};
use crate::policy::Policy;
use crate::receiver::Receiver;
use crate::sender::{LocalSsrc, Sender, Sent};
use crate::stats::{Counters, Stats};

/// SRTP and SRTCP for one transport: local keys to send with, remote keys to receive with.
///
/// The caller locks, keeps time and does the I/O. Times are milliseconds of any clock that does
/// not run backwards.
#[repr(C)]
pub struct Session {
    // What packets touch lies together: of received ones up to the first counters, of those to
    // send from the last counter on.
    pub(crate) kernels: &'static Kernels,
    pub(crate) receiver: Receiver,
    pub(crate) counters: Counters,
    pub(crate) sender: Sender,
}

impl Session {
    /// A session without keys: it drops everything.
    #[must_use]
    pub fn new(kernels: &'static Kernels) -> Self {
        Session {
            kernels,
            receiver: Receiver::default(),
            counters: Counters::ZERO,
            sender: Sender::default(),
        }
    }

    /// Sends with `policy` from now on, for the SSRCs given.
    ///
    /// Rollover counter and used indexes belong to (master key, SSRC): under a key that was used
    /// before they go on, even if suite or MKI differ or other keys were used in between. Under a new key they start at zero.
    pub fn set_local(&mut self, ssrc: LocalSsrc, policy: &Policy) -> Result<(), PolicyError> {
        self.sender.set(self.kernels, ssrc, policy)
    }

    /// As [`set_local`](Self::set_local), but only after [`commit`](Self::commit): sending changes
    /// when the answer stands.
    pub fn stage_local(&mut self, ssrc: LocalSsrc, policy: &Policy) -> Result<(), PolicyError> {
        self.sender.stage(self.kernels, ssrc, policy)
    }

    /// Offer and answer stand: sends with the staged policies from now on, if there are any.
    /// The remote keys can no longer be refused.
    pub fn commit(&mut self) {
        self.sender.commit();
        self.receiver.commit_description();
    }

    /// The offer was refused: as if it had never come. Staged policies and pending remote keys
    /// are forgotten. If a packet already brought the new remote keys into force, those before
    /// are in force again. Nothing happens after a [`commit`](Self::commit).
    pub fn cancel(&mut self, now_ms: u64) {
        self.sender.cancel();
        self.receiver.cancel(now_ms);
    }

    /// The SSRC that is the host's own, where a policy for [any](LocalSsrc::Any) also protects those that pass through from another leg
    /// of the call. Of the latter there may be [`MAX_PASSING_SOURCES`](crate::MAX_PASSING_SOURCES) under a key, beside
    /// [`MAX_LOCAL_SOURCES`](crate::MAX_LOCAL_SOURCES) own ones. Those that were said to be own before stay it;
    /// [`change_source`](Self::change_source) says it too.
    pub fn set_own_source(&mut self, ssrc: u32) {
        self.sender.set_own(ssrc);
    }

    /// The policy set for SSRC `from` protects `to` instead, from ROC 0 on unless `to` was
    /// already used under that key. Nothing happens when `from` has no policy of its own.
    pub fn change_source(&mut self, from: u32, to: u32) {
        self.sender.change_source(from, to);
    }

    /// The host sends lost packets again when the peer asks (a NACK, RFC 4585): from now on streams under AES-CM remember
    /// the latest 512 packets, not 64. Takes 4 KiB for each stream that sends; what was sent before is not sent again.
    pub fn keep_sent(&mut self) {
        self.sender.keep_sent();
    }

    /// Receives with these keys: one, or several with different MKIs of one length.
    ///
    /// The set in force again (same keys, suites, MKIs, parameters) changes nothing, and takes
    /// back one that is pending. The first set is in force at once. Another one is *pending*:
    /// both are tried, and it takes over when a packet authenticates under it; the set before
    /// goes [`OLD_KEY_MS`](crate::OLD_KEY_MS) later. An SSRC's first packet under a new key is
    /// tried with the rollover counter it had and with zero, zero first if `peer_moved` (the
    /// peer's address changed with this description). Under a key it used before, only the
    /// counter known counts.
    pub fn set_remote(
        &mut self,
        policies: &[Policy],
        peer_moved: bool,
        now_ms: u64,
    ) -> Result<(), PolicyError> {
        self.receiver
            .set(self.kernels, policies, peer_moved, now_ms)
    }

    /// The peer sent a description (a hold, a session refresh), whatever it says: one of its streams may go back, once, to
    /// indexes that were never heard. [`set_remote`](Self::set_remote) says that, too.
    pub fn renew(&mut self) {
        self.receiver.renew();
    }

    /// Protects an RTP packet; the SRTP packet is `dst[..n]`. `dst` needs room for
    /// [`MAX_TRAILER`](crate::MAX_TRAILER) more octets.
    ///
    /// After an error `dst` holds nothing that may be sent. A packet whose index was used before
    /// is protected again only under AES-CM, only if it is among the latest 64 (512 after
    /// [`keep_sent`](Self::keep_sent)), and only if it is the packet sent then: the same octets or, with a header extension in both, the same
    /// payload. (Asterisk writes the time of sending into the extension of a retransmission.)
    pub fn protect_rtp(&mut self, src: &[u8], dst: &mut [u8]) -> Result<usize, ProtectError> {
        if let Some(len) = self.sender.protect_next(src, dst) {
            self.counters.sent_rtp += 1;
            return Ok(len);
        }
        self.protect_any(src, dst)
    }

    /// [`protect_rtp`](Self::protect_rtp) for whatever packet it is.
    #[inline(never)]
    fn protect_any(&mut self, src: &[u8], dst: &mut [u8]) -> Result<usize, ProtectError> {
        let placed = self.sender.place_rtp(self.kernels, src, dst.len());
        let sent = placed.and_then(|placed| placed.seal(src, dst));
        self.counters.protected_rtp(sent)
    }

    /// Protects an RTCP packet, simple or compound, as [`protect_rtp`](Self::protect_rtp) does.
    pub fn protect_rtcp(&mut self, src: &[u8], dst: &mut [u8]) -> Result<usize, ProtectError> {
        let len = self
            .sender
            .protect_rtcp(self.kernels, src, dst)
            .inspect_err(|e| self.counters.unsent(*e))?;
        self.counters.sent_rtcp += 1;
        Ok(len)
    }

    /// Checks and decrypts an SRTP packet in place; the RTP packet is `packet[..n]`.
    ///
    /// After an error the buffer and every context are as before; only counters have moved.
    ///
    /// The index is the one that RFC 3711 appendix A guesses. Where that was heard, is older than the window, or does not
    /// fit a few packets in a row, others are tried that were never heard: up to 46 turns of the sequence number ahead;
    /// behind, when the SSRC was not heard for a second of such packets, or after a description ([`renew`](Self::renew)). Without a
    /// tag nothing is tried.
    pub fn unprotect_rtp(
        &mut self,
        packet: &mut [u8],
        now_ms: u64,
    ) -> Result<usize, UnprotectError> {
        match self.receiver.unprotect_next(packet, now_ms) {
            Some(opened) => self.counters.unprotected_rtp(opened),
            None => self.unprotect_any(packet, now_ms),
        }
    }

    /// [`unprotect_rtp`](Self::unprotect_rtp) for whatever packet it is.
    #[inline(never)]
    fn unprotect_any(&mut self, packet: &mut [u8], now_ms: u64) -> Result<usize, UnprotectError> {
        let opened = self.receiver.unprotect_rtp(packet, now_ms);
        self.counters.unprotected_rtp(opened)
    }

    /// Checks and decrypts an SRTCP packet, as [`unprotect_rtp`](Self::unprotect_rtp) does.
    pub fn unprotect_rtcp(
        &mut self,
        packet: &mut [u8],
        now_ms: u64,
    ) -> Result<usize, UnprotectError> {
        let opened = self.receiver.unprotect_rtcp(self.kernels, packet, now_ms);
        let len = opened.inspect_err(|e| self.counters.unreceived(*e))?;
        self.counters.received_rtcp += 1;
        Ok(len)
    }

    /// How many RTP packets of this SSRC in a row were not heard, before the next one that is (or up to a bound, beyond which
    /// it counts on from a small number).
    pub fn missed(&self, ssrc: u32) -> u16 {
        self.receiver.missed(ssrc)
    }

    /// Packets, counted since the session began.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Counters and the state of both directions.
    pub fn stats(&self) -> Stats {
        let local = self.sender.key_in_use();
        let remote = self.receiver.key_in_use();
        Stats {
            counters: self.counters,
            local_suite: local.map(|(suite, _)| suite),
            remote_suite: remote.map(|(suite, _)| suite),
            local_key: local.map(|(_, usage)| usage).unwrap_or_default(),
            remote_key: remote.map(|(_, usage)| usage).unwrap_or_default(),
            local_sources: self.sender.own_sources(),
            local_roc: self.sender.roc(),
            remote_roc: self.receiver.roc(),
        }
    }
}

impl Counters {
    /// Counts what became of an RTP packet to send.
    #[inline]
    pub(crate) fn protected_rtp(
        &mut self,
        sent: Result<Sent, ProtectError>,
    ) -> Result<usize, ProtectError> {
        let Sent { len, again } = sent.inspect_err(|why| self.unsent(*why))?;
        self.sent_rtp += 1;
        self.reencryptions += u64::from(again);
        Ok(len)
    }

    /// Counts what became of a received RTP packet.
    #[inline]
    pub(crate) fn unprotected_rtp(
        &mut self,
        opened: Result<usize, UnprotectError>,
    ) -> Result<usize, UnprotectError> {
        let len = opened.inspect_err(|why| self.unreceived(*why))?;
        self.received_rtp += 1;
        Ok(len)
    }

    fn unsent(&mut self, why: ProtectError) {
        match why {
            ProtectError::Malformed(_) | ProtectError::BufferTooSmall => self.malformed_sent += 1,
            ProtectError::ReusedIndex | ProtectError::IndexTooOld => self.reuse_drops += 1,
            ProtectError::NoKey | ProtectError::KeyExhausted | ProtectError::TooManySources => {
                self.no_key_sent += 1;
            }
        }
    }

    fn unreceived(&mut self, why: UnprotectError) {
        match why {
            UnprotectError::Malformed(_) | UnprotectError::Unencrypted => {
                self.malformed_received += 1;
            }
            UnprotectError::Replayed | UnprotectError::IndexTooOld => self.replays += 1,
            UnprotectError::AuthFailed => self.auth_failures += 1,
            UnprotectError::NoKey | UnprotectError::KeyExhausted => self.no_key_received += 1,
        }
    }
}
