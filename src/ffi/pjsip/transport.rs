//! `pjsip_transport`: one connection.
//!
//! Its memory is a [`Raw`], counted by a pj group lock: one count is pjsip's, from registration until pjsip's `destroy`, and
//! each [`SipTransport`] is one. The last one frees it. A `pjsip_transport` whose own reference count is zero may still be
//! touched by the thread that brought it there; the group lock covers that too.

use std::any::Any;
use std::collections::BTreeMap;
use std::ffi::{c_int, c_void};
use std::fmt;
use std::net::SocketAddr;
use std::ops::Deref;
use std::ptr::{self, NonNull};
use std::sync::atomic::{
    AtomicBool, AtomicI32, AtomicIsize, AtomicPtr, AtomicU64, AtomicUsize, Ordering,
};
use std::sync::{Arc, LazyLock};

use super::strings::{self, Kept};
use super::thread::{self, PjThread};
use super::{Status, address};
use crate::ffi::guard::guard;
use crate::ffi::module_ref::ModuleRef;
use crate::ffi::opaque::Opaque;
use crate::ffi::sync::Mutex;
use crate::ffi::{fault, sys};

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
        // SAFETY: this value's count keeps the transport, and the new one is the clone's.
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

/// A transport that is registered while its connection is not begun, or not handed on. Unless it is [kept](Self::keep),
/// dropping it has pjsip shut it down and destroy it, whatever came in between: an error, or a panic.
#[must_use = "it is shut down when it is dropped"]
#[derive(Debug)]
pub struct Begun {
    transport: SipTransport,
    kept: bool,
}

impl Begun {
    /// Its connection is there: whoever has that one ends the transport from now on.
    pub fn keep(mut self) -> SipTransport {
        self.kept = true;
        self.transport.clone()
    }
}

impl Deref for Begun {
    type Target = SipTransport;

    fn deref(&self) -> &SipTransport {
        &self.transport
    }
}

impl Drop for Begun {
    fn drop(&mut self) {
        if !self.kept {
            thread::make_known();
            // SAFETY: `transport` keeps the memory, and pjlib knows the thread. pjsip does nothing if the transport is shut
            // down already; else it destroys it when its last user is gone, from a timer. (`pjsip_transport_destroy` would
            // need that nobody else uses it, and it is registered: everybody can.)
            unsafe { sys::pjsip_transport_shutdown(self.transport.base()) };
        }
    }
}

/// A [`Raw`] that nobody else knows yet.
struct Fresh(NonNull<Raw>);

impl Fresh {
    fn base(&self) -> *mut sys::pjsip_transport {
        self.0.as_ptr().cast()
    }

    /// Somebody else frees it from now on.
    fn release(self) -> NonNull<Raw> {
        let raw = self.0;
        std::mem::forget(self);
        raw
    }
}

impl Drop for Fresh {
    fn drop(&mut self) {
        // SAFETY: by `Box::into_raw` in `fresh`, and nobody else has it.
        unsafe { free(self.0) };
    }
}

impl SipTransport {
    /// Makes a transport and registers it. `name` is what the caller asked for (empty: the address).
    ///
    /// # Errors
    ///
    /// pjsip's.
    pub(super) fn create(
        _: &PjThread,
        origin: Origin,
        direction: Direction,
        local: SocketAddr,
        remote: SocketAddr,
        name: &str,
        carrier: Arc<dyn Carrier>,
    ) -> Result<Begun, Status> {
        let fresh = fresh(origin, carrier)?;
        set_up(&fresh, direction, local, remote, name);
        let base = fresh.base();
        let group = make_locks(&fresh)?;
        let raw = fresh.release();
        // SAFETY: `make_locks` gave the group lock `on_free`, so its counts free the structure from now on. The one that it
        // has is the new value's; another is pjsip's, which `destroy` gives back.
        let transport = unsafe {
            sys::pj_grp_lock_add_ref(group);
            Self(raw)
        };
        // First: from the registration on another thread may find it and destroy it.
        transport.raw().registered.store(true, Ordering::Release);
        // SAFETY: whole. The manager lives as long as the endpoint.
        let registered =
            Status::check(unsafe { sys::pjsip_transport_register((*base).tpmgr, base) });
        if let Err(status) = registered {
            // SAFETY: pjsip did not take it; `transport` has a count of its own.
            unsafe { give_back_pjsips_count(raw.as_ptr()) };
            return Err(status);
        }
        Ok(Begun {
            transport,
            kept: false,
        })
    }

    /// pjsip's structure.
    pub(super) fn base(&self) -> *mut sys::pjsip_transport {
        self.0.as_ptr().cast()
    }

    fn raw(&self) -> &Raw {
        // SAFETY: this value's count keeps it; what C changes in it is `Opaque`.
        unsafe { self.0.as_ref() }
    }

    /// The message of `token` is out, or will never be.
    pub fn sent(&self, _: &PjThread, token: u64, result: Result<(), Status>) {
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
        let is_set = |flag: *mut sys::pj_bool_t| {
            // SAFETY: an aligned word of the structure, which this value's count keeps. pjsip sets it once, under locks that
            // are not ours to take; read atomically, it is seen before or after that.
            unsafe { AtomicI32::from_ptr(flag) }.load(Ordering::Acquire) != 0
        };
        // SAFETY: members of a live structure; only their addresses are taken.
        unsafe {
            is_set(&raw mut (*self.base()).is_shutdown)
                || is_set(&raw mut (*self.base()).is_destroying)
        }
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
    pub(super) fn hold<'a>(&'a self, thread: &'a PjThread) -> Held<'a> {
        // SAFETY: the structure lives by this value's count, and pjlib knows the thread.
        unsafe { sys::pjsip_transport_add_ref(self.base()) };
        Held(self, thread)
    }
}

/// A pjsip reference, in a thread that pjlib knows.
pub(super) struct Held<'a>(&'a SipTransport, #[expect(dead_code)] &'a PjThread);

impl Drop for Held<'_> {
    fn drop(&mut self) {
        // SAFETY: the reference of `hold`. The `SipTransport` keeps the memory if this was the last.
        unsafe { sys::pjsip_transport_dec_ref(self.0.base()) };
    }
}

/// The next number of a transport. Asterisk's timer for connections that ask nothing finds its transport by `obj_name`, 32 s
/// after it began; so a name must not come again, as an address does, and not after the module was loaded again either. So
/// the numbers begin with the system's running time in microseconds: no machine makes a million transports a second.
static NEXT_NUMBER: LazyLock<AtomicU64> = LazyLock::new(|| {
    let mut now = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: a clock that every Linux has, and room for its time.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut now) };
    AtomicU64::new(now.tv_sec.cast_unsigned() * 1_000_000 + now.tv_nsec.cast_unsigned() / 1_000)
});

/// `obj_name`: the prefix that pjproject's TLS transports have, and a number.
fn object_name(direction: Direction) -> String {
    let prefix = match direction {
        Direction::Incoming => "tlss",
        Direction::Outgoing => "tlsc",
    };
    // 20 of `PJ_MAX_OBJ_NAME` octets.
    format!(
        "{prefix}{:016x}",
        NEXT_NUMBER.fetch_add(1, Ordering::Relaxed)
    )
}

/// A structure with a pool and nothing else.
fn fresh(origin: Origin, carrier: Arc<dyn Carrier>) -> Result<Fresh, Status> {
    // SAFETY: PJSIP's endpoint, in a thread that pjlib knows. Sizes for the locks alone; everything else is in `Raw`.
    let pool = unsafe {
        sys::pjsip_endpt_create_pool(origin.endpoint, c"ciphertrunk-tls".as_ptr(), 512, 512)
    };
    if pool.is_null() {
        return Err(Status::NO_MEMORY);
    }
    let raw = Box::into_raw(Box::new(Raw {
        base: Opaque::zeroed(),
        carrier,
        pending: Mutex::default(),
        next_token: AtomicU64::new(1),
        registered: AtomicBool::new(false),
        texts: Mutex::default(),
        origin,
        _module: ModuleRef::take(),
    }));
    LIVE.fetch_add(1, Ordering::Relaxed);
    // SAFETY: just made, and nobody else's; a `Box`'s pointer is not NULL.
    unsafe {
        (*raw.cast::<sys::pjsip_transport>()).pool = pool;
        Ok(Fresh(NonNull::new_unchecked(raw)))
    }
}

/// Everything but the locks: names, addresses, functions.
fn set_up(fresh: &Fresh, direction: Direction, local: SocketAddr, remote: SocketAddr, name: &str) {
    // SAFETY: nobody else has it; what C has is behind `base`, which `raw` is not used for.
    let raw = unsafe { fresh.0.as_ref() };
    let base = fresh.base();
    let origin = &raw.origin;
    let info = Kept::new(&format!("TLS to {remote}"));
    let host = if name.is_empty() {
        Kept::new(&remote.ip().to_string())
    } else {
        Kept::new(name)
    };
    let shown = if local.ip().is_unspecified() {
        origin.address
    } else {
        local
    };
    let own = Kept::new(&shown.ip().to_string());
    // SAFETY: nobody else has the structure, and all zeroes are a value of each member that is not set here. `texts` and
    // `origin` keep what the members point to; names and flags of the type are pjsip's static ones.
    unsafe {
        strings::fill(&raw mut (*base).obj_name, &object_name(direction));
        (*base).key.type_ = c_int::try_from(origin.kind).unwrap_or(0).into();
        (*base).key.rem_addr = address::from_socket_addr(remote);
        (*base).addr_len = address::length(remote);
        (*base).local_addr = address::from_socket_addr(local);
        (*base).dir = match direction {
            Direction::Incoming => sys::PJSIP_TP_DIR_INCOMING,
            Direction::Outgoing => sys::PJSIP_TP_DIR_OUTGOING,
        };
        (*base).info = info.pj_str().ptr;
        (*base).remote_name = sys::pjsip_host_port {
            host: host.pj_str(),
            port: remote.port().into(),
        };
        (*base).has_addr_name = origin.published.is_some().into();
        (*base).local_name = origin.published.unwrap_or(sys::pjsip_host_port {
            host: own.pj_str(),
            port: shown.port().into(),
        });
        (*base).endpt = origin.endpoint;
        (*base).factory = origin.factory;
        (*base).tpmgr = sys::pjsip_endpt_get_tpmgr(origin.endpoint);
        (*base).type_name = sys::pjsip_transport_get_type_name(origin.kind).cast_mut();
        (*base).flag = sys::pjsip_transport_get_flag_from_type(origin.kind);
        (*base).send_msg = Some(send_msg);
        (*base).do_shutdown = Some(do_shutdown);
        (*base).destroy = Some(destroy);
    }
    raw.texts.lock().extend([info, host, own]);
}

/// The counter, the lock and the group lock. When this succeeds, the group lock has [`on_free`] and one count, which is the
/// caller's. After an error the group lock is gone, and `fresh` still frees the rest.
fn make_locks(fresh: &Fresh) -> Result<*mut sys::pj_grp_lock_t, Status> {
    let base = fresh.base();
    // SAFETY: nobody else has the structure. Its pool is good, and lives as long as what is made in it.
    unsafe {
        let pool = (*base).pool;
        Status::check(sys::pj_atomic_create(pool, 0, &raw mut (*base).ref_cnt))?;
        Status::check(sys::pj_lock_create_recursive_mutex(
            pool,
            c"ciphertrunk-tls".as_ptr(),
            &raw mut (*base).lock,
        ))?;
        let mut group = ptr::null_mut();
        Status::check(sys::pj_grp_lock_create(pool, ptr::null(), &raw mut group))?;
        // pjlib takes the lock to add a handler, and wants that somebody counts it.
        sys::pj_grp_lock_add_ref(group);
        let added = if fault::fires("pj_grp_lock_add_handler") {
            Err(Status::NO_MEMORY)
        } else {
            Status::check(sys::pj_grp_lock_add_handler(
                group,
                pool,
                fresh.0.as_ptr().cast(),
                Some(on_free),
            ))
        };
        if let Err(status) = added {
            // Without a handler: its last count ends the group lock alone.
            sys::pj_grp_lock_dec_ref(group);
            return Err(status);
        }
        (*base).grp_lock = group;
        Ok(group)
    }
}

/// Frees a structure, with its locks as far as they were made.
///
/// # Safety
///
/// By `Box::into_raw`; nobody has it any more. pjlib knows the thread.
unsafe fn free(raw: NonNull<Raw>) {
    let base: *mut sys::pjsip_transport = raw.as_ptr().cast();
    // SAFETY: nobody else has it. The pool last: the others are in it.
    unsafe {
        if !(*base).lock.is_null() {
            sys::pj_lock_destroy((*base).lock);
        }
        if !(*base).ref_cnt.is_null() {
            sys::pj_atomic_destroy((*base).ref_cnt);
        }
        sys::pjsip_endpt_release_pool(raw.as_ref().origin.endpoint, (*base).pool);
        drop(Box::from_raw(raw.as_ptr()));
    }
    LIVE.fetch_sub(1, Ordering::Relaxed);
}

/// Gives back the count that pjsip has from registration to `destroy`, if it still has it.
///
/// # Safety
///
/// The structure lives, and is not used after this unless the caller has another count. pjlib knows the thread.
unsafe fn give_back_pjsips_count(raw: *const Raw) {
    // SAFETY: it lives until the count is given back. The flag says whether that is still to be done, and to whom.
    unsafe {
        if (*raw).registered.swap(false, Ordering::AcqRel) {
            sys::pj_grp_lock_dec_ref((*(*raw).base.get()).grp_lock);
        }
    }
}

/// The last count is gone.
unsafe extern "C" fn on_free(raw: *mut c_void) {
    guard((), || {
        if let Some(raw) = NonNull::new(raw) {
            // SAFETY: what `make_locks` gave to the handler; the group lock calls it once, when the last count is gone.
            unsafe { free(raw.cast()) };
        }
    });
}

/// # Safety
///
/// `transport` is one of ours and lives for `'a`: pjsip calls our functions for no other.
unsafe fn ours<'a>(transport: *mut sys::pjsip_transport) -> &'a Raw {
    // SAFETY: `base` is the first member of a `Raw`, by the caller; what C changes in it is `Opaque`.
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
        let handle = OpKey(unsafe { NonNull::new_unchecked(key) });
        raw.pending.lock().insert(number, handle);
        if raw.carrier.send(message, number) {
            return Status::PENDING.raw();
        }
        raw.pending.lock().remove(&number);
        // SAFETY: nothing was queued, so `sent` does not come and nobody else has the handle.
        unsafe { (*key).tdata = ptr::null_mut() };
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
        // SAFETY: it lives until pjsip's count is given back, which is the last that is done with it here.
        unsafe {
            ours(transport).carrier.close();
            give_back_pjsips_count(transport.cast());
        }
        Status::SUCCESS
    })
}
