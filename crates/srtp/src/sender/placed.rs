//! A packet that has its index, to be sealed.

use packet_crypto::CmSeal;

use crate::error::ProtectError;
use crate::rtp::RtpHeader;
use crate::transform::Transform;

use super::record::RtpPlace;

/// A packet with its key and its index, which counts as used whatever becomes of the packet.
pub(crate) struct Placed<'a> {
    pub(super) transform: &'a Transform,
    pub(super) mki: &'a [u8],
    pub(super) header: RtpHeader,
    pub(super) place: RtpPlace<'a>,
}

/// A protected RTP packet.
pub(crate) struct Sent {
    pub(crate) len: usize,
    /// The same packet was sent before.
    pub(crate) again: bool,
}

impl<'a> Placed<'a> {
    /// Seals the packet into `dst`, which has room for it. After an error `dst` holds nothing of it.
    #[inline]
    pub(crate) fn seal(mut self, src: &[u8], dst: &mut [u8]) -> Result<Sent, ProtectError> {
        let (transform, header, mki) = (self.transform, self.header, self.mki);
        let index = self.place.index;
        let settle = |tag: &[u8; 20]| self.place.settle(tag);
        let len = transform.seal_rtp(&header, index, src, dst, mki, settle)?;
        Ok(self.sent(len))
    }

    /// The packet as a job for the kernels' batch, which [`finish`](Self::finish) completes. For
    /// an AEAD, whose kernels gain nothing by it, `dst` comes back.
    #[inline]
    pub(crate) fn job<'b>(
        &self,
        src: &'b [u8],
        dst: &'b mut [u8],
    ) -> Result<CmSeal<'b>, &'b mut [u8]>
    where
        'a: 'b,
    {
        self.transform
            .cm_job(&self.header, self.place.index, src, dst)
    }

    /// What [`seal`](Self::seal) does behind the kernel.
    #[inline]
    pub(crate) fn finish(&mut self, job: &mut CmSeal) -> Result<Sent, ProtectError> {
        let (transform, mki) = (self.transform, self.mki);
        let len = transform.finish_cm(job, mki, |tag| self.place.settle(tag))?;
        Ok(self.sent(len))
    }

    #[inline]
    fn sent(&self, len: usize) -> Sent {
        let again = self.place.used;
        Sent { len, again }
    }
}
