//! Telling pjsip and Asterisk of a transport's states.

use std::net::SocketAddr;
use std::ptr;

use sip_tls::TlsInfo;

use super::Status;
use super::cert::{self, Facts};
use super::thread::PjThread;
use super::transport::SipTransport;
use crate::ffi::{fault, sys};

/// Calls the manager's state callback (res_pjsip's, and through it everybody who watches transports).
///
/// Asterisk dereferences the info of a CONNECTED state without a look, so there always is one.
fn tell(
    _: PjThread,
    transport: &SipTransport,
    state: sys::pjsip_transport_state,
    status: i32,
    facts: &Facts<'_>,
) {
    // SAFETY: `transport` keeps its structure, and the manager outlives its transports.
    let callback = unsafe { sys::pjsip_tpmgr_get_state_cb((*transport.base()).tpmgr) };
    let Some(callback) = callback else {
        return;
    };
    cert::with_state_info(facts, |extended| {
        let info = sys::pjsip_transport_state_info {
            status,
            ext_info: extended.cast(),
            user_data: ptr::null_mut(),
        };
        // SAFETY: transport and infos live during the call, and whoever is told copies what it keeps; pjlib knows the thread.
        unsafe { callback(transport.base(), state, &raw const info) };
    });
}

impl SipTransport {
    /// The handshake is done and everything that was asked for holds. `false`: somebody (Asterisk's own checks) shuts the
    /// transport down.
    pub fn connected(&self, thread: PjThread, info: &TlsInfo) -> bool {
        let _held = self.hold(thread);
        self.set_local(info.local);
        let state = sys::PJSIP_TP_STATE_CONNECTED;
        tell(
            thread,
            self,
            state,
            Status::SUCCESS,
            &Facts::established(info),
        );
        assert!(
            !fault::fires("connected"),
            "a deliberate fault of a test: a transport was made and reported"
        );
        !self.is_shut_down()
    }

    /// Begins the transport's end: nothing new goes by it. Those who wait for an answer on it are not told. `false`: it had begun.
    pub fn shut_down(&self, thread: PjThread) -> bool {
        if self.is_shut_down() {
            return false;
        }
        let _held = self.hold(thread);
        // SAFETY: `_held` keeps pjsip from destroying it; pjlib knows the thread.
        unsafe { sys::pjsip_transport_shutdown(self.base()) };
        true
    }

    /// The connection is gone (or never came). Tells everybody, also of one that is shut down and in use still, and begins the
    /// transport's end.
    pub fn disconnected(
        &self,
        thread: PjThread,
        reason: Status,
        local: SocketAddr,
        remote: SocketAddr,
    ) {
        if self.is_destroyed() {
            return;
        }
        let held = self.hold(thread);
        let state = sys::PJSIP_TP_STATE_DISCONNECTED;
        tell(
            thread,
            self,
            state,
            reason.raw(),
            &Facts::none(local, remote),
        );
        self.shut_down(thread);
        drop(held);
    }
}
