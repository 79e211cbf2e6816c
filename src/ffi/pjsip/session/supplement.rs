//! The session supplement: Asterisk tells when sessions begin, are answered, and end.
//!
//! # Safety
//!
//! Its functions are called by Asterisk, and as `asterisk/res_pjsip_session.h` has it: with a live session, and all but
//! `destroy` in a task of its serializer.

use std::ffi::{CStr, c_int};

use crate::ffi::ao2::Ao2;
use crate::ffi::call::SessionKey;
use crate::ffi::guard::guard;
use crate::ffi::opaque::Opaque;
use crate::ffi::pjsip::gate::Incoming;
use crate::ffi::pjsip::transport::Connection;
use crate::ffi::sys;

use super::{LIVE, Session, task};

/// What is done when sessions end and are answered. Called in the session's serializer, except for `ended`.
pub trait Supplement: 'static {
    /// A session has begun; nothing is known of it yet.
    fn begun(key: SessionKey);

    /// An INVITE of the peer's, or an answer of any kind to a request of ours, came on this connection. What it describes is
    /// applied by now if it is an answer.
    fn heard(session: &Session<'_>, connection: Connection);

    /// A message came that may have had the peer's answer to our description, and if it had, Asterisk has applied it or has
    /// failed to. `is_final`: the answer that counts is here: no other one can follow, as it can behind early media.
    fn answered(session: &Session<'_>, is_final: bool);

    /// An INVITE of the peer's has come. `false`: it is refused, and has been answered.
    fn invited(session: &Session<'_>, invite: &Incoming<'_>) -> bool;

    /// An INVITE of ours is about to be sent.
    fn inviting(session: &Session<'_>);

    /// An INVITE of the peer's is about to be answered.
    fn answering(session: &Session<'_>);

    /// An INVITE of the peer's is about to be refused with this status of SIP.
    fn refusing(session: &Session<'_>, status: u16);

    /// The peer has refused an INVITE of ours with this status of SIP. It may be told twice.
    fn refused(session: &Session<'_>, status: u16);

    /// The call is over; the session and its channel are still there.
    fn ending(session: &Session<'_>);

    /// The session is gone.
    fn ended(key: SessionKey);
}

unsafe extern "C" fn begin<S: Supplement>(session: *mut sys::ast_sip_session) {
    guard((), || {
        // SAFETY: Asterisk hands a live session whose serializer does not change.
        let serializer = unsafe { (*session).serializer };
        LIVE.lock().insert(session.addr(), serializer.addr());
        // The address must stand for the pointer again in `find`.
        let _ = session.expose_provenance();
        S::begun(SessionKey(session.addr()));
    });
}

unsafe extern "C" fn destroy<S: Supplement>(session: *mut sys::ast_sip_session) {
    guard((), || {
        LIVE.lock().remove(&session.addr());
        S::ended(SessionKey(session.addr()));
    });
}

/// Calls `hook` with the session.
///
/// # Safety
///
/// `session` is NULL or as `Session::from_raw` wants it.
unsafe fn with(session: *mut sys::ast_sip_session, hook: impl FnOnce(&Session<'_>)) {
    guard((), || {
        // SAFETY: by the caller.
        if let Some(session) = unsafe { Session::from_raw(session) } {
            hook(&session);
        }
    });
}

unsafe extern "C" fn outgoing_request<S: Supplement>(
    session: *mut sys::ast_sip_session,
    _tdata: *mut sys::pjsip_tx_data,
) {
    // SAFETY: Asterisk hands a live session, in its serializer.
    unsafe { with(session, S::inviting) };
}

unsafe extern "C" fn outgoing_response<S: Supplement>(
    session: *mut sys::ast_sip_session,
    tdata: *mut sys::pjsip_tx_data,
) {
    // SAFETY: as for a request; the response is there, and is ours until it is sent.
    unsafe {
        let status = (*(*tdata).msg).line.status.code;
        with(session, |session| {
            S::answering(session);
            if let Some(status) = refusal(status) {
                S::refusing(session, status);
            }
        });
    };
}

/// A status of SIP that refuses.
fn refusal(status: c_int) -> Option<u16> {
    u16::try_from(status).ok().filter(|status| *status >= 300)
}

/// A response to an INVITE came, before what it describes is applied: of the first INVITE of a call a refusal is told here alone.
unsafe extern "C" fn early_response<S: Supplement>(
    session: *mut sys::ast_sip_session,
    rdata: *mut sys::pjsip_rx_data,
) {
    // SAFETY: Asterisk hands a live session, in its serializer, and the response that it has parsed.
    unsafe {
        let status = (*(*rdata).msg_info.msg).line.status.code;
        if let Some(status) = refusal(status) {
            with(session, |session| S::refused(session, status));
        }
    }
}

unsafe extern "C" fn end<S: Supplement>(session: *mut sys::ast_sip_session) {
    // SAFETY: Asterisk hands a live session, whose channel and dialog are there until this is back; in its serializer, or
    // with nothing left that runs in that.
    unsafe { with(session, S::ending) };
}

unsafe extern "C" fn incoming_response<S: Supplement>(
    session: *mut sys::ast_sip_session,
    rdata: *mut sys::pjsip_rx_data,
) {
    guard((), || {
        // SAFETY: Asterisk hands a live session, in its serializer, and the response that it has parsed.
        let (session, connection, status) = unsafe {
            let Some(session) = Session::from_raw(session) else {
                return;
            };
            let connection = Connection::of(rdata);
            (
                session,
                connection,
                (*(*rdata).msg_info.msg).line.status.code,
            )
        };
        S::heard(&session, connection);
        if status / 100 <= 2 {
            S::answered(&session, status / 100 == 2);
        } else if let Some(status) = refusal(status) {
            S::refused(&session, status);
        }
    });
}

/// A request: an INVITE; or an ACK or PRACK, which answers an offer that was in a response of ours (RFC 3261 section 13.2.1,
/// RFC 3262 section 5).
unsafe extern "C" fn incoming_request<S: Supplement>(
    session: *mut sys::ast_sip_session,
    rdata: *mut sys::pjsip_rx_data,
) -> c_int {
    /// Others have their turn.
    const GO_ON: c_int = 0;
    const REFUSED: c_int = -1;
    guard(REFUSED, || {
        // SAFETY: Asterisk hands a request that it has parsed.
        let method = unsafe { (*(*rdata).msg_info.msg).line.req.method.id };
        if method == sys::PJSIP_INVITE_METHOD {
            // SAFETY: Asterisk hands a live session, in its serializer, and the request.
            let (session, connection) = unsafe {
                let Some(session) = Session::from_raw(session) else {
                    return GO_ON;
                };
                (session, Connection::of(rdata))
            };
            S::heard(&session, connection);
            // SAFETY: as above.
            let invite = unsafe { Incoming::new(rdata) };
            return if S::invited(&session, &invite) {
                GO_ON
            } else {
                REFUSED
            };
        }
        // PJSIP reads the description in a PRACK when this returns.
        // SAFETY: Asterisk hands a live session, in its serializer.
        unsafe {
            if let Some(session) = Ao2::share(session.cast()) {
                task::push(session, |session| S::answered(session, true));
            }
        }
        GO_ON
    })
}

/// The methods of what can bring an answer: responses to the first two, and the last two themselves.
const METHODS: &CStr = c"INVITE,UPDATE,PRACK,ACK";

/// Room for what later releases of a branch append to `ast_sip_session_supplement`: the core reads it in ours.
#[repr(C)]
struct Padded {
    supplement: sys::ast_sip_session_supplement,
    _room: [usize; 16],
}

struct Shared(Opaque<Padded>);

// SAFETY: written by `register` and `drop` alone, of which there is one at a time (`Registration`), and by Asterisk's core
// under the lock of its list.
unsafe impl Sync for Shared {}

static SUPPLEMENT: Shared = Shared(Opaque::zeroed());
/// A second one, whose responses come earlier.
static EARLY: Shared = Shared(Opaque::zeroed());

/// The supplements, while they are registered; dropping it unregisters them. Sessions that have begun keep a copy, whose
/// functions Asterisk will still call: each holds a reference to the module.
#[derive(Debug)]
pub struct Registration(());

/// Registers the supplements. Once at a time: the module has one.
pub fn register<S: Supplement>() -> Registration {
    let supplement = SUPPLEMENT.0.get();
    let early = EARLY.0.get();
    // SAFETY: statics that live as long as the library. They are not registered now, so nobody else reads them, and each field
    // is a plain value; zeros stand for "not used". The module is ours.
    unsafe {
        let early = &raw mut (*early).supplement;
        (*early).method = c"INVITE".as_ptr();
        (*early).priority = sys::AST_SIP_SUPPLEMENT_PRIORITY_FIRST;
        (*early).response_priority = sys::AST_SIP_SESSION_BEFORE_MEDIA;
        (*early).incoming_response = Some(early_response::<S>);
        sys::ast_sip_session_register_supplement_with_module(sys::ct_module_self(), early);
        let supplement = &raw mut (*supplement).supplement;
        (*supplement).method = METHODS.as_ptr();
        (*supplement).priority = sys::AST_SIP_SUPPLEMENT_PRIORITY_FIRST;
        (*supplement).response_priority = sys::AST_SIP_SESSION_AFTER_MEDIA;
        (*supplement).incoming_request = Some(incoming_request::<S>);
        (*supplement).outgoing_request = Some(outgoing_request::<S>);
        (*supplement).outgoing_response = Some(outgoing_response::<S>);
        (*supplement).session_end = Some(end::<S>);
        (*supplement).incoming_response = Some(incoming_response::<S>);
        (*supplement).session_begin = Some(begin::<S>);
        (*supplement).session_destroy = Some(destroy::<S>);
        sys::ast_sip_session_register_supplement_with_module(sys::ct_module_self(), supplement);
    }
    Registration(())
}

impl Drop for Registration {
    fn drop(&mut self) {
        for supplement in [&SUPPLEMENT, &EARLY] {
            // SAFETY: registered by `register`, and once.
            unsafe { sys::ast_sip_session_unregister_supplement(supplement.0.get().cast()) };
        }
    }
}
