//! Lines for the operator about a peer that sends and is not heard: not one for each packet.

use log::Level;
use policy::reasons::call::{self as reasons, Media};
pub use policy::unheard::Source;
use policy::unheard::is_line_due;

use crate::ffi::srtp::Kind;
use crate::limited;
use crate::observe::refusals::{self, Who};

use super::session::Names;

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
