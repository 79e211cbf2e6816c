//! A packet that has its index, to be sealed.

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

    #[inline]
    pub(super) fn sent(&self, len: usize) -> Sent {
        let again = self.place.used;
        Sent { len, again }
    }
}
