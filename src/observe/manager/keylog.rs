//! The keys of a peer in a file: `CiphertrunkKeylogStart`, `CiphertrunkKeylogStop`.

use policy::keylog::Request as Keylog;

use crate::ffi::manager::{Action, Privilege, Request};
use crate::keylog::{self, End};
use crate::observe::keylog::told;

/// `CiphertrunkKeylogStart`: as `ciphertrunk keylog start`.
pub enum KeylogStart {}

impl Action for KeylogStart {
    const NAME: &'static std::ffi::CStr = c"CiphertrunkKeylogStart";
    const PRIVILEGE: Privilege = Privilege::System;

    fn run(request: &Request<'_>) {
        let file = request.header(c"File").unwrap_or_default();
        let peer = request.header(c"Peer");
        let time = request.header(c"For");
        let begun = Keylog::of(&file, peer.as_deref(), time.as_deref())
            .and_then(|keylog| keylog::start(&keylog, "the manager interface"));
        match begun {
            Ok(begun) => request.succeed(&told(&begun).join(". ")),
            Err(reason) => request.fail(&reason),
        }
    }
}

/// `CiphertrunkKeylogStop`.
pub enum KeylogStop {}

impl Action for KeylogStop {
    const NAME: &'static std::ffi::CStr = c"CiphertrunkKeylogStop";
    const PRIVILEGE: Privilege = Privilege::System;

    fn run(request: &Request<'_>) {
        match keylog::stop(&End::Asked) {
            Some(state) => request.succeed(&format!(
                "{} is closed: it has {} TLS secrets and {} SRTP keys",
                state.file.display(),
                state.secrets,
                state.keys
            )),
            None => request.fail("No keys are being written"),
        }
    }
}
