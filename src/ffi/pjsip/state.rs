//! Telling pjsip and Asterisk of a transport's states.

use std::ptr;

use super::Status;
use super::cert::{Facts, with_state_info};
use super::transport::SipTransport;
use crate::ffi::sys;

pub use super::cert::Facts as TlsFacts;
pub use super::cert::{AltName, Certificate, verify};

/// Calls the manager's state callback (res_pjsip's, and through it everybody who watches transports).
///
/// Asterisk dereferences the info of a CONNECTED state without a look, so there always is one.
fn tell(transport: &SipTransport, state: sys::pjsip_transport_state, status: i32, facts: &Facts) {
    // SAFETY: live; the manager outlives its transports.
    let Some(callback) = (unsafe { sys::pjsip_tpmgr_get_state_cb((*transport.base()).tpmgr) })
    else {
        return;
    };
    with_state_info(facts, |extended| {
        let info = sys::pjsip_transport_state_info {
            status,
            ext_info: extended.cast(),
            user_data: ptr::null_mut(),
        };
        // SAFETY: everything lives during the call; pjlib knows this thread.
        unsafe { callback(transport.base(), state, &raw const info) };
    });
}

impl SipTransport {
    /// The handshake is done and everything that was asked for holds. `false`: somebody (Asterisk's own checks) shuts the
    /// transport down.
    pub fn connected(&self, facts: &Facts) -> bool {
        let _held = self.hold();
        self.set_local(facts.local);
        tell(self, sys::PJSIP_TP_STATE_CONNECTED, Status::SUCCESS, facts);
        !self.is_shut_down()
    }

    /// The connection is gone (or never came). Tells everybody once, and begins the transport's end.
    pub fn disconnected(&self, reason: Status, facts: &Facts) {
        if self.is_shut_down() {
            return;
        }
        let _held = self.hold();
        tell(self, sys::PJSIP_TP_STATE_DISCONNECTED, reason.raw(), facts);
        if !self.is_shut_down() {
            // SAFETY: held.
            unsafe { sys::pjsip_transport_shutdown(self.base()) };
        }
    }
}
