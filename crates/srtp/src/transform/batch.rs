//! Packets as jobs for the kernels' batch.

use packet_crypto::{CmOpen, CmSeal, Packet, prefetch, prefetch_front};

use super::keys::cm_iv;
use super::{Keys, Transform, roc_octets};
use crate::rtp::RtpHeader;

impl Transform {
    /// An RTP packet to be sealed as a job for the kernels' batch, which [`finish_cm`](Self::finish_cm)
    /// completes. For an AEAD, whose kernels gain nothing by it, `dst` comes back.
    #[inline]
    pub(crate) fn cm_job<'a>(
        &'a self,
        header: &RtpHeader,
        index: u64,
        src: &'a [u8],
        dst: &'a mut [u8],
    ) -> Result<CmSeal<'a>, &'a mut [u8]> {
        let Keys::Cm(_, keyed) = &self.0 else {
            return Err(dst);
        };
        Ok(CmSeal {
            key: &keyed.kernel,
            iv: cm_iv(&keyed.salt, header.ssrc, index),
            clear: self.rtp_clear(header, src.len()),
            packet: Packet::Copy { src, dst },
            trailer: roc_octets(index),
            tag: [0; 20],
        })
    }

    /// What [`seal_rtp`](Self::seal_rtp) does behind the kernel, for a job that is sealed.
    #[inline]
    pub(crate) fn finish_cm<E>(
        &self,
        job: &mut CmSeal,
        mki: &[u8],
        settle: impl FnOnce(&[u8; 20]) -> Result<(), E>,
    ) -> Result<usize, E> {
        match &mut job.packet {
            Packet::Copy { src, dst } => self.finish(src.len(), dst, &job.tag, mki, settle),
            Packet::InPlace(_) => unreachable!("cm_job makes none"),
        }
    }

    /// Asks for what a packet of RTP reads of the keys.
    #[inline]
    pub(crate) fn prefetch(&self) {
        match &self.0 {
            // The last round keys of AES-192 and AES-256 follow by themselves.
            Keys::Cm(_, keyed) => prefetch_front(&**keyed, 240),
            Keys::Gcm(_, keyed) => prefetch(&**keyed),
        }
    }

    /// A packet without MKI as a job for the kernels' batch. None for an AEAD, whose kernels gain
    /// nothing by it, without a tag, or if the packet is too short for one.
    #[inline]
    pub(crate) fn open_job<'a>(
        &'a self,
        header: &RtpHeader,
        index: u64,
        packet: &'a mut [u8],
    ) -> Option<CmOpen<'a>> {
        let (Keys::Cm(_, keyed), tag_len @ 1..) = (&self.0, self.rtp_tag_len()) else {
            return None;
        };
        let body = packet.len().checked_sub(tag_len)?;
        if body < header.len {
            return None;
        }
        let (packet, tag) = packet.split_at_mut(body);
        Some(CmOpen {
            key: &keyed.kernel,
            iv: cm_iv(&keyed.salt, header.ssrc, index),
            clear: self.rtp_clear(header, body),
            packet,
            trailer: roc_octets(index),
            tag,
            result: Ok(()),
        })
    }
}
