//! `ast_sip_session`: which call a media stream belongs to.
//!
//! `ast_sdp_crypto_api` is given an RTP instance and no call. A supplement tells when sessions begin and end; a stream's
//! session is the one, among those of the serializer that runs now, whose media holds that very instance. Nobody else
//! changes a session's media while its serializer runs our task, so reading it there is safe, and no other session is
//! ever looked into.

use std::collections::BTreeMap;
use std::ffi::{CStr, CString, c_char, c_int};
use std::ptr;
use std::sync::{Mutex, PoisonError};

use crate::media::refusal::{self, Refusal};

pub use super::call::{Call, Exchange};
use super::guard::guard;
use super::rtp::RtpInstance;
use super::{sys, text};

/// What is kept of a live session.
struct Live {
    /// The address of its serializer.
    serializer: usize,
    /// The call, and why a line of it was refused last.
    refused: Option<(Call, Refusal)>,
}

/// Live sessions by address. Addresses only: nothing is read through them outside of [`find`].
static LIVE: Mutex<BTreeMap<usize, Live>> = Mutex::new(BTreeMap::new());

fn live() -> std::sync::MutexGuard<'static, BTreeMap<usize, Live>> {
    // Entries are put in, changed and taken out whole.
    LIVE.lock().unwrap_or_else(PoisonError::into_inner)
}

#[unsafe(no_mangle)]
extern "C" fn ciphertrunk_session_begin(session: *mut sys::ast_sip_session) {
    guard((), || {
        // SAFETY: Asterisk hands a live session.
        let serializer = unsafe { sys::ct_session_serializer(session) };
        let new = Live {
            serializer: serializer.addr(),
            refused: None,
        };
        live().insert(session.addr(), new);
        // The address must stand for the pointer again in `find`.
        let _ = session.expose_provenance();
    });
}

/// The peer accepted our INVITE. Asterisk's core would keep a call up, and silent, whose answer carries no SRTP.
#[unsafe(no_mangle)]
extern "C" fn ciphertrunk_session_answered(session: *mut sys::ast_sip_session) {
    guard((), || {
        // SAFETY: Asterisk hands a live session, in its serializer.
        if unsafe { sys::ct_session_answered_in_clear(session) } == 0 {
            return;
        }
        let refusal = Refusal::AnsweredInClear;
        let call = find(
            None,
            |other| ptr::eq(other, session),
            |call, live| {
                live.refused = Some((call.clone(), refusal));
                call
            },
        );
        refusal::report_answer(&call.unwrap_or_default(), refusal);
        // SAFETY: as above.
        unsafe { sys::ct_session_hang_up(session) };
    });
}

#[unsafe(no_mangle)]
extern "C" fn ciphertrunk_session_destroy(session: *mut sys::ast_sip_session) {
    guard((), || {
        live().remove(&session.addr());
    });
}

/// Sessions that hold a copy of our supplement, whose functions Asterisk will still call.
pub fn count() -> usize {
    live().len()
}

/// The call that `rtp` belongs to, asked from within that call's serializer; `None` elsewhere.
pub fn call_of(rtp: RtpInstance) -> Option<Call> {
    find(Some(rtp), has_rtp(rtp), |call, _| call)
}

/// The call that an SDES list belongs to, likewise.
pub(super) fn call_of_list(list: *const sys::ast_sdp_srtp) -> Option<Call> {
    find(
        None,
        // SAFETY: only reads, and `find` vouches for the session; the list is only compared.
        |session| unsafe { sys::ct_session_has_srtp(session, list) != 0 },
        |call, _| call,
    )
}

/// Keeps why a line for `rtp` was refused with the call it belongs to, if that is known.
pub fn keep_refusal(rtp: RtpInstance, refusal: Refusal) {
    find(Some(rtp), has_rtp(rtp), |call, live| {
        live.refused = Some((call, refusal));
    });
}

/// The live calls of which a line was refused, as they were then, and why the last one was. Another line of the same
/// offer may have been taken.
pub fn refusals() -> Vec<(Call, Refusal)> {
    live()
        .values()
        .filter_map(|live| live.refused.clone())
        .collect()
}

fn has_rtp(rtp: RtpInstance) -> impl Fn(*mut sys::ast_sip_session) -> bool {
    // SAFETY: only reads, and `find` vouches for the session.
    move |session| unsafe { sys::ct_session_has_rtp(session, rtp.as_ptr()) != 0 }
}

/// Has `then` see the session of this thread's serializer that `is_it`, with `rtp`'s media line.
fn find<T>(
    rtp: Option<RtpInstance>,
    is_it: impl Fn(*mut sys::ast_sip_session) -> bool,
    then: impl FnOnce(Call, &mut Live) -> T,
) -> Option<T> {
    // SAFETY: reads a thread-local of Asterisk's.
    let serializer = unsafe { sys::ct_current_serializer() };
    if serializer.is_null() {
        return None;
    }
    let mut live = live();
    live.iter_mut()
        .filter(|(_, live)| live.serializer == serializer.addr())
        .map(|(session, live)| (ptr::with_exposed_provenance_mut(*session), live))
        .find(|(session, _)| is_it(*session))
        // SAFETY: a session's destructor first calls `ciphertrunk_session_destroy`, which waits for the lock held here,
        // so a session in the map is whole; its media change only in its serializer, which runs this very task.
        .map(|(session, live)| then(unsafe { facts(session, rtp) }, live))
}

/// # Safety
///
/// `session` is live and this thread runs a task of its serializer.
unsafe fn facts(session: *mut sys::ast_sip_session, rtp: Option<RtpInstance>) -> Call {
    let mut call_id: *const c_char = ptr::null();
    let mut peer: *const c_char = ptr::null();
    let mut kind: *const c_char = ptr::null();
    // SAFETY: live, by the caller; the texts and the negotiator are inside the session, the kind is static.
    unsafe {
        let length = sys::ct_session_call_id(session, &raw mut call_id);
        let call_id = counted_text(call_id, length);
        let length = sys::ct_session_peer(session, &raw mut peer);
        let peer = counted_text(peer, length) + &address(session);
        let media = rtp
            .map(|rtp| sys::ct_session_media_line(session, rtp.as_ptr(), &raw mut kind))
            .filter(|number| *number >= 0)
            .map(|number| format!("{} {number}", text(kind).unwrap_or_default()))
            .unwrap_or_default();
        Call {
            endpoint: text(sys::ct_session_endpoint(session)).unwrap_or_default(),
            call_id,
            peer,
            media,
            exchange: match sys::ct_session_exchange(session) {
                sys::CT_EXCHANGE_THEIR_OFFER => Exchange::TheirOffer,
                sys::CT_EXCHANGE_THEIR_ANSWER => Exchange::TheirAnswer,
                sys::CT_EXCHANGE_OUR_ANSWER => Exchange::OurAnswer,
                _ => Exchange::OurOffer,
            },
        }
    }
}

/// " at 192.0.2.7:5060", if it is known.
///
/// # Safety
///
/// As [`facts`].
unsafe fn address(session: *const sys::ast_sip_session) -> String {
    // An IPv6 address with its scope and port has at most 64 octets.
    let mut place = [0u8; 80];
    // SAFETY: live, by the caller; at most as many octets as there are are written, a terminator among them.
    let known = unsafe {
        sys::ct_session_peer_address(session, place.as_mut_ptr().cast(), place.len() as c_int) == 0
    };
    let text = CStr::from_bytes_until_nul(&place).unwrap_or_default();
    if known {
        format!(" at {}", text.to_string_lossy())
    } else {
        String::new()
    }
}

/// A text without a terminator; empty for NULL.
///
/// # Safety
///
/// `text` is NULL, or has `length` octets that stay as they are during the call.
unsafe fn counted_text(text: *const c_char, length: usize) -> String {
    if text.is_null() {
        return String::new();
    }
    // SAFETY: by the caller.
    let octets = unsafe { std::slice::from_raw_parts(text.cast(), length) };
    String::from_utf8_lossy(octets).into_owned()
}

/// Has the call of a PJSIP channel, by its unique id, offer a new description. Not from a media thread: it locks
/// channels. `false`: there is no such call.
pub fn offer_again(channel_id: &str) -> bool {
    let Ok(channel_id) = CString::new(channel_id) else {
        return false;
    };
    // An empty name would find any channel.
    // SAFETY: a string that lives during the call; the shim takes references of its own.
    !channel_id.is_empty() && unsafe { sys::ct_session_offer_again(channel_id.as_ptr()) == 0 }
}

/// The supplement, while it is registered.
#[derive(Debug)]
pub struct Supplement(());

/// Registers the supplement.
pub fn register() -> Supplement {
    // SAFETY: a static structure of the shim's.
    unsafe { sys::ct_session_supplement_register() };
    Supplement(())
}

impl Drop for Supplement {
    fn drop(&mut self) {
        // SAFETY: registered by `register`.
        unsafe { sys::ct_session_supplement_unregister() };
    }
}
