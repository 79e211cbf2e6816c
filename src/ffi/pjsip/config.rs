//! The `transport` objects of `pjsip.conf` and the states that Asterisk keeps for them.

use std::collections::BTreeMap;
use std::ffi::{CString, c_char, c_int, c_void};
use std::net::SocketAddr;
use std::path::Path;
use std::ptr::{self, NonNull};

use zeroize::Zeroizing;

use super::factory::{self, FactoryRef, StockFactory};
use super::{fill, pj_str, to_socket_addr, versions};
use crate::ffi::guard::guard;
use crate::ffi::{c_text, sys, text};

const TYPE: &std::ffi::CStr = c"transport";

#[derive(Clone)]
/// A `protocol=tls` transport, as configured and as it is in force: where Asterisk may not reload an option, the old value.
pub struct TlsTransport {
    /// Its section's name.
    pub name: String,
    options: BTreeMap<String, Zeroizing<String>>,
}

impl TlsTransport {
    /// An option's value; `None` if it is not set.
    pub fn option(&self, name: &str) -> Option<&str> {
        self.options
            .get(name)
            .map(|value| value.as_str())
            .filter(|value| !value.is_empty())
    }

    /// A yes/no option.
    pub fn flag(&self, name: &str) -> bool {
        self.option(name)
            .is_some_and(|value| matches!(value, "yes" | "Yes" | "true" | "1" | "on"))
    }

    /// A number.
    pub fn number(&self, name: &str) -> Option<u32> {
        self.option(name)?.parse().ok()
    }
}

/// A reference to an `ao2` object.
struct Ao2(NonNull<c_void>);

impl Ao2 {
    fn new(raw: *mut c_void) -> Option<Self> {
        NonNull::new(raw).map(Self)
    }
}

impl Drop for Ao2 {
    fn drop(&mut self) {
        // SAFETY: a reference of ours, given back once.
        unsafe {
            sys::__ao2_ref(
                self.0.as_ptr(),
                -1,
                ptr::null(),
                c"ciphertrunk".as_ptr(),
                0,
                c"drop".as_ptr(),
            );
        }
    }
}

/// Every transport with `protocol=tls`.
pub fn tls_transports() -> Vec<TlsTransport> {
    let mut found = Vec::new();
    // SAFETY: PJSIP's sorcery, which lives while PJSIP is loaded; all objects of the type, in a container of ours.
    let (sorcery, container) = unsafe {
        let sorcery = sys::ast_sip_get_sorcery();
        let flags = sys::AST_RETRIEVE_FLAG_MULTIPLE | sys::AST_RETRIEVE_FLAG_ALL;
        (
            sorcery,
            sys::ast_sorcery_retrieve_by_fields(sorcery, TYPE.as_ptr(), flags, ptr::null_mut()),
        )
    };
    let Some(container) = Ao2::new(container) else {
        return found;
    };
    each_object(&container, |object| {
        // SAFETY: a live object of PJSIP's sorcery.
        let (name, options) = unsafe {
            (
                text(sys::ast_sorcery_object_get_id(object.0.as_ptr())).unwrap_or_default(),
                options(sorcery, object.0.as_ptr()),
            )
        };
        if options
            .get("protocol")
            .is_some_and(|protocol| protocol.as_str() == "tls")
        {
            found.push(TlsTransport { name, options });
        }
    });
    found
}

/// # Safety
///
/// A live sorcery and a live object of it.
unsafe fn options(
    sorcery: *const sys::ast_sorcery,
    object: *const c_void,
) -> BTreeMap<String, Zeroizing<String>> {
    let mut options = BTreeMap::new();
    // SAFETY: by the caller; the list is ours.
    let list = unsafe {
        sys::ast_sorcery_objectset_create2(sorcery, object, sys::AST_HANDLER_ONLY_STRING)
    };
    let mut variable = list;
    // SAFETY: a list that lives until it is destroyed below.
    while let Some(node) = unsafe { variable.as_ref() } {
        // SAFETY: strings inside the node.
        let (name, value) = unsafe {
            (
                text(node.name).unwrap_or_default(),
                text(node.value).unwrap_or_default(),
            )
        };
        options.insert(name, Zeroizing::new(value));
        variable = node.next;
    }
    // SAFETY: ours.
    unsafe { sys::ast_variables_destroy(list) };
    options
}

/// The state of a transport: what is listening for it. Asterisk makes a new one at each change, so it is asked for anew
/// each time and not kept.
pub struct TransportState {
    state: NonNull<sys::ast_sip_transport_state>,
    _reference: Ao2,
}

impl TransportState {
    /// The state of transport `name`.
    pub fn of(name: &str) -> Option<Self> {
        let name = c_text(name);
        // SAFETY: the name lives during the call; a reference comes back.
        let state = NonNull::new(unsafe { sys::ast_sip_get_transport_state(name.as_ptr()) })?;
        Some(Self {
            state,
            _reference: Ao2(state.cast()),
        })
    }

    fn raw(&self) -> *mut sys::ast_sip_transport_state {
        self.state.as_ptr()
    }

    /// Where it is to listen.
    pub fn address(&self) -> Option<SocketAddr> {
        // SAFETY: kept by the reference; written only when it is made.
        unsafe { to_socket_addr(&(*self.raw()).host) }
    }

    /// Stock's factory, if stock has one there.
    pub fn stock(&self) -> Option<StockFactory> {
        // SAFETY: kept by the reference; changed only in pjsip's thread, which we run in.
        let factory = unsafe { (*self.raw()).factory };
        if factory::is_ours(factory) {
            None
        } else {
            StockFactory::new(factory)
        }
    }

    /// Whether ours is there.
    pub fn is_ours(&self) -> bool {
        // SAFETY: as above.
        factory::is_ours(unsafe { (*self.raw()).factory })
    }

    /// Whether `factory` is there.
    pub fn has(&self, factory: &FactoryRef) -> bool {
        // SAFETY: as above.
        unsafe { (*self.raw()).factory == factory.base() }
    }

    /// Puts ours there.
    pub fn put(&self, factory: &FactoryRef) {
        // SAFETY: as above; the factory outlives the state (`factory::reclaim`).
        unsafe { (*self.raw()).factory = factory.base() };
    }

    /// The address of what is there, for [`reclaim`](super::factory::reclaim).
    fn factory_address(&self) -> usize {
        // SAFETY: as above.
        unsafe { (*self.raw()).factory.addr() }
    }

    /// Tells Asterisk that it has seen certificate and key as they are now on disk, so that a touched file does not make
    /// it call pjproject's restart on our factory.
    pub fn refresh_file_times(&self, certificate: Option<&Path>, key: Option<&Path>) {
        let refresh = |path: Option<&Path>, stat: *mut libc::stat| {
            let Some(path) =
                path.and_then(|path| CString::new(path.as_os_str().as_encoded_bytes()).ok())
            else {
                return;
            };
            // SAFETY: a `struct stat` of the state's; unchanged on failure.
            unsafe { libc::stat(path.as_ptr(), stat) };
        };
        // SAFETY: the reference keeps the state.
        if let Some([certificate_seen, key_seen]) = unsafe { versions::file_times(self.raw()) } {
            refresh(certificate, certificate_seen);
            refresh(key, key_seen);
        }
    }

    /// Nothing is there: what was is about to be unmapped, and Asterisk leaves a state without a factory alone.
    fn clear(&self) {
        // SAFETY: as above.
        unsafe { (*self.raw()).factory = ptr::null_mut() };
    }

    /// Starts stock's listener again, in the place of ours, which is retired. `false`: it could not, and nothing is there.
    pub fn give_back(&self, transport: &TlsTransport) -> bool {
        let word = |name: &str| c_text(transport.option(name).unwrap_or_default());
        let (certificate, key, password) =
            (word("cert_file"), word("priv_key_file"), word("password"));
        let (ca_file, ca_path) = (word("ca_list_file"), word("ca_list_path"));
        // SAFETY: the state's own settings, as Asterisk starts stock with. The texts in them have gone since load, so ours
        // stand for them; pjsip copies what it keeps.
        unsafe {
            let state = &mut *self.raw();
            let mut tls = state.tls;
            tls.cert_file = pj_str(&certificate);
            tls.privkey_file = pj_str(&key);
            tls.password = pj_str(&password);
            tls.ca_list_file = pj_str(&ca_file);
            tls.ca_list_path = pj_str(&ca_path);
            tls.ciphers = state.ciphers.as_mut_ptr();
            let mut factory = ptr::null_mut();
            let failed = sys::pjsip_tls_transport_start2(
                sys::ast_sip_get_pjsip_endpoint(),
                &raw const tls,
                &raw const state.host,
                ptr::null(),
                1,
                &raw mut factory,
            );
            if failed != 0 || factory.is_null() {
                self.clear();
                return false;
            }
            (*self.raw()).factory = factory;
            // As Asterisk does: the transport's name is found in `info`, in room enough for what pjsip writes there.
            let info = sys::pj_pool_alloc((*factory).pool, INFO).cast::<c_char>();
            fill(std::slice::from_raw_parts_mut(info, INFO), &transport.name);
            (*factory).info = info;
        }
        true
    }
}

/// Octets of a factory's `info`; Asterisk makes it 101 at least.
const INFO: usize = 256;

/// Calls `each` with every object of a container.
fn each_object(container: &Ao2, mut each: impl FnMut(Ao2)) {
    // SAFETY: the container lives until the iterator is destroyed.
    let mut iterator = unsafe { sys::ao2_iterator_init(container.0.as_ptr().cast(), 0) };
    loop {
        // SAFETY: as above; each object comes with a reference of ours.
        let object = unsafe {
            sys::__ao2_iterator_next(
                &raw mut iterator,
                ptr::null(),
                c"ciphertrunk".as_ptr(),
                0,
                c"next".as_ptr(),
            )
        };
        let Some(object) = Ao2::new(object) else {
            break;
        };
        each(object);
    }
    // SAFETY: made above.
    unsafe { sys::ao2_iterator_destroy(&raw mut iterator) };
}

/// The factories that Asterisk's states point to, as addresses. It keeps states also of transports that are no longer
/// configured, or whose new configuration is bad, and may come back to them at any later reload.
fn factories_in_use() -> Vec<usize> {
    let mut in_use = Vec::new();
    // SAFETY: a container of ours, of references to states.
    let states = Ao2::new(unsafe { sys::ast_sip_get_transport_states() }.cast());
    if let Some(states) = states {
        each_object(&states, |object| {
            let state = object.0.cast();
            let _reference = object;
            in_use.push(TransportState { state, _reference }.factory_address());
        });
    }
    in_use
}

/// A factory named `name` like stock's, not yet registered. `None`: no memory.
pub fn factory_like(
    stock: StockFactory,
    name: &str,
    connector: std::sync::Arc<dyn factory::Connector>,
) -> Option<FactoryRef> {
    FactoryRef::like(stock, name, connector, &factories_in_use())
}

/// Frees retired factories that no state points to.
pub fn reclaim_factories() {
    factory::reclaim(&factories_in_use());
}

/// What to do around a (re)load of the transports. Called in PJSIP's thread.
pub trait Observer: Send + Sync {
    /// They will be read.
    fn loading(&self);
    /// They were read, and stock's listeners are up where something changed.
    fn loaded(&self);
}

static OBSERVER: std::sync::Mutex<Option<std::sync::Arc<dyn Observer>>> =
    std::sync::Mutex::new(None);

fn with_observer(object_type: *const c_char, call: impl FnOnce(&dyn Observer)) {
    guard((), || {
        // SAFETY: a static string of PJSIP's.
        if unsafe { text(object_type) }.as_deref() != Some("transport") {
            return;
        }
        let observer = OBSERVER
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .clone();
        if let Some(observer) = observer {
            call(&*observer);
        }
    });
}

extern "C" fn loading(
    _name: *const c_char,
    _sorcery: *const sys::ast_sorcery,
    object_type: *const c_char,
    _reloaded: c_int,
) {
    with_observer(object_type, |observer| observer.loading());
}

extern "C" fn loaded(
    _name: *const c_char,
    _sorcery: *const sys::ast_sorcery,
    object_type: *const c_char,
    _reloaded: c_int,
) {
    with_observer(object_type, |observer| observer.loaded());
}

static mut CALLBACKS: sys::ast_sorcery_instance_observer = sys::ast_sorcery_instance_observer {
    instance_loading: None,
    instance_loaded: None,
    wizard_mapped: None,
    object_type_registered: None,
    object_type_loading: Some(loading),
    object_type_loaded: Some(loaded),
};

/// An observer, while it is registered.
#[derive(Debug)]
pub struct Observing(());

/// Registers the one observer.
pub fn observe(observer: std::sync::Arc<dyn Observer>) -> Option<Observing> {
    *OBSERVER
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner) = Some(observer);
    // SAFETY: a static table; PJSIP's sorcery is live.
    let failed = unsafe {
        sys::ast_sorcery_instance_observer_add(sys::ast_sip_get_sorcery(), &raw mut CALLBACKS)
    };

    (failed == 0).then_some(Observing(()))
}

impl Drop for Observing {
    fn drop(&mut self) {
        // SAFETY: registered by `observe`.
        unsafe {
            sys::ast_sorcery_instance_observer_remove(
                sys::ast_sip_get_sorcery(),
                &raw mut CALLBACKS,
            )
        };
        OBSERVER
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .take();
    }
}

/// Runs `task` in a thread of PJSIP's and waits for it. `None`: it could not be run.
pub fn in_sip_thread<R>(task: impl FnOnce() -> R) -> Option<R> {
    struct Call<F, R> {
        task: Option<F>,
        result: Option<R>,
    }
    extern "C" fn run<F: FnOnce() -> R, R>(data: *mut c_void) -> c_int {
        guard((), || {
            // SAFETY: the caller's `Call`, which waits.
            let call = unsafe { &mut *data.cast::<Call<F, R>>() };
            if let Some(task) = call.task.take() {
                call.result = Some(task());
            }
        });
        0
    }
    fn entry<F: FnOnce() -> R, R>(_: &Call<F, R>) -> unsafe extern "C" fn(*mut c_void) -> c_int {
        run::<F, R>
    }
    let mut call = Call {
        task: Some(task),
        result: None,
    };
    let entry = entry(&call);
    // SAFETY: waits until `run` is done with `call`.
    unsafe { sys::ct_sip_servant_wait(Some(entry), ptr::from_mut(&mut call).cast()) };
    call.result
}
