//! Making a transport: its structure, its locks, its registration.

use std::ffi::c_int;
use std::net::SocketAddr;
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};

use super::callbacks::{destroy, do_shutdown, give_back_pjsips_count, on_free, send_msg};
use super::{Carrier, Direction, LIVE, Origin, Raw, Registered, SipTransport};
use crate::ffi::module_ref::ModuleRef;
use crate::ffi::opaque::Opaque;
use crate::ffi::pjsip::strings::{self, Kept};
use crate::ffi::pjsip::thread::PjThread;
use crate::ffi::pjsip::{Status, address, versions};
use crate::ffi::sync::Mutex;
use crate::ffi::{fault, sys};

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
    pub(in crate::ffi::pjsip) fn create(
        _: PjThread,
        origin: Origin,
        direction: Direction,
        local: SocketAddr,
        remote: SocketAddr,
        name: &str,
        carrier: Arc<dyn Carrier>,
    ) -> Result<Registered, Status> {
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
        // SAFETY: the structure is whole, with its locks and the counts above. `set_up` gave it its manager, which lives as long as
        // pjsip's endpoint.
        let status = unsafe { sys::pjsip_transport_register((*base).tpmgr, base) };
        let registered = Status::check(status);
        if let Err(status) = registered {
            // SAFETY: pjsip did not take it; `transport` has a count of its own.
            unsafe { give_back_pjsips_count(raw.as_ptr()) };
            return Err(status);
        }
        Ok(Registered(transport))
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
        versions::set_published_flag(base, origin.published.is_some());
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
pub(super) unsafe fn free(raw: NonNull<Raw>) {
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
