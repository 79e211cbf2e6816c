//! `pjsip_transport`: one connection.
//!
//! Its memory is a `Raw`, counted by a pj group lock: one count is pjsip's, from registration until pjsip's `destroy`; one
//! is the [`SipTransport`]'s, which the connection keeps. The last one frees it. A `pjsip_transport` whose own reference
//! count is zero may still be touched by the thread that brought it there; the group lock covers that too.

use std::collections::BTreeMap;
use std::ffi::{CStr, c_int, c_void};
use std::net::SocketAddr;
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::{fmt, mem};

use super::factory::FactoryRef;
use super::{Status, address_length, fill, from_socket_addr, pj_str, versions};
use crate::ffi::guard::guard;
use crate::ffi::module_ref::ModuleRef;
use crate::ffi::{c_text, sys};

/// What carries a transport's messages: the TLS connection.
pub trait Carrier: Send + Sync {
    /// Queues a message; `token` comes back by [`SipTransport::sent`]. `false`: it cannot, and no token comes.
    fn send(&self, message: &[u8], token: u64) -> bool;
    /// pjsip has no more use for the connection.
    fn close(&self);
}

/// Which side began.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// The peer connected to us.
    Incoming,
    /// We connected.
    Outgoing,
}

#[repr(C)]
struct Raw {
    base: sys::pjsip_transport,
    carrier: Arc<dyn Carrier>,
    /// Messages whose end pjsip waits for, by token.
    pending: Mutex<BTreeMap<u64, usize>>,
    next_token: AtomicU64,
    /// Whether pjsip's count is still to be given back.
    registered: AtomicBool,
    /// What `base` points to.
    texts: Mutex<Vec<Box<[u8]>>>,
    factory: FactoryRef,
    _module: ModuleRef,
}

/// The connection's hold on its transport.
pub struct SipTransport(NonNull<Raw>);

// SAFETY: the structure is pjsip's, which uses it from any thread under its own locks; our fields are atomics, mutexes, or
// never change.
unsafe impl Send for SipTransport {}
// SAFETY: as above.
unsafe impl Sync for SipTransport {}

impl fmt::Debug for SipTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SipTransport({:p})", self.0)
    }
}

static LIVE: AtomicUsize = AtomicUsize::new(0);

/// Transports that exist.
pub fn live() -> usize {
    LIVE.load(Ordering::Relaxed)
}

impl SipTransport {
    /// Makes a transport of `factory` and registers it. `name` is what the caller asked for (empty: the address).
    ///
    /// # Errors
    ///
    /// pjsip's.
    pub fn create(
        factory: &FactoryRef,
        direction: Direction,
        local: SocketAddr,
        remote: SocketAddr,
        name: &str,
        carrier: Arc<dyn Carrier>,
    ) -> Result<Self, Status> {
        let (endpoint, kind) = (factory.endpoint(), factory.kind());
        // SAFETY: PJSIP's endpoint; sizes for the locks alone, everything else is in `Raw`.
        let pool = unsafe {
            sys::pjsip_endpt_create_pool(endpoint, c"ciphertrunk-tls".as_ptr(), 512, 512)
        };
        if pool.is_null() {
            return Err(Status::NO_MEMORY);
        }
        // SAFETY: a plain C structure, for which zero is "not set".
        let mut base: sys::pjsip_transport = unsafe { mem::zeroed() };
        base.pool = pool;
        base.key.type_ = c_int::try_from(kind).unwrap_or(0).into();
        base.key.rem_addr = from_socket_addr(remote);
        base.addr_len = address_length(remote);
        base.local_addr = from_socket_addr(local);
        base.dir = match direction {
            Direction::Incoming => sys::PJSIP_TP_DIR_INCOMING,
            Direction::Outgoing => sys::PJSIP_TP_DIR_OUTGOING,
        };
        base.endpt = endpoint;
        base.factory = factory.base();
        base.send_msg = Some(send_msg);
        base.do_shutdown = Some(do_shutdown);
        base.destroy = Some(destroy);
        // SAFETY: static names and flags of pjsip's; the manager lives as long as the endpoint.
        unsafe {
            base.type_name = sys::pjsip_transport_get_type_name(kind).cast_mut();
            base.flag = sys::pjsip_transport_get_flag_from_type(kind);
            base.tpmgr = sys::pjsip_endpt_get_tpmgr(endpoint);
        }
        let raw = Box::into_raw(Box::new(Raw {
            base,
            carrier,
            pending: Mutex::default(),
            next_token: AtomicU64::new(1),
            registered: AtomicBool::new(false),
            texts: Mutex::default(),
            factory: factory.clone(),
            _module: ModuleRef::take(),
        }));
        LIVE.fetch_add(1, Ordering::Relaxed);
        // SAFETY: fresh, and nobody else's until it is registered.
        let raw = unsafe { &mut *raw };
        raw.name(direction, local, remote, name);
        match raw.lock_and_register() {
            Ok(()) => Ok(Self(NonNull::from(raw))),
            Err(status) => Err(status),
        }
    }

    /// pjsip's structure.
    pub(super) fn base(&self) -> *mut sys::pjsip_transport {
        self.0.as_ptr().cast()
    }

    fn raw(&self) -> &Raw {
        // SAFETY: this value's count keeps it. `base` is behind the shared reference too, but only ever used by raw pointer.
        unsafe { self.0.as_ref() }
    }

    /// The factory it belongs to.
    pub fn factory(&self) -> &FactoryRef {
        &self.raw().factory
    }

    /// The message of `token` is out, or will never be.
    pub fn sent(&self, token: u64, result: Result<(), Status>) {
        let Some(key) = self
            .raw()
            .pending
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&token)
        else {
            return;
        };
        let key: *mut sys::pjsip_tx_data_op_key = ptr::with_exposed_provenance_mut(key);
        // SAFETY: `send_msg` put it there, and pjsip keeps the message until this callback.
        unsafe {
            let tdata = (*key).tdata;
            let length = match result {
                Ok(()) if !tdata.is_null() => {
                    (*tdata).buf.cur.offset_from((*tdata).buf.start).max(1)
                }
                Ok(()) => 1,
                Err(status) => -(status.raw() as isize),
            };
            (*key).tdata = ptr::null_mut();
            if let Some(callback) = (*key).callback {
                callback(self.base(), (*key).token, length as sys::pj_ssize_t);
            }
        }
    }

    /// Whether pjsip is shutting it down or has destroyed it.
    pub(super) fn is_shut_down(&self) -> bool {
        // SAFETY: kept by this value's count; two words that pjsip sets once.
        unsafe {
            (&raw const (*self.base()).is_shutdown).read_volatile() != 0
                || (&raw const (*self.base()).is_destroying).read_volatile() != 0
        }
    }

    /// The address that the system chose for an outgoing connection.
    pub(super) fn set_local(&self, local: SocketAddr) {
        // SAFETY: as stock does when a connection is made: before anything is sent on it.
        unsafe { (*self.base()).local_addr = from_socket_addr(local) };
        if !self.factory().has_published_name() {
            // Another thread may be writing a Via meanwhile and read the new pointer with the old length, or the other way
            // round: both texts stay, in room enough for either length.
            let host = roomy(local);
            // SAFETY: as above; the text is kept until the transport is freed.
            unsafe {
                (*self.base()).local_name.host = borrowed(&host);
                (*self.base()).local_name.port = local.port().into();
            }
            self.raw()
                .texts
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(host);
        }
    }

    /// Keeps pjsip from destroying it while its state is told.
    pub(super) fn hold(&self) -> Held<'_> {
        // SAFETY: live.
        unsafe { sys::pjsip_transport_add_ref(self.base()) };
        Held(self)
    }

    /// One more hold.
    pub(super) fn another(&self) -> Self {
        // SAFETY: kept by this value's count.
        unsafe { sys::pj_grp_lock_add_ref((*self.base()).grp_lock) };
        Self(self.0)
    }

    /// Takes a transport back that nobody has used: its connection could not be begun.
    pub(super) fn abandon(self) {
        // SAFETY: registered by `create`; its reference count is zero.
        unsafe { sys::pjsip_transport_destroy(self.base()) };
    }
}

/// A text with its NUL.
fn terminated(text: &str) -> Box<[u8]> {
    c_text(text).into_bytes_with_nul().into_boxed_slice()
}

/// An address as text, in room enough for any.
fn roomy(address: SocketAddr) -> Box<[u8]> {
    let mut text = address.ip().to_string().into_bytes();
    text.resize(ROOM, 0);
    text.into_boxed_slice()
}

/// More than the longest address has octets.
const ROOM: usize = 64;

/// A `pj_str_t` that borrows a text up to its NUL.
fn borrowed(text: &[u8]) -> sys::pj_str_t {
    pj_str(CStr::from_bytes_until_nul(text).unwrap_or_default())
}

/// A pjsip reference.
pub(super) struct Held<'a>(&'a SipTransport);

impl Drop for Held<'_> {
    fn drop(&mut self) {
        // SAFETY: the reference of `hold`. The group lock's count of the SipTransport keeps the memory.
        unsafe { sys::pjsip_transport_dec_ref(self.0.base()) };
    }
}

impl Drop for SipTransport {
    fn drop(&mut self) {
        // SAFETY: this value's count, given back once; `on_free` may run inside.
        unsafe { sys::pj_grp_lock_dec_ref((*self.base()).grp_lock) };
    }
}

impl Raw {
    /// Object name, info, local and remote name.
    fn name(&mut self, direction: Direction, local: SocketAddr, remote: SocketAddr, name: &str) {
        let prefix = if direction == Direction::Incoming {
            "tlss"
        } else {
            "tlsc"
        };
        let name_of_object = format!("{prefix}{:p}", &raw const self.base);
        fill(&mut self.base.obj_name, &name_of_object);
        let info = terminated(&format!("TLS to {remote}"));
        self.base.info = info.as_ptr().cast_mut().cast();
        let host = terminated(&if name.is_empty() {
            remote.ip().to_string()
        } else {
            name.to_owned()
        });
        self.base.remote_name = sys::pjsip_host_port {
            host: borrowed(&host),
            port: remote.port().into(),
        };
        let mut texts = vec![info, host];
        if self.factory.has_published_name() {
            versions::set_published_flag(&mut self.base);
            self.base.local_name = self.factory.published_name();
        } else {
            let address = if local.ip().is_unspecified() {
                self.factory.published_address()
            } else {
                local
            };
            let host = roomy(address);
            self.base.local_name = sys::pjsip_host_port {
                host: borrowed(&host),
                port: address.port().into(),
            };
            texts.push(host);
        }
        self.texts = Mutex::new(texts);
    }

    /// The locks, the two counts, the registration. After an error the structure is freed.
    fn lock_and_register(&mut self) -> Result<(), Status> {
        let raw: *mut Self = self;
        // SAFETY: `raw` is fresh; its pool is good; a failure before the group lock exists frees it by hand, and one after it
        // by the counts.
        unsafe {
            let made = Status::check(sys::pj_atomic_create(
                self.base.pool,
                0,
                &raw mut self.base.ref_cnt,
            ))
            .and_then(|()| {
                Status::check(sys::pj_lock_create_recursive_mutex(
                    self.base.pool,
                    c"ciphertrunk-tls".as_ptr(),
                    &raw mut self.base.lock,
                ))
            })
            .and_then(|()| {
                Status::check(sys::pj_grp_lock_create(
                    self.base.pool,
                    ptr::null(),
                    &raw mut self.base.grp_lock,
                ))
            });
            if let Err(status) = made {
                on_free(raw.cast());
                return Err(status);
            }
            let group = self.base.grp_lock;
            // pjsip's count and the SipTransport's.
            sys::pj_grp_lock_add_ref(group);
            sys::pj_grp_lock_add_ref(group);
            let registered = Status::check(sys::pj_grp_lock_add_handler(
                group,
                self.base.pool,
                raw.cast(),
                Some(on_free),
            ))
            .and_then(|()| {
                Status::check(sys::pjsip_transport_register(
                    self.base.tpmgr,
                    &raw mut self.base,
                ))
            });
            match registered {
                Ok(()) => {
                    self.registered.store(true, Ordering::Release);
                    Ok(())
                }
                Err(status) => {
                    sys::pj_grp_lock_dec_ref(group);
                    sys::pj_grp_lock_dec_ref(group);
                    Err(status)
                }
            }
        }
    }
}

/// The last count is gone.
unsafe extern "C" fn on_free(raw: *mut c_void) {
    guard((), || {
        // SAFETY: made by `Box::into_raw` in `create`; nobody has it any more.
        let raw = unsafe { Box::from_raw(raw.cast::<Raw>()) };
        // SAFETY: what `lock_and_register` made, if it did; the pool last, because the others are in it.
        unsafe {
            if !raw.base.lock.is_null() {
                sys::pj_lock_destroy(raw.base.lock);
            }
            if !raw.base.ref_cnt.is_null() {
                sys::pj_atomic_destroy(raw.base.ref_cnt);
            }
            sys::pjsip_endpt_release_pool(raw.base.endpt, raw.base.pool);
        }
        drop(raw);
        LIVE.fetch_sub(1, Ordering::Relaxed);
    });
}

/// # Safety
///
/// `transport` is one of ours and live: pjsip calls our functions for no other.
unsafe fn ours<'a>(transport: *mut sys::pjsip_transport) -> &'a Raw {
    // SAFETY: `base` is the first member.
    unsafe { &*transport.cast::<Raw>() }
}

unsafe extern "C" fn send_msg(
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
        // SAFETY: pjsip's live transport and message; the message stays until it is told of its end.
        let (raw, key) = unsafe { (ours(transport), &mut (*tdata).op_key) };
        if !key.tdata.is_null() {
            return Status::PENDING_TX.raw();
        }
        key.tdata = tdata;
        key.token = token;
        key.callback = callback;
        // SAFETY: the encoded message: from `start` to `cur`.
        let message = unsafe {
            let buffer = &(*tdata).buf;
            std::slice::from_raw_parts(
                buffer.start.cast::<u8>(),
                buffer.cur.offset_from(buffer.start).max(0).cast_unsigned(),
            )
        };
        let number = raw.next_token.fetch_add(1, Ordering::Relaxed);
        let address = ptr::from_mut(key).expose_provenance();
        raw.pending
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(number, address);
        if raw.carrier.send(message, number) {
            return Status::PENDING.raw();
        }
        raw.pending
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&number);
        // SAFETY: as above; nothing was queued, so nobody else has it.
        unsafe { (*tdata).op_key.tdata = ptr::null_mut() };
        Status::NOT_CONNECTED.raw()
    })
}

unsafe extern "C" fn do_shutdown(_transport: *mut sys::pjsip_transport) -> sys::pj_status_t {
    // Stock stops its keep-alive timer here; we have none.
    Status::SUCCESS
}

/// pjsip has unregistered it.
unsafe extern "C" fn destroy(transport: *mut sys::pjsip_transport) -> sys::pj_status_t {
    guard(Status::SUCCESS, || {
        // SAFETY: live until its counts are given back.
        let raw = unsafe { ours(transport) };
        if raw.registered.swap(false, Ordering::AcqRel) {
            raw.carrier.close();
            // SAFETY: pjsip's count, given back once.
            unsafe { sys::pj_grp_lock_dec_ref((*transport).grp_lock) };
        }
        Status::SUCCESS
    })
}
