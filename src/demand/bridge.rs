//! `CHANNEL(secure_bridge_signaling)` and `CHANNEL(secure_bridge_media)`, as Asterisk's core asks a channel that is to be dialled.

use policy::demand::Demand;

use crate::ffi::channel::Channel;
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
