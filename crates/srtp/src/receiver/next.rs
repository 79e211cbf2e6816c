//! The next packet of a stream, which nearly every packet is: one straight line of what [`Receiver::unprotect_rtp`] does with
//! it.

use super::trial::Verified;
use super::{KeyRecord, Receiver, Role, Stream};
use crate::error::UnprotectError;
use crate::index::RTP_INDEXES;
use crate::rtp::{FixedHeader, RtpHeader};
use crate::transform::Usual;

impl Receiver {
    /// Opens the packet if it is [usual](Usual), there is one key only and no MKI, and it has the sequence number behind its
    /// stream's highest one. `None`, and nothing has changed, if it is any other.
    #[inline(always)]
    pub(crate) fn unprotect_next(
        &mut self,
        packet: &mut [u8],
        now_ms: u64,
    ) -> Option<Result<usize, UnprotectError>> {
        let header = FixedHeader::parse(packet)?;
        let (Some(current), None, None) = (&self.current, &self.pending, &self.old) else {
            return None;
        };
        let key = match current.keys.as_slice() {
            [key] if key.mki.is_none() => key,
            _ => return None,
        };
        let record = match self.records.as_mut_slice() {
            [only] => only,
            several => several.get_mut(key.record)?,
        };
        let (index, next) = record.next(header)?;
        let (opened, len) = match key.transform.usual()? {
            Usual::Cm(keys) => {
                let (packet, tag) = keys.parts(packet)?;
                (keys.open(header, index, packet, tag), packet.len())
            }
            Usual::Gcm(keys) => {
                let (packet, tag) = keys.parts(packet)?;
                (keys.open(header, index, packet, tag), packet.len())
            }
        };
        if !opened {
            return Some(self.open_elsewhere(header, packet, now_ms));
        }
        self.clock += 1;
        next.take(self.clock);
        let record = key.record;
        self.set_last(record, header.ssrc);
        Some(Ok(len))
    }

    /// Opens a packet that did not open where it should.
    #[cold]
    fn open_elsewhere(
        &mut self,
        header: FixedHeader,
        packet: &mut [u8],
        now_ms: u64,
    ) -> Result<usize, UnprotectError> {
        let header = RtpHeader::from(header);
        let found = self.sole_key().and_then(|(key, generation)| {
            let (index, len) = self.try_further((generation, key), &header, packet, 0, now_ms)?;
            Some(Verified {
                role: Role::Current,
                record: key.record,
                ssrc: header.ssrc,
                index,
                len,
            })
        });
        self.settle_rtp(header.ssrc, found.ok_or(UnprotectError::AuthFailed), now_ms)
    }
}

/// The index behind a stream's highest one. Nothing has changed yet.
struct Next<'a> {
    stream: &'a mut Stream,
    packets: &'a mut u64,
}

impl Next<'_> {
    /// A packet with that index was heard.
    #[inline(always)]
    fn take(self, clock: u64) {
        *self.packets += 1;
        self.stream.heard = clock;
        // Only then: it lies beside the SSRC, and a load of both would wait for this store's way to the cache.
        if self.stream.missed != 0 {
            self.stream.missed = 0;
        }
        if let Some(heard) = &mut self.stream.rtp {
            heard.take_next();
        }
    }
}

impl KeyRecord {
    /// The index of a packet, if that is the one behind its stream's highest one.
    #[inline(always)]
    fn next(&mut self, header: FixedHeader) -> Option<(u64, Next<'_>)> {
        let stream = match self.streams.as_mut_slice() {
            [first, ..] if first.ssrc == header.ssrc => first,
            [_, others @ ..] => others.iter_mut().find(|s| s.ssrc == header.ssrc)?,
            [] => return None,
        };
        let index = stream.rtp.as_ref()?.next(header.seq)?;
        let packets = &mut self.packets.rtp;
        (index < RTP_INDEXES).then_some((index, Next { stream, packets }))
    }
}
