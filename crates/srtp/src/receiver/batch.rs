//! What a batch asks of a receiver: its memory ahead, and packets as jobs for the kernels.

use packet_crypto::{CmOpen, prefetch};

use super::trial::Verified;
use super::{Receiver, Role};
use crate::rtp::RtpHeader;

impl Receiver {
    /// Asks for what every RTP packet touches here.
    #[inline]
    pub(crate) fn prefetch(&self) {
        prefetch(self);
    }

    /// Asks for the keys.
    #[inline]
    pub(crate) fn prefetch_behind(&self) {
        if let Some(key) = self.current.as_ref().and_then(|g| g.keys.first()) {
            key.transform.prefetch();
        }
    }

    /// A packet for which there is one key and one index to try, under AES-CM, as a job for the
    /// kernels' batch; and what it is if it authenticates.
    #[inline]
    pub(crate) fn open_job<'a>(&'a self, packet: &'a mut [u8]) -> Option<(CmOpen<'a>, Verified)> {
        let header = RtpHeader::parse(packet).ok()?;
        let (key, generation) = self.sole_key()?;
        let Ok((index, None)) = self.rtp_indexes(key, generation, &header) else {
            return None;
        };
        let job = key.transform.open_job(&header, index, packet)?;
        let verified = Verified {
            role: Role::Current,
            record: key.record,
            ssrc: header.ssrc,
            index,
            len: job.packet.len(),
        };
        Some((job, verified))
    }
}
