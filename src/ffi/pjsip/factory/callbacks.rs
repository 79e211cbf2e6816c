//! What pjsip and Asterisk call on a factory of ours.

use std::ffi::c_int;
use std::ptr;
use std::sync::atomic::Ordering;

use super::{Factory, FactoryRef};
use crate::ffi::guard::guard;
use crate::ffi::pjsip::thread::PjThread;
use crate::ffi::pjsip::{Status, address, strings};
use crate::ffi::sys;

pub(super) unsafe extern "C" fn create_transport(
    factory: *mut sys::pjsip_tpfactory,
    manager: *mut sys::pjsip_tpmgr,
    endpoint: *mut sys::pjsip_endpoint,
    remote: *const sys::pj_sockaddr,
    length: c_int,
    out: *mut *mut sys::pjsip_transport,
) -> sys::pj_status_t {
    // SAFETY: pjsip's arguments, which are those of the other function but for the message, and that may be NULL there.
    unsafe {
        create_transport2(
            factory,
            manager,
            endpoint,
            remote,
            length,
            ptr::null_mut(),
            out,
        )
    }
}

pub(super) unsafe extern "C" fn create_transport2(
    factory: *mut sys::pjsip_tpfactory,
    _manager: *mut sys::pjsip_tpmgr,
    _endpoint: *mut sys::pjsip_endpoint,
    remote: *const sys::pj_sockaddr,
    _length: c_int,
    tdata: *mut sys::pjsip_tx_data,
    out: *mut *mut sys::pjsip_transport,
) -> sys::pj_status_t {
    guard(Status::TLS_CONNECT.raw(), || {
        // SAFETY: pjsip's arguments, which live during the call, the message may be NULL. The name is the one that the caller
        // asked for, before DNS.
        let (remote, name, in_dialog) = unsafe {
            let name = if tdata.is_null() {
                String::new()
            } else {
                strings::to_text((*tdata).dest_info.name)
            };
            (
                address::to_socket_addr(&*remote),
                name,
                sys::ct_is_in_dialog(tdata) != 0,
            )
        };
        let Some(remote) = remote else {
            return Status::INVALID.raw();
        };
        // SAFETY: pjsip calls it for factories of ours alone, and those live for ever.
        let factory: &'static Factory = unsafe { &*factory.cast::<Factory>() };
        let connector = factory.connector.lock().clone();
        let Some(connector) = connector else {
            return Status::CANCELLED.raw();
        };
        factory.users.fetch_add(1, Ordering::Relaxed);
        let this = FactoryRef(factory);
        // SAFETY: pjsip called us on this thread, which pjlib knows as long as it runs.
        let thread = unsafe { PjThread::current() };
        match connector.connect(thread, &this, remote, &name, in_dialog) {
            Ok(transport) => {
                // SAFETY: where pjsip wants it. The connection may have ended meanwhile, on an I/O thread, but pjsip destroys
                // the transport under the manager's lock, which our caller holds until it has a reference of its own.
                unsafe { *out = transport.base() };
                Status::SUCCESS
            }
            Err(status) => status.raw(),
        }
    })
}

/// Asterisk calls it up to three times on one pointer. When it is back the address is free; nothing is freed.
pub(super) unsafe extern "C" fn destroy(factory: *mut sys::pjsip_tpfactory) -> sys::pj_status_t {
    guard(Status::SUCCESS, || {
        // SAFETY: called for factories of ours alone, and those live for ever.
        let factory: &'static Factory = unsafe { &*factory.cast::<Factory>() };
        factory.retire();
        Status::SUCCESS
    })
}
