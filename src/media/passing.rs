//! The packets of another leg that leave by a native bridge under this leg's key, with the other leg's SSRC and sequence numbers.
//!
//! Where these are such that their indexes have been used under that key, or may have been (the other leg comes back after it sent elsewhere
//! for long, or its SSRC is the one that Asterisk sends with), `crates/srtp` refuses them. The leg is given back to the core then, which
//! counts for itself.

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, Ordering};

use log::Level;

#[cfg(feature = "pjsip")]
use crate::ffi::channel::Channel;
use crate::ffi::channel::OwnedChannel;
use crate::ffi::srtp::is_session_of;
use crate::ffi::sync::Mutex;
use crate::limited;

use super::session::LiveSession;
use super::{calls, registry};

/// A leg goes back to the core after so many RTP packets in a row that could not be encrypted: a few come late, or twice.
const TO_THE_CORE: u32 = 10;
/// It gets another SSRC after so many more, which are the core's.
const NEW_SSRC: u32 = 100;

/// What is to be done for a leg whose packets are refused.
#[derive(Clone, Copy)]
enum Remedy {
    Core = 1,
    NewSsrc = 2,
}

/// Of a session: its leg in native bridges.
#[derive(Default)]
pub struct Passing {
    /// The unique id of the channel that was let into one.
    channel: Mutex<Option<String>>,
    /// RTP packets in a row that could not be encrypted.
    refused: AtomicU32,
    /// A [`Remedy`], or 0.
    due: AtomicU8,
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
        let remedy = match refused.checked_sub(TO_THE_CORE) {
            Some(0) => Remedy::Core,
            Some(more) if more % NEW_SSRC == 0 => Remedy::NewSsrc,
            _ => return,
        };
        self.due.store(remedy as u8, Ordering::Relaxed);
        DUE.store(true, Ordering::Release);
    }

    /// What is due, and the channel that was let into a native bridge.
    fn take(&self) -> Option<(Remedy, String)> {
        let remedy = match self.due.swap(0, Ordering::Relaxed) {
            1 => Remedy::Core,
            2 => Remedy::NewSsrc,
            _ => return None,
        };
        Some((remedy, self.channel.lock().clone()?))
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
    session.passing().over.store(true, Ordering::Relaxed);
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
                    "{TO_THE_CORE} packets in a row of the call's other leg could not be encrypted for {names}: under the SSRC that they \
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

    #[test]
    fn a_few_refusals_are_nothing_and_many_need_a_remedy() {
        let passing = Passing::default();
        *passing.channel.lock() = Some("1.1".to_owned());
        let due = |passing: &Passing| passing.take().map(|(remedy, _)| remedy as u8);
        for _ in 1..TO_THE_CORE {
            passing.refused();
            assert_eq!(due(&passing), None);
        }
        passing.sent();
        for _ in 1..TO_THE_CORE {
            passing.refused();
            assert_eq!(due(&passing), None);
        }
        passing.refused();
        assert_eq!(due(&passing), Some(Remedy::Core as u8));
        assert_eq!(due(&passing), None);
        for _ in 1..NEW_SSRC {
            passing.refused();
            assert_eq!(due(&passing), None);
        }
        passing.refused();
        assert_eq!(due(&passing), Some(Remedy::NewSsrc as u8));
    }

    #[test]
    fn a_leg_that_was_in_no_native_bridge_needs_none() {
        let passing = Passing::default();
        for _ in 0..TO_THE_CORE {
            passing.refused();
        }
        assert!(passing.take().is_none());
    }
}
