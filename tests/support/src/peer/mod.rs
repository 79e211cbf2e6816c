//! A phone whose every packet the test chooses: SIP by hand over UDP, media by libsrtp. It links nothing of ours.

pub mod media;
pub mod sip;
pub mod srtp;

pub use media::{Heard, Media};
pub use sip::{Description, Phone};
pub use srtp::{Key, Srtp, Suite};
