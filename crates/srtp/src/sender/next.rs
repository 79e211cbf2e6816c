//! The next packet of a stream, which nearly every packet is: one straight line of what [`Sender::place_rtp`] and
//! [`Placed::seal`](super::Placed::seal) do with it.

use super::fingerprint::Fingerprint;
use super::{Active, LocalSsrc, Sender};
use crate::rtp::FixedHeader;
use crate::transform::Usual;

impl Sender {
    /// Protects the packet if it is [usual](Usual) and has the index behind its stream's highest one; its length then. `None`, and
    /// nothing has changed, if it is any other.
    #[inline(always)]
    pub(crate) fn protect_next(&mut self, src: &[u8], dst: &mut [u8]) -> Option<usize> {
        let header = FixedHeader::parse(src)?;
        let active = first_active(&self.active, header.ssrc)?;
        let record = match self.records.as_mut_slice() {
            [only] => only,
            several => several.get_mut(active.record)?,
        };
        let len = match active.transform.usual()? {
            Usual::Cm(keys) => {
                let room = keys.room(dst, src.len())?;
                let next = record.next(header)?;
                let (index, sent) = next.take();
                let (len, front) = keys.seal(header, index, src, room);
                *sent = Fingerprint::of_front(front);
                len
            }
            Usual::Gcm(keys) => {
                let room = keys.room(dst, src.len())?;
                let (index, _) = record.next(header)?.take();
                keys.seal(header, index, src, room)
            }
        };
        self.last = Some((active.record as u32, header.ssrc));
        Some(len)
    }
}

/// The policy for `ssrc`, if it is the first one and without an MKI.
#[inline(always)]
fn first_active(policies: &[Active], ssrc: u32) -> Option<&Active> {
    let active = match policies {
        [first, ..] if first.ssrc == LocalSsrc::Specific(ssrc) => first,
        [only] if only.ssrc == LocalSsrc::Any => only,
        _ => return None,
    };
    active.mki.is_none().then_some(active)
}
