//! The last look at each SIP message before it leaves: a module of pjsip's own behind the one that encodes messages, so that the
//! octets and the transport are those of the wire.

use std::ffi::CStr;
use std::marker::PhantomData;

use super::{Status, strings};
use crate::ffi::guard::guard;
use crate::ffi::late::Pjsip;
use crate::ffi::opaque::Opaque;
use crate::ffi::{sys, text};

/// Before `PJSIP_MOD_PRIORITY_TRANSPORT_LAYER` (8): messages go out through the modules from the highest number to the lowest,
/// and that one encodes them.
const PRIORITY: i32 = 4;

/// Which messages may leave.
pub trait Gate: 'static {
    /// `false`: it does not. Called in any thread of PJSIP's, with locks of pjsip's: it asks nothing of Asterisk's.
    fn may_leave(message: &Outgoing<'_>) -> bool;
}

/// A message on its way out.
#[derive(Debug)]
pub struct Outgoing<'a> {
    data: *const sys::pjsip_tx_data,
    _alive: PhantomData<&'a sys::pjsip_tx_data>,
}

impl Outgoing<'_> {
    /// Its octets.
    pub fn octets(&self) -> &[u8] {
        // SAFETY: a message that lives while the value does, and does not change; it is encoded, from `start` to `cur`.
        unsafe {
            let buffer = &raw const (*self.data).buf;
            let (start, end) = ((*buffer).start, (*buffer).cur);
            if start.is_null() || end < start {
                return &[];
            }
            let length = usize::try_from(end.offset_from(start)).unwrap_or(0);
            std::slice::from_raw_parts(start.cast::<u8>().cast_const(), length)
        }
    }

    /// What it goes over.
    pub fn over(&self) -> Over {
        // SAFETY: pjsip has set its transport, of which it holds a count until the message is sent.
        unsafe { Over::of((*self.data).tp_info.transport) }
    }
}

/// What carries a message.
#[derive(Debug, Clone)]
pub enum Over {
    /// Neither TLS nor anything else that encrypts: its name, e.g. `UDP`.
    InClear(String),
    /// An encrypted one that is not ours.
    Foreign,
    /// A TLS connection of ours.
    Ours(super::transport::Security),
}

impl Over {
    /// # Safety
    ///
    /// NULL, or a transport that lives during the call.
    pub(super) unsafe fn of(transport: *mut sys::pjsip_transport) -> Self {
        if transport.is_null() {
            return Self::InClear("no transport".to_owned());
        }
        // SAFETY: by the caller. A flag and a name that do not change.
        unsafe {
            if let Some(security) = super::transport::security_of(transport) {
                return Self::Ours(security);
            }
            if (*transport).flag & sys::PJSIP_TRANSPORT_SECURE != 0 {
                return Self::Foreign;
            }
            Self::InClear(text((*transport).type_name).unwrap_or_default())
        }
    }
}

unsafe extern "C" fn on_tx<G: Gate>(data: *mut sys::pjsip_tx_data) -> sys::pj_status_t {
    // A panic keeps the message back: nothing leaves that was not judged.
    guard(Status::CANCELLED.raw(), || {
        let message = Outgoing {
            data,
            _alive: PhantomData,
        };
        if G::may_leave(&message) {
            Status::SUCCESS
        } else {
            Status::CANCELLED.raw()
        }
    })
}

struct Module(Opaque<sys::pjsip_module>);

// SAFETY: written before it is registered, by `register`, of which there is one at a time; then pjsip's, under its lock.
unsafe impl Sync for Module {}

static MODULE: Module = Module(Opaque::zeroed());
static NAME: &CStr = c"ciphertrunk gate";

/// The gate, while it is registered. Dropping it waits until no message is in it.
#[derive(Debug)]
pub struct Registration(());

/// Registers the gate. Once at a time: the module has one. `None`: pjsip does not take it.
pub fn register<G: Gate>(_: Pjsip) -> Option<Registration> {
    let module = MODULE.0.get();
    // SAFETY: a static that lives as long as the library and is not registered now, so nobody else has it; zeros are "not used". A
    // service is registered in a thread of PJSIP's, which is there, by the token.
    unsafe {
        module.write_bytes(0, 1);
        (*module).name = strings::pointing_to(NAME);
        (*module).id = -1;
        (*module).priority = PRIORITY;
        (*module).on_tx_request = Some(on_tx::<G>);
        (*module).on_tx_response = Some(on_tx::<G>);
        (sys::ast_sip_register_service(module) == 0).then_some(Registration(()))
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        // SAFETY: registered, and once. pjsip takes it out of its list under the lock that it holds while it calls one.
        unsafe { sys::ast_sip_unregister_service(MODULE.0.get()) };
    }
}
