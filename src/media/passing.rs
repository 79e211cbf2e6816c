//! The packets of another leg that leave by a native bridge under this leg's key, with the other leg's SSRC and sequence numbers.
//!
//! Where these are such that their indexes have been used under that key, or may have been (the other leg comes back after it sent elsewhere
//! for long, or its SSRC is the one that Asterisk sends with), `crates/srtp` refuses them. The leg is given back to the core then, which
//! counts for itself.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use log::Level;

#[cfg(feature = "pjsip")]
use crate::ffi::channel::Channel;
use crate::ffi::channel::OwnedChannel;
use crate::ffi::srtp::is_session_of;
use crate::ffi::sync::Mutex;
use crate::limited;

use super::session::LiveSession;
use super::{calls, registry};

/// Something is done for a leg after so many RTP packets in a row that could not be encrypted: a few come late, or twice.
const MANY: u32 = 10;
/// And after so many more, a second of audio, when that did not help.
const MORE: u32 = 50;

/// What is done for a leg whose packets are refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Remedy {
    /// The core has it again.
    Core,
    /// The core's packets are refused as well: they get another SSRC.
    NewSsrc,
}

/// Of a session: its leg in native bridges.
#[derive(Default)]
pub struct Passing {
    /// The unique id of the channel that was let into one.
    channel: Mutex<Option<String>>,
    /// RTP packets in a row that could not be encrypted.
    refused: AtomicU32,
    /// A remedy is.
    due: AtomicBool,
    /// No native bridge any more.
    over: AtomicBool,
}

/// A remedy is due for some session.
static DUE: AtomicBool = AtomicBool::new(false);

impl Passing {
    /// The channel is let into a native bridge.
    #[cfg(feature = "pjsip")]
    pub fn begin(&self, channel: Channel<'_>) {
        *self.channel.lock() = Some(channel.unique_id());
    }

    /// Whether it is not to be let into one again.
    #[cfg(feature = "pjsip")]
    pub fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }

    /// An RTP packet was encrypted.
    #[inline]
    pub fn sent(&self) {
        if self.refused.load(Ordering::Relaxed) != 0 {
            self.refused.store(0, Ordering::Relaxed);
        }
    }

    /// One was not, for its index or its SSRC.
    #[cold]
    pub fn refused(&self) {
        let refused = self.refused.fetch_add(1, Ordering::Relaxed) + 1;
        if refused
            .checked_sub(MANY)
            .is_some_and(|more| more.is_multiple_of(MORE))
        {
            self.due.store(true, Ordering::Relaxed);
            DUE.store(true, Ordering::Release);
        }
    }

    /// What is due, and the channel that was let into a native bridge, which it is not again.
    fn take(&self) -> Option<(Remedy, String)> {
        if !self.due.swap(false, Ordering::Relaxed) {
            return None;
        }
        let channel = self.channel.lock().clone()?;
        match self.over.swap(true, Ordering::Relaxed) {
            false => Some((Remedy::Core, channel)),
            true => Some((Remedy::NewSsrc, channel)),
        }
    }
}

/// Does what is due. The watch asks: a media thread holds the lock of an instance, behind which none of a channel's may be taken.
pub fn look() {
    if !DUE.swap(false, Ordering::Acquire) {
        return;
    }
    for session in registry::live() {
        if let Some((remedy, channel)) = session.passing().take() {
            remedy_for(&session, remedy, &channel);
        }
    }
}

fn remedy_for(session: &LiveSession, remedy: Remedy, channel: &str) {
    let found = OwnedChannel::find(channel);
    let Some(channel) = found.as_ref().and_then(OwnedChannel::get) else {
        return;
    };
    let names = session.names();
    match remedy {
        Remedy::Core => {
            channel.bridge_anew();
            limited::log(
                Level::Warn,
                "native bridge left",
                &names.peer,
                format_args!(
                    "{MANY} packets in a row of the call's other leg could not be encrypted for {names}: under the SSRC that they \
                     have, packets with their sequence numbers were sent before, or may have been, or that leg has had too many SSRCs. \
                     The call goes on through Asterisk's core, not by the native bridge; nobody has to change anything"
                ),
            );
        }
        Remedy::NewSsrc => {
            for stream in calls::media_of(channel) {
                if let Some(rtp) = stream.rtp.get()
                    && is_session_of(session, rtp)
                {
                    rtp.change_source();
                }
            }
            limited::log(
                Level::Warn,
                "SSRC changed",
                &names.peer,
                format_args!(
                    "packets for {names} could not be encrypted under the SSRC that Asterisk sends with, as the call's other leg had used it: \
                     Asterisk sends with another one from now on"
                ),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn due(passing: &Passing) -> Option<Remedy> {
        passing.take().map(|(remedy, _)| remedy)
    }

    /// So many are refused in a row, the last of which has this remedy.
    fn refuse(passing: &Passing, count: u32, remedy: Option<Remedy>) {
        for _ in 1..count {
            passing.refused();
            assert_eq!(due(passing), None);
        }
        passing.refused();
        assert_eq!(due(passing), remedy);
        assert_eq!(due(passing), None);
    }

    #[test]
    fn a_few_refusals_are_nothing_and_many_need_a_remedy() {
        let passing = Passing::default();
        *passing.channel.lock() = Some("1.1".to_owned());
        refuse(&passing, MANY - 1, None);
        passing.sent();
        refuse(&passing, MANY - 1, None);
        refuse(&passing, 1, Some(Remedy::Core));
        refuse(&passing, MORE, Some(Remedy::NewSsrc));
        passing.sent();
        refuse(&passing, MANY, Some(Remedy::NewSsrc));
    }

    #[test]
    fn a_leg_that_was_in_no_native_bridge_needs_none() {
        let passing = Passing::default();
        refuse(&passing, MANY + MORE, None);
    }
}
