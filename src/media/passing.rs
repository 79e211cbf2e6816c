//! The packets of another leg that leave by a native bridge under this leg's key, with the other leg's SSRC and sequence numbers.
//!
//! Where these are such that their indexes have been used under that key, or may have been (the other leg comes back after it sent elsewhere
//! for long, or its SSRC is the one that Asterisk sends with), `crates/srtp` refuses them. The leg is given back to the core then, which
//! counts for itself. So it is where the session sends nothing at all any more (`strict_lifetime`, a panic): Asterisk's native bridge writes a
//! WARNING for each packet that is refused, and its core none.

use std::sync::atomic::{AtomicBool, Ordering};

use log::Level;
use policy::passing::{Enough, MANY, Refused};

#[cfg(feature = "pjsip")]
use crate::ffi::channel::Channel;
use crate::ffi::channel::OwnedChannel;
use crate::ffi::srtp::is_session_of;
use crate::ffi::sync::Mutex;
use crate::limited;

use super::session::LiveSession;
use super::{calls, registry};

/// Of a session: its leg in native bridges.
#[derive(Default)]
pub struct Passing {
    /// The unique id of the channel that was let into one.
    channel: Mutex<Option<String>>,
    /// RTP packets that could not be encrypted.
    refused: Refused,
    /// The latest one for its index or its SSRC.
    by_index: AtomicBool,
    /// None gets through any more.
    in_row: AtomicBool,
    /// Something is to be done.
    due: AtomicBool,
    /// No native bridge any more.
    over: AtomicBool,
}

/// The technology of native bridges.
pub const NATIVE: &str = "native_rtp";

/// Something is to be done for some session.
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
        self.refused.passed();
    }

    /// One was not: for its index or its SSRC, or because the session sends nothing any more.
    #[cold]
    pub fn refused(&self, by_index: bool) {
        if !by_index && self.over.load(Ordering::Relaxed) {
            // The core has it, and makes no difference to it.
            return;
        }
        self.by_index.store(by_index, Ordering::Relaxed);
        match self.refused.refused() {
            Some(Enough::Row) => self.in_row.store(true, Ordering::Relaxed),
            // The core has it, or is about to; where packets come twice, it does not help to send them with another SSRC.
            Some(Enough::Many) if self.over.load(Ordering::Relaxed) => return,
            Some(Enough::Many) => {}
            None => return,
        }
        self.due.store(true, Ordering::Relaxed);
        DUE.store(true, Ordering::Release);
    }

    /// What is to be done, if anything is, for the channel that was let into a native bridge.
    fn take(&self) -> Option<Due> {
        if !self.due.swap(false, Ordering::Relaxed) {
            return None;
        }
        let in_row = self.in_row.swap(false, Ordering::Relaxed);
        Some(Due {
            channel: self.channel.lock().clone()?,
            by_index: self.by_index.load(Ordering::Relaxed),
            in_row,
        })
    }
}

/// Packets were refused.
struct Due {
    /// The unique id of the channel that was let into a native bridge.
    channel: String,
    /// The latest one for its index or its SSRC.
    by_index: bool,
    /// None got through for a second.
    in_row: bool,
}

/// Does what is due. The watch asks: a media thread holds the lock of an instance, behind which none of a channel's may be taken.
pub fn look() {
    if !DUE.swap(false, Ordering::Acquire) {
        return;
    }
    for session in registry::live() {
        if let Some(due) = session.passing().take() {
            remedy(&session, &due);
        }
    }
}

/// The core has the leg again. If it has, and none of its own packets gets through for a second, they get another SSRC.
fn remedy(session: &LiveSession, due: &Due) {
    let found = OwnedChannel::find(&due.channel);
    let Some(channel) = found.as_ref().and_then(OwnedChannel::get) else {
        return;
    };
    let is_native = channel.bridge_technology().as_deref() == Some(NATIVE);
    if is_native {
        session.passing().over.store(true, Ordering::Relaxed);
        channel.bridge_anew();
    }
    if !due.by_index {
        // Why nothing is sent was said.
        return;
    }
    let names = session.names();
    if is_native {
        limited::log(
            Level::Warn,
            "native bridge left",
            &names.peer,
            format_args!(
                "{MANY} packets of the call's other leg could not be encrypted for {names} (of each Asterisk says \"RTP Transmission \
                 error\"): under the SSRC that they have, packets with their sequence numbers were sent before, or may have been (that leg \
                 began anew, or its network delivers packets twice), or that leg has had too many SSRCs. \
                 The call goes on through Asterisk's core, not by the native bridge; nobody has to change anything"
            ),
        );
    } else if due.in_row {
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
                "packets for {names} could not be encrypted under the SSRC that Asterisk sends with, as the call's other leg may have used it: \
                 Asterisk sends with another one from now on"
            ),
        );
    }
}
