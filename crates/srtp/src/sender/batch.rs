//! What a batch asks of a sender: its memory ahead, and packets as jobs for the kernels.

use packet_crypto::{CmSeal, prefetch, prefetch_front};

use super::placed::{Placed, Sent};
use super::record::{KNOWN, KeyRecord};
use super::{Active, Sender};
use crate::Few;
use crate::error::ProtectError;

/// Octets of a record, when there is one with one stream, that every packet touches.
const HOT: usize = 64;

impl Sender {
    /// Asks for what every RTP packet touches here.
    #[inline]
    pub(crate) fn prefetch(&self) {
        prefetch_front(self, size_of::<Few<Active>>() + 16 + HOT);
    }

    /// Asks for the keys, and for the place of the fingerprint of packet `seq`.
    #[inline]
    pub(crate) fn prefetch_behind(&self, seq: u16) {
        if let Some(active) = self.active.first() {
            active.transform.prefetch();
            self.records[active.record].prefetch(seq);
        }
    }
}

impl KeyRecord {
    /// Asks for the place of the fingerprint of packet `seq`.
    #[inline]
    fn prefetch(&self, seq: u16) {
        if let Some(stream) = self.streams.first() {
            prefetch(&stream.fingerprints[usize::from(seq) % KNOWN]);
        }
    }
}

impl<'a> Placed<'a> {
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
}
