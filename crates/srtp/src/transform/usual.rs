//! RTP packets as nearly all are: nothing in clear but the fixed header, and behind the payload the usual tag alone.

use packet_crypto::{AesCmHmacSha1, AesGcm};

use super::keys::{Keyed, cm_iv, gcm_nonce};
use super::{Keys, Transform, roc_octets};
use crate::policy::SessionParams;
use crate::rtp::FixedHeader;
use crate::suite::{Cipher, Suite};

/// Octets of a tag under AES-CM, and under AES-GCM.
const CM_TAG: usize = 10;
const GCM_TAG: usize = 16;

pub(super) fn is_usual(suite: Suite, params: SessionParams) -> bool {
    let tag_len = match suite.cipher() {
        Cipher::AesCm => CM_TAG,
        Cipher::AesGcm => GCM_TAG,
    };
    suite.rtp_tag_len() == tag_len && !params.unencrypted_srtp && !params.unauthenticated_srtp
}

/// The keys of such packets.
pub(crate) enum Usual<'a> {
    Cm(Cm<'a>),
    Gcm(Gcm<'a>),
}

#[derive(Clone, Copy)]
pub(crate) struct Cm<'a>(&'a Keyed<AesCmHmacSha1>);

#[derive(Clone, Copy)]
pub(crate) struct Gcm<'a>(&'a Keyed<AesGcm>);

impl Transform {
    /// The keys, if packets with the fixed header and without an MKI are such ones.
    #[inline(always)]
    pub(crate) fn usual(&self) -> Option<Usual<'_>> {
        match &self.0 {
            Keys::Cm(kind, keyed) if kind.is_usual => Some(Usual::Cm(Cm(keyed))),
            Keys::Gcm(kind, keyed) if kind.is_usual => Some(Usual::Gcm(Gcm(keyed))),
            _ => None,
        }
    }
}

impl Cm<'_> {
    /// Where packet and tag of a packet of `len` octets go. None if there is no room.
    #[inline(always)]
    pub(crate) fn room(self, dst: &mut [u8], len: usize) -> Option<Room<'_, CM_TAG>> {
        Room::new(dst, len)
    }

    /// Seals a packet; the length, and the first octets of the HMAC.
    #[inline(always)]
    pub(crate) fn seal(
        self,
        FixedHeader { ssrc, .. }: FixedHeader,
        index: u64,
        src: &[u8],
        Room { packet, tag }: Room<CM_TAG>,
    ) -> (usize, [u8; 4]) {
        let iv = cm_iv(&self.0.salt, ssrc, index);
        let clear = FixedHeader::LEN;
        let roc = roc_octets(index);
        let mac = self.0.kernel.seal(&iv, clear, src, packet, &roc);
        // In the pieces that it is copied in, so that none is loaded from two that were stored.
        let [a, b, c, d, e, f, g, h, i, j, ..] = mac;
        let front = u64::from_le_bytes([a, b, c, d, e, f, g, h]);
        tag[..8].copy_from_slice(&front.to_le_bytes());
        tag[8..].copy_from_slice(&[i, j]);
        (src.len() + CM_TAG, (front as u32).to_le_bytes())
    }

    /// A received packet's ciphertext and tag. None if it is too short.
    #[inline(always)]
    pub(crate) fn parts(self, packet: &mut [u8]) -> Option<(&mut [u8], &[u8; CM_TAG])> {
        parts(packet)
    }

    /// Opens a packet in place. `false`: it is as before.
    #[inline(always)]
    pub(crate) fn open(
        self,
        FixedHeader { ssrc, .. }: FixedHeader,
        index: u64,
        packet: &mut [u8],
        tag: &[u8; CM_TAG],
    ) -> bool {
        let iv = cm_iv(&self.0.salt, ssrc, index);
        let (clear, roc) = (FixedHeader::LEN, roc_octets(index));
        let opened = self.0.kernel.open_in_place(&iv, clear, packet, &roc, tag);
        opened.is_ok()
    }
}

impl Gcm<'_> {
    /// As [`Cm::room`].
    #[inline(always)]
    pub(crate) fn room(self, dst: &mut [u8], len: usize) -> Option<Room<'_, GCM_TAG>> {
        Room::new(dst, len)
    }

    /// Seals a packet; the length.
    #[inline(always)]
    pub(crate) fn seal(
        self,
        FixedHeader { ssrc, .. }: FixedHeader,
        index: u64,
        src: &[u8],
        Room { packet, tag }: Room<GCM_TAG>,
    ) -> usize {
        let nonce = gcm_nonce(&self.0.salt, ssrc, index);
        let clear = FixedHeader::LEN;
        *tag = self.0.kernel.seal(&nonce, clear, src, packet, &[]);
        src.len() + GCM_TAG
    }

    /// As [`Cm::parts`].
    #[inline(always)]
    pub(crate) fn parts(self, packet: &mut [u8]) -> Option<(&mut [u8], &[u8; GCM_TAG])> {
        parts(packet)
    }

    /// As [`Cm::open`].
    #[inline(always)]
    pub(crate) fn open(
        self,
        FixedHeader { ssrc, .. }: FixedHeader,
        index: u64,
        packet: &mut [u8],
        tag: &[u8; GCM_TAG],
    ) -> bool {
        let nonce = gcm_nonce(&self.0.salt, ssrc, index);
        let clear = FixedHeader::LEN;
        let opened = self.0.kernel.open_in_place(&nonce, clear, packet, &[], tag);
        opened.is_ok()
    }
}

/// Where a sealed packet goes.
pub(crate) struct Room<'a, const TAG: usize> {
    packet: &'a mut [u8],
    tag: &'a mut [u8; TAG],
}

impl<'a, const TAG: usize> Room<'a, TAG> {
    #[inline(always)]
    fn new(dst: &'a mut [u8], len: usize) -> Option<Self> {
        let (packet, behind) = dst.split_at_mut_checked(len)?;
        let tag = behind.first_chunk_mut()?;
        Some(Room { packet, tag })
    }
}

#[inline(always)]
fn parts<const TAG: usize>(packet: &mut [u8]) -> Option<(&mut [u8], &[u8; TAG])> {
    let (packet, tag) = packet.split_last_chunk_mut()?;
    (packet.len() >= FixedHeader::LEN).then_some((packet, &*tag))
}
