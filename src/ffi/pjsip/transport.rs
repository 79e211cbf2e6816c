//! `pjsip_transport`: one connection.
//!
//! Its memory is a [`Raw`], counted by a pj group lock: one count is pjsip's, from registration until pjsip's `destroy`, and
//! each [`SipTransport`] is one. The last one frees it. A `pjsip_transport` whose own reference count is zero may still be
//! touched by the thread that brought it there; the group lock covers that too.

mod callbacks;
mod connection;
mod create;

use std::any::Any;
use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::ops::Deref;
use std::ptr::{self, NonNull};
use std::sync::Arc;
use std::sync::atomic::{
    AtomicBool, AtomicI32, AtomicIsize, AtomicPtr, AtomicU64, AtomicUsize, Ordering,
};

use sip_tls::TlsInfo;

use super::factory::FactoryRef;
use super::strings::Kept;
use super::thread::{self, PjThread};
use super::{Status, address};
use crate::ffi::module_ref::ModuleRef;
use crate::ffi::opaque::Opaque;
use crate::ffi::sync::Mutex;
use crate::ffi::sys;

/// How a connection protects what goes over it.
#[derive(Debug, Clone, Default)]
pub struct Security {
    /// The version of TLS, as OpenSSL writes it (`TLSv1.3`); before the handshake the least that it can get.
    pub version: &'static str,
    /// The names of the peer's certificate if that was verified, or cannot but be in the handshake to come.
    pub verified: Option<Vec<String>>,
    /// What the handshake has shown; `None`: it is still to come.
    pub tls: Option<Arc<TlsInfo>>,
}

/// How a transport of ours protects; `None` for one of somebody else's.
///
/// # Safety
///
/// The transport lives during the call.
pub(super) unsafe fn security_of(transport: *mut sys::pjsip_transport) -> Option<Security> {
    // SAFETY: alive, by the caller.
    unsafe { callbacks::if_ours(transport) }.map(|raw| raw.carrier.security())
}

/// What carries a transport's messages: the TLS connection.
pub trait Carrier: Send + Sync {
    /// How it protects them.
    fn security(&self) -> Security;
    /// Queues a message; `token` comes back by [`SipTransport::sent`]. `false`: it cannot, and no token comes.
    fn send(&self, message: &[u8], token: u64) -> bool;
    /// pjsip has no more use for the connection.
    fn close(&self);
    /// What the handshake has shown, once it is done.
    fn tls(&self) -> Option<Arc<TlsInfo>>;
}

pub use connection::Connection;
pub(super) use connection::is_secure;

/// Which side began.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// The peer connected to us.
    Incoming,
    /// We connected.
    Outgoing,
}

/// What a factory gives its transports.
pub(super) struct Origin {
    pub endpoint: *mut sys::pjsip_endpoint,
    pub kind: sys::pjsip_transport_type_e,
    pub factory: *mut sys::pjsip_tpfactory,
    /// The host and port that we are known by, if they are configured. `_keep` keeps the text.
    pub published: Option<sys::pjsip_host_port>,
    /// The address that we are known by where the system has not chosen one yet.
    pub address: SocketAddr,
    /// Kept as long as the transport.
    pub _keep: Box<dyn Any + Send + Sync>,
}

/// # Invariants
///
/// It is on the heap and does not move. `base` is the first member, and pjsip's: nobody makes a reference to it.
#[repr(C)]
struct Raw {
    base: Opaque<sys::pjsip_transport>,
    carrier: Arc<dyn Carrier>,
    /// Messages whose end pjsip waits for, by token.
    pending: Mutex<BTreeMap<u64, OpKey>>,
    next_token: AtomicU64,
    /// Whether pjsip's count is still to be given back.
    registered: AtomicBool,
    /// What `base` points to.
    texts: Mutex<Vec<Kept>>,
    origin: Origin,
    _module: ModuleRef,
}

/// pjsip's handle of a message that is being sent; a part of the message, which stays until it is told of its end.
struct OpKey(NonNull<sys::pjsip_tx_data_op_key>);

// SAFETY: it is used once, by who takes it out of the map, and pjsip allows any thread that it knows.
unsafe impl Send for OpKey {}

/// A hold on a transport: its memory stays.
pub struct SipTransport(NonNull<Raw>);

// SAFETY: pjsip's structure is used from any thread under pjsip's own locks; of our members some never change (`origin`'s
// pointers among them, to things that live longer), and the others are atomics and mutexes of `Send` values.
unsafe impl Send for SipTransport {}
// SAFETY: shared use is what the above argues for.
unsafe impl Sync for SipTransport {}

impl fmt::Debug for SipTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SipTransport({:p})", self.0)
    }
}

impl Clone for SipTransport {
    fn clone(&self) -> Self {
        thread::make_known();
        // SAFETY: this value's count keeps the transport, and the new one is the clone's; pjlib knows this thread.
        unsafe { sys::pj_grp_lock_add_ref((*self.base()).grp_lock) };
        Self(self.0)
    }
}

impl Drop for SipTransport {
    fn drop(&mut self) {
        thread::make_known();
        // SAFETY: this value's count, given back once; `on_free` may run inside. pjlib knows the thread.
        unsafe { sys::pj_grp_lock_dec_ref((*self.base()).grp_lock) };
    }
}

static LIVE: AtomicUsize = AtomicUsize::new(0);

/// Transports that exist.
pub fn live() -> usize {
    LIVE.load(Ordering::Relaxed)
}

/// A registered transport, which belongs to one connection. Dropping it has pjsip shut it down and destroy it, however the
/// connection ends: in order, by an error, or by a panic before anybody had it.
#[must_use = "the transport is shut down when it is dropped"]
#[derive(Debug)]
pub struct Registered(SipTransport);

impl Deref for Registered {
    type Target = SipTransport;

    fn deref(&self) -> &SipTransport {
        &self.0
    }
}

impl Drop for Registered {
    fn drop(&mut self) {
        if self.is_shut_down() {
            return;
        }
        thread::make_known();
        // SAFETY: `self` keeps the memory, and pjlib knows the thread. pjsip destroys the transport when its last user is gone,
        // from a timer. (`pjsip_transport_destroy` would need that it has no user, and any thread may find one that is
        // registered and use it.)
        unsafe { sys::pjsip_transport_shutdown(self.base()) };
    }
}

impl SipTransport {
    /// pjsip's structure.
    pub(super) fn base(&self) -> *mut sys::pjsip_transport {
        self.0.as_ptr().cast()
    }

    fn raw(&self) -> &Raw {
        // SAFETY: this value's count keeps it; what C changes in it is `Opaque`.
        unsafe { self.0.as_ref() }
    }

    /// The message of `token` is out, or will never be.
    pub fn sent(&self, _: PjThread, token: u64, result: Result<(), Status>) {
        let Some(OpKey(key)) = self.raw().pending.lock().remove(&token) else {
            return;
        };
        let key = key.as_ptr();
        // SAFETY: `send_msg` put it there, and pjsip keeps the message until the callback below. Nobody else has the key: it
        // was in the map, and is not any more.
        unsafe {
            let tdata = (*key).tdata;
            let length = match result {
                Ok(()) if !tdata.is_null() => {
                    let buffer = &raw const (*tdata).buf;
                    (*buffer).cur.offset_from((*buffer).start).max(1)
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
        // SAFETY: a flag of the structure, which this value's count keeps.
        self.is_destroyed() || unsafe { is_set(&raw mut (*self.base()).is_shutdown) }
    }

    /// Whether pjsip has destroyed it, or is about to: it has no user.
    pub fn is_destroyed(&self) -> bool {
        // SAFETY: a flag of the structure, which this value's count keeps.
        unsafe { is_set(&raw mut (*self.base()).is_destroying) }
    }

    /// Whether pjsip may use it, as one of `factory`'s. While the manager's lock is held it stays registered.
    pub fn is_usable_of(&self, factory: &FactoryRef) -> bool {
        !self.is_shut_down() && self.raw().origin.factory == factory.base()
    }

    /// The address that the system chose for an outgoing connection.
    pub(super) fn set_local(&self, local: SocketAddr) {
        // SAFETY: the structure lives. pjsip reads the address of a connection only in what it sends on it, and stock sets it
        // here too, when the connection is made and before anything leaves.
        unsafe { (*self.base()).local_addr = address::from_socket_addr(local) };
        if self.raw().origin.published.is_some() {
            return;
        }
        // Another thread may be writing a Via meanwhile and read the new pointer with the old length, or the other way
        // round: both texts stay, in room enough for either length.
        let host = Kept::new(&local.ip().to_string());
        // SAFETY: aligned words of the live structure, each written whole; the text is kept until the structure is freed.
        unsafe {
            let name = &raw mut (*self.base()).local_name;
            let new = host.pj_str();
            AtomicPtr::from_ptr(&raw mut (*name).host.ptr).store(new.ptr, Ordering::Release);
            // `pj_ssize_t` is the length of memory: as wide as isize.
            AtomicIsize::from_ptr((&raw mut (*name).host.slen).cast())
                .store(new.slen as isize, Ordering::Release);
            AtomicI32::from_ptr(&raw mut (*name).port)
                .store(local.port().into(), Ordering::Relaxed);
        }
        self.raw().texts.lock().push(host);
    }

    /// Keeps pjsip from destroying it while its state is told.
    pub(super) fn hold<'a>(&'a self, thread: PjThread) -> Held<'a> {
        // SAFETY: the structure lives by this value's count, and pjlib knows the thread.
        unsafe { sys::pjsip_transport_add_ref(self.base()) };
        Held(self, thread)
    }
}

/// # Safety
///
/// A flag of a transport's that lives during the call.
unsafe fn is_set(flag: *mut sys::pj_bool_t) -> bool {
    // SAFETY: an aligned word, by the caller. pjsip sets it once, under locks that are not ours to take; read atomically, it is seen
    // before or after that.
    unsafe { AtomicI32::from_ptr(flag) }.load(Ordering::Acquire) != 0
}

/// A pjsip reference, in a thread that pjlib knows.
pub(super) struct Held<'a>(&'a SipTransport, PjThread);

impl Drop for Held<'_> {
    fn drop(&mut self) {
        // SAFETY: the reference of `hold`. The `SipTransport` keeps the memory if this was the last.
        unsafe { sys::pjsip_transport_dec_ref(self.0.base()) };
    }
}
