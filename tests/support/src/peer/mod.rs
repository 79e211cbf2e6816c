//! A phone whose every packet the test chooses: SIP by hand over UDP, media by libsrtp, and DTLS by
//! OpenSSL. It links nothing of ours.

pub mod dtls;
pub mod media;
pub mod sip;
pub mod srtp;

pub use dtls::Identity;
pub use media::{Heard, Media};
pub use sip::{Bundle, Description, Phone};
pub use srtp::{Key, Srtp, Suite};
