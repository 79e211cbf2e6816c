//! `CHANNEL(secure_bridge_signaling)` and `CHANNEL(secure_bridge_media)`, as Asterisk's core asks a channel that is to be dialled.

use policy::demand::Demand;

use crate::ffi::channel::Channel;
use crate::ffi::local::Called;
use crate::ffi::technology::{Secure, Wanted};

/// Takes the demand; it is judged when the INVITE is to leave.
pub struct Bridge;

impl Secure for Bridge {
    fn demand(channel: Channel<'_>, wanted: Wanted) -> bool {
        let demand = match wanted {
            Wanted::Signaling => Demand::of_signaling(),
            Wanted::Media => Demand::of_media(),
        };
        super::demand(channel, &demand)
    }
}

impl Called for Bridge {
    fn is_called(channel: Channel<'_>) {
        // Nobody dialled it, so nobody asked.
        let words = super::words(channel);
        if channel.is_originated() && !words.is_nothing() && !super::demand(channel, &words) {
            log::error!(
                "CHANNEL(secure_bridge_...) of channel {}: the demand could not be kept, so the call ends",
                channel.name()
            );
            channel.hang_up();
        }
    }
}
