//! What pjsip calls on a transport of ours.

use std::ffi::{c_int, c_void};
use std::ptr::{self, NonNull};
use std::sync::atomic::Ordering;

use super::create::free;
use super::{OpKey, Raw};
use crate::ffi::guard::guard;
use crate::ffi::pjsip::Status;
use crate::ffi::sys;

/// Gives back the count that pjsip has from registration to `destroy`, if it still has it.
///
/// # Safety
///
/// The structure lives, and is not used after this unless the caller has another count. pjlib knows the thread.
pub(super) unsafe fn give_back_pjsips_count(raw: *const Raw) {
    // SAFETY: it lives until the count is given back. The flag says whether that is still to be done, and to whom.
    unsafe {
        if (*raw).registered.swap(false, Ordering::AcqRel) {
            sys::pj_grp_lock_dec_ref((*(*raw).base.get()).grp_lock);
        }
    }
}

/// The last count is gone.
pub(super) unsafe extern "C" fn on_free(raw: *mut c_void) {
    guard((), || {
        if let Some(raw) = NonNull::new(raw) {
            // SAFETY: what `make_locks` gave to the handler; the group lock calls it once, when the last count is gone.
            unsafe { free(raw.cast()) };
        }
    });
}

/// # Safety
///
/// `transport` is one of ours and lives for `'a`; pjsip calls our functions for no other.
unsafe fn ours<'a>(transport: *mut sys::pjsip_transport) -> &'a Raw {
    // SAFETY: `base` is the first member of a `Raw`, by the caller; what C changes in it is `Opaque`.
    unsafe { &*transport.cast::<Raw>() }
}

/// What is ours of a transport of any kind; `None`: it is somebody else's.
///
/// # Safety
///
/// The transport lives for `'a`.
pub(super) unsafe fn if_ours<'a>(transport: *mut sys::pjsip_transport) -> Option<&'a Raw> {
    // SAFETY: alive, by the caller; the function is set when a transport is made. One whose `send_msg` is our function is one of
    // ours: we make none but our own with it.
    unsafe {
        (*transport)
            .send_msg
            .filter(|function| *function as usize == send_msg as *const () as usize)
            .map(|_| ours(transport))
    }
}

pub(super) unsafe extern "C" fn send_msg(
    transport: *mut sys::pjsip_transport,
    tdata: *mut sys::pjsip_tx_data,
    _address: *const sys::pj_sockaddr_t,
    _address_length: c_int,
    token: *mut c_void,
    callback: sys::pjsip_transport_callback,
) -> sys::pj_status_t {
    guard(Status::NOT_CONNECTED.raw(), || {
        if tdata.is_null() {
            return Status::INVALID.raw();
        }
        // SAFETY: pjsip's transport and message, which live during the call.
        let (raw, key) = unsafe { (ours(transport), &raw mut (*tdata).op_key) };
        // SAFETY: the handle is for the transport that sends: nobody else uses it, unless the message is being sent already.
        // The encoded message lies from `start` to `cur`, and does not change while it is being sent.
        let message = unsafe {
            if !(*key).tdata.is_null() {
                return Status::PENDING_TX.raw();
            }
            (*key).tdata = tdata;
            (*key).token = token;
            (*key).callback = callback;
            let buffer = &raw const (*tdata).buf;
            let length = (*buffer).cur.offset_from((*buffer).start);
            std::slice::from_raw_parts(
                (*buffer).start.cast::<u8>().cast_const(),
                usize::try_from(length).unwrap_or(0),
            )
        };
        let number = raw.next_token.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the address of a member is not NULL.
        let handle = unsafe { NonNull::new_unchecked(key) };
        let unsent = Unsent {
            raw,
            number,
            handle,
        };
        raw.pending.lock().insert(number, OpKey(handle));
        if raw.carrier.send(message, number) {
            std::mem::forget(unsent);
            return Status::PENDING.raw();
        }
        Status::NOT_CONNECTED.raw()
    })
}

/// A message that is being handed over. Dropped, also by a panic, it takes that back: the message may be sent again, and nothing is said of
/// it any more.
struct Unsent<'raw> {
    raw: &'raw Raw,
    number: u64,
    handle: NonNull<sys::pjsip_tx_data_op_key>,
}

impl Drop for Unsent<'_> {
    fn drop(&mut self) {
        // Whoever takes it from there has the handle: where `sent` was quicker, the message may be gone by now.
        let ours = self.raw.pending.lock().remove(&self.number).is_some();
        if ours {
            // SAFETY: `sent` does not come for it any more, so that the message is still pjsip's, which called us with it.
            unsafe { (*self.handle.as_ptr()).tdata = ptr::null_mut() };
        }
    }
}

pub(super) unsafe extern "C" fn do_shutdown(
    _transport: *mut sys::pjsip_transport,
) -> sys::pj_status_t {
    // Stock stops its keep-alive timer here; we have none.
    Status::SUCCESS
}

/// pjsip has unregistered it.
pub(super) unsafe extern "C" fn destroy(transport: *mut sys::pjsip_transport) -> sys::pj_status_t {
    guard(Status::SUCCESS, || {
        // SAFETY: it lives until pjsip's count is given back, which is the last that is done with it here.
        unsafe {
            ours(transport).carrier.close();
            give_back_pjsips_count(transport.cast());
        }
        Status::SUCCESS
    })
}
