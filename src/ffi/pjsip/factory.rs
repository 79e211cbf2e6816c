//! `pjsip_tpfactory`: one `protocol=tls` transport of `pjsip.conf`, in the place of stock's.

use std::ffi::{CString, c_int};
use std::net::SocketAddr;
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::{fmt, mem};

use super::transport::SipTransport;
use super::{Status, pj_str, pj_text, to_socket_addr, versions};
use crate::ffi::guard::guard;
use crate::ffi::{c_text, sys};

/// What a factory does.
pub trait Connector: Send + Sync {
    /// Begins a connection to `remote`, for `name` (empty: nobody named it). Must not block: the manager's lock is held.
    ///
    /// # Errors
    ///
    /// A status for pjsip.
    fn connect(
        &self,
        factory: &FactoryRef,
        remote: SocketAddr,
        name: &str,
    ) -> Result<(SipTransport, Begin), Status>;
    /// Stops listening, at once and for good. Called more than once.
    fn close(&self);
}

/// Begins the connection of a transport that is registered. `false`: it could not, and no callback will come.
pub type Begin = Box<dyn FnOnce(SipTransport) -> bool>;

/// Stock's `struct tls_listener` is longer than `pjsip_tpfactory`, and Asterisk hands ours to
/// `pjsip_tls_transport_restart()` when a certificate changed under `allow_reload=no`. It reads zeroes here: no socket, no
/// certificate, so it only sets the published name anew.
const BEHIND: usize = 4096;

#[repr(C)]
struct Raw {
    base: sys::pjsip_tpfactory,
    _behind: [u8; BEHIND],
    connector: Mutex<Option<Arc<dyn Connector>>>,
    registered: AtomicBool,
    endpoint: *mut sys::pjsip_endpoint,
    /// `info`: the transport's name, in at least 101 octets that pjsip writes into.
    _info: Box<[u8; INFO]>,
    /// `addr_name.host`
    host: CString,
    name: String,
    /// Values of [`FactoryRef`].
    users: AtomicUsize,
}

const INFO: usize = 256;

/// A use of a factory. The structure outlives them all and everything that Asterisk may still call on it:
/// [`reclaim`] frees it.
pub struct FactoryRef(NonNull<Raw>);

// SAFETY: pjsip uses the structure from any thread under its locks; our fields are atomics, mutexes, or never change.
unsafe impl Send for FactoryRef {}
// SAFETY: as above.
unsafe impl Sync for FactoryRef {}

impl fmt::Debug for FactoryRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FactoryRef({:p})", self.0)
    }
}

impl Clone for FactoryRef {
    fn clone(&self) -> Self {
        self.raw().users.fetch_add(1, Ordering::Relaxed);
        Self(self.0)
    }
}

impl Drop for FactoryRef {
    fn drop(&mut self) {
        self.raw().users.fetch_sub(1, Ordering::Release);
    }
}

/// Factories that were made, as addresses; [`reclaim`] takes them out.
static MADE: Mutex<Vec<usize>> = Mutex::new(Vec::new());

/// Stock's factory of a transport, before adoption or when it comes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StockFactory(NonNull<sys::pjsip_tpfactory>);

impl StockFactory {
    pub(super) fn new(raw: *mut sys::pjsip_tpfactory) -> Option<Self> {
        NonNull::new(raw).map(Self)
    }

    /// Its pointer.
    pub(super) fn base(self) -> *mut sys::pjsip_tpfactory {
        self.0.as_ptr()
    }

    /// Closes it. Its memory stays: connections that it has accepted point to it, and go on as pjproject's until they end.
    pub fn close(self) {
        // SAFETY: as above. Without a pool `destroy` cannot free it; what it leaves is one listener for each adoption.
        unsafe {
            (*self.base()).pool = ptr::null_mut();
            if let Some(destroy) = (*self.base()).destroy {
                destroy(self.base());
            }
        }
    }
}

impl FactoryRef {
    /// A factory named `name` with stock's addresses and flags, not yet registered. `None`: no memory.
    ///
    /// A retired one of that name is used again, if it has no user and is none of `in_use`: a call that was made before a
    /// reload has the factory of its transport in its dialog, uncounted, and finds that transport by it again.
    pub(super) fn like(
        stock: StockFactory,
        name: &str,
        connector: Arc<dyn Connector>,
        in_use: &[usize],
    ) -> Option<Self> {
        // SAFETY: stock's factory is live.
        let kind = unsafe { (*stock.base()).type_ };
        let mut made = MADE.lock().unwrap_or_else(PoisonError::into_inner);
        let idle = made.iter().find(|address| {
            let raw: *const Raw = ptr::with_exposed_provenance(**address);
            // SAFETY: in the list, so not freed; neither ever changes.
            unsafe { (*raw).name == name && (*raw).base.type_ == kind && is_idle(raw, in_use) }
        });
        let raw: *mut Raw = match idle {
            Some(address) => ptr::with_exposed_provenance_mut(*address),
            None => {
                let raw = make(name)?;
                made.push(raw.expose_provenance());
                raw
            }
        };
        // SAFETY: stock's factory is live, and its texts are copied. Ours is idle or new: pjsip does not know it, and what
        // still has its address compares that, or reads the type, which stays.
        unsafe {
            let (ours, stock) = (&mut *raw, &*stock.base());
            ours.base.obj_name = stock.obj_name;
            ours.base.type_ = kind;
            ours.base.type_name = stock.type_name;
            ours.base.flag = stock.flag;
            ours.base.local_addr = stock.local_addr;
            versions::copy_published_flag(stock, &mut ours.base);
            ours.host = c_text(&pj_text(&stock.addr_name.host));
            ours.base.addr_name = sys::pjsip_host_port {
                host: pj_str(&ours.host),
                port: stock.addr_name.port,
            };
            *ours
                .connector
                .get_mut()
                .unwrap_or_else(PoisonError::into_inner) = Some(connector);
            ours.users.fetch_add(1, Ordering::Relaxed);
        }
        NonNull::new(raw).map(Self)
    }

    pub(super) fn base(&self) -> *mut sys::pjsip_tpfactory {
        self.0.as_ptr().cast()
    }

    fn raw(&self) -> &Raw {
        // SAFETY: kept by this value's count.
        unsafe { self.0.as_ref() }
    }

    pub(super) fn endpoint(&self) -> *mut sys::pjsip_endpoint {
        self.raw().endpoint
    }

    /// `PJSIP_TRANSPORT_TLS` or `_TLS6`.
    pub(super) fn kind(&self) -> sys::pjsip_transport_type_e {
        // SAFETY: never changes.
        unsafe { (*self.base()).type_ }
    }

    pub(super) fn has_published_name(&self) -> bool {
        // SAFETY: set when it was made.
        unsafe { versions::has_published_name(self.base()) }
    }

    pub(super) fn published_name(&self) -> sys::pjsip_host_port {
        // SAFETY: lives as long as the factory, which outlives its transports.
        unsafe { (*self.base()).addr_name }
    }

    pub(super) fn published_address(&self) -> SocketAddr {
        // SAFETY: set when it was made.
        let (address, port) = unsafe {
            (
                to_socket_addr(&(*self.base()).local_addr),
                (*self.base()).addr_name.port,
            )
        };
        let mut address = address.unwrap_or_else(|| SocketAddr::from(([0, 0, 0, 0], 0)));
        // SAFETY: as above.
        if let Ok(ip) = unsafe { pj_text(&(*self.base()).addr_name.host) }.parse() {
            address.set_ip(ip);
        }
        address.set_port(u16::try_from(port).unwrap_or(0));
        address
    }

    /// Registers it: pjsip asks it for connections from now on.
    ///
    /// # Errors
    ///
    /// pjsip's.
    pub fn register(&self) -> Result<(), Status> {
        // SAFETY: whole; lives until it is unregistered.
        Status::check(unsafe {
            sys::pjsip_tpmgr_register_tpfactory(
                sys::pjsip_endpt_get_tpmgr(self.endpoint()),
                self.base(),
            )
        })?;
        self.raw().registered.store(true, Ordering::Release);
        Ok(())
    }

    /// Unregisters it and stops listening. Its connections stay.
    pub fn retire(&self) {
        // SAFETY: live.
        unsafe { destroy(self.base()) };
    }
}

/// A structure without addresses, type and connector.
fn make(name: &str) -> Option<*mut Raw> {
    // SAFETY: PJSIP runs while the module is loaded.
    let endpoint = unsafe { sys::ast_sip_get_pjsip_endpoint() };
    let object = c"ciphertrunk-lis".as_ptr();
    // SAFETY: PJSIP's endpoint, live as above; a pool for the lock, with a static name.
    let pool = unsafe { sys::pjsip_endpt_create_pool(endpoint, object, 512, 512) };
    if pool.is_null() {
        return None;
    }
    // SAFETY: a plain C structure, for which zero is "not set".
    let mut base: sys::pjsip_tpfactory = unsafe { mem::zeroed() };
    let mut info = Box::new([0u8; INFO]);
    let cut = &name.as_bytes()[..name.len().min(INFO - 1)];
    info[..cut.len()].copy_from_slice(cut);
    base.pool = pool;
    base.info = info.as_mut_ptr().cast();
    base.create_transport = Some(create_transport);
    base.create_transport2 = Some(create_transport2);
    base.destroy = Some(destroy);
    let lock = &raw mut base.lock;
    // SAFETY: the pool was made above and lives as long as the lock; `lock` is ours to be written.
    let failed = unsafe { sys::pj_lock_create_recursive_mutex(pool, object, lock) };
    if failed != Status::SUCCESS {
        // SAFETY: made above.
        unsafe { sys::pjsip_endpt_release_pool(endpoint, pool) };
        return None;
    }
    Some(Box::into_raw(Box::new(Raw {
        base,
        _behind: [0; BEHIND],
        connector: Mutex::new(None),
        registered: AtomicBool::new(false),
        endpoint,
        _info: info,
        host: CString::default(),
        name: name.to_owned(),
        users: AtomicUsize::new(0),
    })))
}

/// Whether it is retired, has no user, and is none of `in_use` (addresses of what Asterisk's transport states point to).
/// Then it stays so, for only those could use it again.
///
/// # Safety
///
/// One of [`MADE`], whose lock is held.
unsafe fn is_idle(raw: *const Raw, in_use: &[usize]) -> bool {
    // SAFETY: by the caller. `destroy` takes the connector after pjsip has struck the factory out under the manager's lock,
    // so no `create_transport2` runs or will.
    unsafe {
        !in_use.contains(&raw.addr())
            && (*raw).users.load(Ordering::Acquire) == 0
            && !(*raw).registered.load(Ordering::Acquire)
            && (*raw)
                .connector
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .is_none()
    }
}

/// Frees the idle ones. Only before the module is unmapped: see [`FactoryRef::like`].
pub(super) fn reclaim(in_use: &[usize]) {
    let mut made = MADE.lock().unwrap_or_else(PoisonError::into_inner);
    made.retain(|address| {
        let raw: *mut Raw = ptr::with_exposed_provenance_mut(*address);
        // SAFETY: in the list, whose lock is held.
        if !unsafe { is_idle(raw, in_use) } {
            return true;
        }
        // SAFETY: made by `Box::into_raw`; nobody has it any more.
        unsafe {
            let raw = Box::from_raw(raw);
            sys::pj_lock_destroy(raw.base.lock);
            sys::pjsip_endpt_release_pool(raw.endpoint, raw.base.pool);
        }
        false
    });
    // A static has no drop when the library is unmapped.
    made.shrink_to_fit();
}

/// Factories that are not freed.
pub fn live() -> usize {
    MADE.lock().unwrap_or_else(PoisonError::into_inner).len()
}

/// Whether a factory that Asterisk holds is ours.
pub(super) fn is_ours(factory: *mut sys::pjsip_tpfactory) -> bool {
    MADE.lock()
        .unwrap_or_else(PoisonError::into_inner)
        .contains(&factory.addr())
}

unsafe extern "C" fn create_transport(
    factory: *mut sys::pjsip_tpfactory,
    manager: *mut sys::pjsip_tpmgr,
    endpoint: *mut sys::pjsip_endpoint,
    remote: *const sys::pj_sockaddr,
    length: c_int,
    out: *mut *mut sys::pjsip_transport,
) -> sys::pj_status_t {
    // SAFETY: the same call without a message.
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

unsafe extern "C" fn create_transport2(
    factory: *mut sys::pjsip_tpfactory,
    _manager: *mut sys::pjsip_tpmgr,
    _endpoint: *mut sys::pjsip_endpoint,
    remote: *const sys::pj_sockaddr,
    _length: c_int,
    tdata: *mut sys::pjsip_tx_data,
    out: *mut *mut sys::pjsip_transport,
) -> sys::pj_status_t {
    guard(Status::TLS_CONNECT.raw(), || {
        // SAFETY: pjsip's arguments for this call; the name is the one that the caller asked for, before DNS.
        let (remote, name) = unsafe {
            let name = tdata
                .as_ref()
                .map_or_else(String::new, |tdata| pj_text(&tdata.dest_info.name));
            (to_socket_addr(&*remote), name)
        };
        let Some(remote) = remote else {
            return Status::INVALID.raw();
        };
        // SAFETY: a registered factory of ours.
        let raw = unsafe { &*factory.cast::<Raw>() };
        let connector = raw
            .connector
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let Some(connector) = connector else {
            return Status::CANCELLED.raw();
        };
        raw.users.fetch_add(1, Ordering::Relaxed);
        let this = FactoryRef(NonNull::from(raw));
        match connector.connect(&this, remote, &name) {
            Ok((transport, begin)) => {
                // Its end may come at once, on an I/O thread.
                let kept = transport.another();
                if !begin(transport) {
                    kept.abandon();
                    return Status::TLS_CONNECT.raw();
                }
                let created = kept.base();
                // SAFETY: where pjsip wants it; registered, so pjsip's own count keeps it.
                unsafe { *out = created };
                Status::SUCCESS
            }
            Err(status) => status.raw(),
        }
    })
}

/// Asterisk calls it up to three times on one pointer. When it is back the address is free; nothing is freed.
unsafe extern "C" fn destroy(factory: *mut sys::pjsip_tpfactory) -> sys::pj_status_t {
    guard(Status::SUCCESS, || {
        // SAFETY: one of ours, and `reclaim` has not freed it: a transport state pointed to it until now.
        let raw = unsafe { &*factory.cast::<Raw>() };
        if raw.registered.swap(false, Ordering::AcqRel) {
            // SAFETY: registered.
            unsafe {
                sys::pjsip_tpmgr_unregister_tpfactory(
                    sys::pjsip_endpt_get_tpmgr(raw.endpoint),
                    factory,
                );
            }
        }
        let connector = raw
            .connector
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(connector) = connector {
            connector.close();
        }
        Status::SUCCESS
    })
}
