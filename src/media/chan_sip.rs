//! Calls of chan_sip, as far as an RTP instance tells: by the channel that it serves, once there is one.

use policy::chan_sip::peer_of_channel;

use crate::ffi::channel;
use crate::ffi::rtp::RtpInstance;

/// Whose stream it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Side {
    /// The channel.
    pub channel: String,
    /// The peer that `sip.conf` has, or the address that was called.
    pub peer: String,
}

/// The side of the stream of `rtp`. `None`: not chan_sip's, or the first description of a call that the peer makes, for which
/// there is no channel before it is accepted.
pub fn side_of(rtp: RtpInstance<'_>) -> Option<Side> {
    let channel = channel::name_of(&rtp.channel_id())?;
    let peer = peer_of_channel(&channel)?.to_owned();
    Some(Side { channel, peer })
}
