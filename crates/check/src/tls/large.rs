//! Whether a hello that is longer than one TCP segment gets an answer.

use sip_tls::Code as Why;

use super::{Hello, Peer, Trust, handshake};
use crate::code::Code;
use crate::report::Finding;

/// Looks, at a server that has answered `hello`.
pub(crate) fn large(peer: Peer, hello: &Hello, trust: &Trust) -> Option<Finding> {
    let long = Hello {
        long: true,
        ..hello.clone()
    };
    let failed = handshake(peer, &long, trust).err()?;
    let lost =
        failed.is_mute() || matches!(failed.reason.code, Why::Silent | Why::HandshakeTimeout);
    // One that answered with an alert has got it; one that answers a short one no more has had enough of us.
    let short_is_answered = lost && failed.connected && handshake(peer, hello, trust).is_ok();
    short_is_answered.then(|| Finding::new(Code::LargeHelloUnanswered, failed.reason.to_string()))
}
