//! Lines for the operator about a peer that sends and is not heard: not one for each packet.

use log::Level;
use policy::reasons::call::{self as reasons, Media};

use crate::ffi::srtp::Kind;
use crate::limited;
use crate::observe::refusals::{self, Who};

use super::session::Names;

/// A first line after so many packets in a row that fail: a few are normal around a new key.
const FIRST_LINE: u32 = 10;
/// The next lines after so many more.
const NEXT_LINES: u32 = 1500;

/// Whether a line is due after so many failures.
fn is_line_due(failures: u32) -> bool {
    failures
        .checked_sub(FIRST_LINE)
        .is_some_and(|more| more.is_multiple_of(NEXT_LINES))
}

/// What an RTP packet says of itself in clear, protected or not (RFC 3550 section 5.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Source {
    pub ssrc: u32,
    pub sequence: u16,
}

impl Source {
    /// `None`: the packet is shorter than a header.
    pub fn of(packet: &[u8]) -> Option<Self> {
        let header = packet.first_chunk::<12>()?;
        let [_, _, a, b, _, _, _, _, ssrc @ ..] = *header;
        Some(Self {
            ssrc: u32::from_be_bytes(ssrc),
            sequence: u16::from_be_bytes([a, b]),
        })
    }
}

fn who(names: &Names) -> Who<'_> {
    Who {
        peer: &names.peer,
        endpoint: &names.channel,
        call_id: "",
        came: None,
    }
}

/// So many packets of a session in a row do not authenticate.
pub fn report_key(failing: u32, kind: Kind, names: impl FnOnce() -> Names) {
    if is_line_due(failing) {
        let names = names();
        let row = reasons::of_media(&Media::NotAuthentic);
        refusals::note(
            row.code,
            who(&names),
            format_args!("{failing} in a row: {}", row.words()),
        );
        limited::log(
            Level::Warn,
            "packets not authenticated",
            &names.peer,
            format_args!(
                "{failing} packets in a row do not authenticate ({kind}, {names}): the peer does not use the key that it \
                 announced, or has lost count of its packets, or somebody else sends to this port. Reason {}",
                row.code
            ),
        );
    }
}

/// So many packets of a source in a row are not heard, the last one for its index.
pub fn report_index(missed: u32, source: Source, names: impl FnOnce() -> Names) {
    if is_line_due(missed) {
        let Source { ssrc, sequence } = source;
        let names = names();
        let row = reasons::of_media(&Media::Index);
        refusals::note(
            row.code,
            who(&names),
            format_args!("{missed} in a row: {}", row.words()),
        );
        limited::log(
            Level::Warn,
            "packets dropped for their index",
            &names.peer,
            format_args!(
                "{missed} packets in a row of SSRC {ssrc:#010x} were dropped, the last one with sequence number {sequence} \
                 ({names}): packets with these indexes were received before, or may have been. Either somebody sends \
                 recorded packets again, or the peer has set its sequence number or rollover counter back under the key that \
                 it has: it has to take a new key or a new SSRC then, or count on. Reason {}",
                row.code
            ),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_few() {
        let due: Vec<_> = (0..4000).filter(|n| is_line_due(*n)).collect();
        assert_eq!(due, [10, 1510, 3010]);
    }

    #[test]
    fn a_packet_says_its_source() {
        let packet = [0x80, 0, 0x12, 0x34, 0, 0, 0, 1, 0xde, 0xad, 0xbe, 0xef, 9];
        let source = Source::of(&packet).map(|s| (s.ssrc, s.sequence));
        assert_eq!(source, Some((0xdead_beef, 0x1234)));
        assert_eq!(Source::of(&packet[..11]), None);
    }
}
