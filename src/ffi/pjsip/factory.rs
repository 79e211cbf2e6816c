//! `pjsip_tpfactory`: one `protocol=tls` transport of `pjsip.conf`, in the place of stock's.
//!
//! Dialogs keep a factory's address without a count (`tp_sel`), for as long as a subscription lasts: longer than any
//! connection, and longer than this module is loaded. So a factory is never freed, and its type is `&'static`. One that has
//! no use any more is *idle*: it may be started again, and it is [sealed](Factory::seal) before the library is unmapped.

mod callbacks;

use std::ffi::{CStr, c_char};
use std::fmt;
use std::net::SocketAddr;
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use callbacks::{create_transport, create_transport2, destroy};

use super::stock::StockFactory;
use super::strings::{self, Kept};
use super::thread::PjThread;
use super::transport::{Carrier, Direction, Origin, Registered, SipTransport};
use super::{Status, address, versions};
use crate::ffi::opaque::Opaque;
use crate::ffi::sync::Mutex;
use crate::ffi::sys;

/// What a factory does.
pub trait Connector: Send + Sync {
    /// Begins a connection to `remote`, for `name` (empty: nobody named it), and returns a hold on its transport; or one that is up, of
    /// this factory's. `in_dialog`: for a request in a dialog. Must not block: the manager's lock is held.
    ///
    /// # Errors
    ///
    /// A status for pjsip.
    fn connect(
        &self,
        thread: PjThread,
        factory: &FactoryRef,
        remote: SocketAddr,
        name: &str,
        in_dialog: bool,
    ) -> Result<SipTransport, Status>;
    /// Stops listening, at once and for good. Called more than once.
    fn close(&self);
}

/// Stock's `struct tls_listener` is longer than `pjsip_tpfactory`, and Asterisk hands ours to
/// `pjsip_tls_transport_restart()` when a certificate changed under `allow_reload=no`. It reads zeroes here: no socket, no
/// certificate, so it only sets the published name anew.
const BEHIND: usize = 4096;

/// Octets of `info`, which pjsip and Asterisk write up to 101 octets into.
const INFO: usize = 256;

/// A factory of ours.
///
/// # Invariants
///
/// It is made by [`Factory::new`] alone, lives for ever and never moves. `base` is the first member, and C's, as `behind`
/// and `info` are: nobody makes a reference to them.
#[repr(C)]
pub struct Factory {
    base: Opaque<sys::pjsip_tpfactory>,
    behind: Opaque<[u8; BEHIND]>,
    /// `base.info`: the transport's name, by which Asterisk finds its state.
    info: Opaque<[c_char; INFO]>,
    endpoint: *mut sys::pjsip_endpoint,
    name: String,
    /// What `base.addr_name` points to or has pointed to; one for each name that was ever configured.
    hosts: Mutex<Vec<Kept>>,
    /// Values of [`FactoryRef`].
    users: AtomicUsize,
    /// `None`: it was not started, or is retired.
    connector: Mutex<Option<Arc<dyn Connector>>>,
    /// Whether pjsip has it in its list. The lock is held while that changes, and pjsip takes the manager's lock inside:
    /// nothing that pjsip calls under that one takes this lock.
    registered: Mutex<bool>,
}

// SAFETY: C's members are used from any thread under pjsip's locks, and changed by us only while pjsip does not have the
// factory in its list; `endpoint` and `name` never change; the others are atomics and mutexes of `Send` values.
unsafe impl Send for Factory {}
// SAFETY: shared use is what the above argues for.
unsafe impl Sync for Factory {}

/// Every factory that was made. Nothing is taken out.
static MADE: Mutex<Vec<&'static Factory>> = Mutex::new(Vec::new());

impl Factory {
    /// Every factory that was made since the module was loaded.
    pub fn all() -> Vec<&'static Self> {
        MADE.lock().clone()
    }

    /// Our factory at `raw`, a pointer that Asterisk holds; `None`: it is another's.
    pub(super) fn find(raw: *const sys::pjsip_tpfactory) -> Option<&'static Self> {
        let made = MADE.lock();
        made.iter().copied().find(|it| ptr::eq(it.base(), raw))
    }

    /// A factory for the transport `name`, idle, of stock's type. `None`: no memory.
    pub fn new(_: PjThread, name: &str, stock: &StockFactory<'_>) -> Option<&'static Self> {
        const OBJECT: &CStr = c"ciphertrunk-lis";
        // SAFETY: PJSIP's endpoint, which lives while res_pjsip is loaded: one of our optional modules, to which the loader has a
        // reference from our load, where `late::found` says that it is there, to our unload. A `PjThread` is had only then. A pool
        // for the lock, and for what pjsip may put into it; it stays, as the factory does.
        let (endpoint, pool) = unsafe {
            let endpoint = sys::ast_sip_get_pjsip_endpoint();
            let pool = sys::pjsip_endpt_create_pool(endpoint, OBJECT.as_ptr(), 512, 512);
            (endpoint, pool)
        };
        if pool.is_null() {
            return None;
        }
        let factory: &'static Self = Box::leak(Box::new(Self {
            base: Opaque::zeroed(),
            behind: Opaque::zeroed(),
            info: Opaque::zeroed(),
            endpoint,
            name: name.to_owned(),
            hosts: Mutex::default(),
            users: AtomicUsize::new(0),
            connector: Mutex::default(),
            registered: Mutex::default(),
        }));
        let base = factory.base();
        // SAFETY: nobody else has it yet, and stock's is live (`StockFactory`). The pool was made above.
        let failed = unsafe {
            strings::fill(factory.info.get(), name);
            (*base).pool = pool;
            (*base).info = factory.info.get().cast();
            (*base).type_ = (*stock.base()).type_;
            sys::pj_lock_create_recursive_mutex(pool, OBJECT.as_ptr(), &raw mut (*base).lock)
        };
        if failed != Status::SUCCESS {
            // There is no memory; this little of it stays.
            return None;
        }
        MADE.lock().push(factory);
        Some(factory)
    }

    /// The transport's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether it is of stock's type: `PJSIP_TRANSPORT_TLS` or `_TLS6`.
    pub fn is_like(&self, stock: &StockFactory<'_>) -> bool {
        // SAFETY: both live, and the type of neither ever changes.
        unsafe { (*self.base()).type_ == (*stock.base()).type_ }
    }

    /// Gives it stock's addresses and flags, and what it does. `None`: it has users, or was not retired.
    pub fn start(
        &'static self,
        stock: &StockFactory<'_>,
        connector: Arc<dyn Connector>,
    ) -> Option<FactoryRef> {
        let registered = self.registered.lock();
        let mut current = self.connector.lock();
        let free = !*registered && current.is_none();
        if !free
            || self
                .users
                .compare_exchange(0, 1, Ordering::AcqRel, Ordering::Relaxed)
                .is_err()
        {
            return None;
        }
        let started = FactoryRef(self);
        let (ours, theirs) = (self.base(), stock.base());
        // SAFETY: stock's is live (`StockFactory`). Ours is not in pjsip's list, and stays out of it while we have the lock;
        // no transport and no other thread uses it, for there was no user. What else has its address compares that or reads
        // the type, which does not change, or the published name, whose old text stays.
        unsafe {
            (*ours).obj_name = (*theirs).obj_name;
            (*ours).type_name = (*theirs).type_name;
            (*ours).flag = (*theirs).flag;
            (*ours).local_addr = (*theirs).local_addr;
            versions::copy_published_flag(theirs, ours);
            (*ours).addr_name = sys::pjsip_host_port {
                host: self.host(&strings::to_text((*theirs).addr_name.host)),
                port: (*theirs).addr_name.port,
            };
            (*ours).create_transport = Some(create_transport);
            (*ours).create_transport2 = Some(create_transport2);
            (*ours).destroy = Some(destroy);
        }
        *current = Some(connector);
        Some(started)
    }

    /// A text that stays as long as the factory.
    fn host(&self, name: &str) -> sys::pj_str_t {
        let mut hosts = self.hosts.lock();
        let known = hosts
            .iter()
            .find(|kept| kept.text().to_bytes() == name.as_bytes());
        if let Some(known) = known {
            return known.pj_str();
        }
        let kept = Kept::new(name);
        let text = kept.pj_str();
        hosts.push(kept);
        text
    }

    /// Makes an idle factory harmless for when the library is unmapped: it stays in memory, without a pointer into our code.
    /// `false`: it has users, or was not retired, and nothing has changed. [`start`](Self::start) takes it back.
    ///
    /// Who has its address has it from a dialog, and pjsip calls a factory of a dialog only if it finds it in its list; or from
    /// a transport state, and Asterisk looks whether there is a `destroy` before it calls it.
    pub fn seal(&'static self) -> bool {
        let registered = self.registered.lock();
        let connector = self.connector.lock();
        if *registered || connector.is_some() || self.users.load(Ordering::Acquire) != 0 {
            return false;
        }
        // SAFETY: it is not in pjsip's list, and stays out of it while we have the lock. Taking it out took the manager's
        // lock, which pjsip holds from finding a factory in the list until its function has returned: so nobody reads these.
        unsafe {
            (*self.base()).create_transport = None;
            (*self.base()).create_transport2 = None;
            (*self.base()).destroy = None;
        }
        true
    }

    pub(super) fn base(&self) -> *mut sys::pjsip_tpfactory {
        self.base.get()
    }

    /// Takes it out of pjsip's list and stops listening. Its connections stay.
    fn retire(&self) {
        {
            let mut registered = self.registered.lock();
            if std::mem::take(&mut *registered) {
                // SAFETY: it is in the list, by the flag. The manager lives as long as the endpoint.
                unsafe {
                    sys::pjsip_tpmgr_unregister_tpfactory(
                        sys::pjsip_endpt_get_tpmgr(self.endpoint),
                        self.base(),
                    );
                }
            }
        }
        let connector = self.connector.lock().take();
        if let Some(connector) = connector {
            connector.close();
        }
    }
}

/// A use of a factory that was started: it is not started again meanwhile.
pub struct FactoryRef(&'static Factory);

impl fmt::Debug for FactoryRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FactoryRef({:?} at {:p})", self.0.name, self.0)
    }
}

impl Clone for FactoryRef {
    fn clone(&self) -> Self {
        self.0.users.fetch_add(1, Ordering::Relaxed);
        Self(self.0)
    }
}

impl Drop for FactoryRef {
    fn drop(&mut self) {
        self.0.users.fetch_sub(1, Ordering::Release);
    }
}

impl FactoryRef {
    /// The factory.
    pub fn factory(&self) -> &'static Factory {
        self.0
    }

    pub(super) fn base(&self) -> *mut sys::pjsip_tpfactory {
        self.0.base()
    }

    /// Registers it: pjsip asks it for connections from now on.
    ///
    /// # Errors
    ///
    /// pjsip's.
    pub fn register(&self, _: PjThread) -> Result<(), Status> {
        let mut registered = self.0.registered.lock();
        // SAFETY: whole since `start`, and it lives for ever. The manager lives as long as the endpoint.
        Status::check(unsafe {
            sys::pjsip_tpmgr_register_tpfactory(
                sys::pjsip_endpt_get_tpmgr(self.0.endpoint),
                self.base(),
            )
        })?;
        *registered = true;
        Ok(())
    }

    /// Unregisters it and stops listening. Its connections stay.
    pub fn retire(&self, _: PjThread) {
        self.0.retire();
    }

    /// Makes a transport of it and registers that. `name` is what the caller asked for (empty: the address).
    ///
    /// # Errors
    ///
    /// pjsip's.
    pub fn transport(
        &self,
        thread: PjThread,
        direction: Direction,
        local: SocketAddr,
        remote: SocketAddr,
        name: &str,
        carrier: Arc<dyn Carrier>,
    ) -> Result<Registered, Status> {
        SipTransport::create(
            thread,
            self.origin(),
            direction,
            local,
            remote,
            name,
            carrier,
        )
    }

    fn origin(&self) -> Origin {
        let base = self.base();
        // SAFETY: set by `start`, which cannot be called again while this use lives; the origin has a use of its own, which
        // keeps the published name likewise.
        unsafe {
            let name = (*base).addr_name;
            let ip = strings::to_text(name.host).parse().ok();
            let mut address = address::to_socket_addr(&(*base).local_addr)
                .unwrap_or_else(|| SocketAddr::from(([0, 0, 0, 0], 0)));
            if let Some(ip) = ip {
                address.set_ip(ip);
            }
            address.set_port(u16::try_from(name.port).unwrap_or(0));
            Origin {
                endpoint: self.0.endpoint,
                kind: (*base).type_,
                factory: base,
                published: versions::has_published_name(base).then_some(name),
                address,
                _keep: Box::new(self.clone()),
            }
        }
    }
}
