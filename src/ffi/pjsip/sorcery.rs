//! The objects of `pjsip.conf`, which Asterisk keeps in its store of configuration ("sorcery"): `transport`s, and any one's
//! options.

use std::collections::BTreeMap;
use std::ffi::{CStr, c_char, c_int, c_void};
use std::ptr;
use std::sync::Arc;

use policy::pjsip_conf::is_yes;
use zeroize::Zeroizing;

use super::servant::{self, SipThread};
use crate::ffi::ao2::Ao2;
use crate::ffi::guard::guard;
use crate::ffi::opaque::Opaque;
use crate::ffi::sync::Mutex;
use crate::ffi::{sys, text};

/// The type of the objects.
const TYPE: &CStr = c"transport";

/// When Asterisk made an object of a section, in seconds and microseconds. At a reload it makes a new one of each section that is good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Created(i64, i64);

/// A `protocol=tls` transport, as configured and as it is in force: where Asterisk may not reload an option, the old value, until the
/// [options of the file](Self::set_options) are put in.
#[derive(Clone)]
pub struct TlsTransport {
    /// Its section's name.
    pub name: String,
    /// When Asterisk has read it.
    pub created: Created,
    /// `password` is among them.
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
        self.option(name).is_some_and(is_yes)
    }

    /// Puts `options` in the place of those of these `names`.
    pub fn set_options(&mut self, names: &[&str], options: BTreeMap<&'static str, String>) {
        self.options
            .retain(|name, _| !names.contains(&name.as_str()));
        let options = options
            .into_iter()
            .map(|(name, value)| (name.to_owned(), Zeroizing::new(value)));
        self.options.extend(options);
    }

    /// Puts another one's options in the place of those of these `names`.
    pub fn keep_options(&mut self, names: &[&str], of: &Self) {
        self.options
            .retain(|name, _| !names.contains(&name.as_str()));
        let kept = of
            .options
            .iter()
            .filter(|(name, _)| names.contains(&name.as_str()));
        self.options
            .extend(kept.map(|(name, value)| (name.clone(), value.clone())));
    }

    /// A number.
    pub fn number(&self, name: &str) -> Option<u32> {
        self.option(name)?.parse().ok()
    }
}

/// Every transport with `protocol=tls`. In a thread of PJSIP's: reading a realtime configuration applies it.
pub fn tls_transports(_: &SipThread) -> Vec<TlsTransport> {
    let flags = sys::AST_RETRIEVE_FLAG_MULTIPLE | sys::AST_RETRIEVE_FLAG_ALL;
    // SAFETY: PJSIP's sorcery, which lives while res_pjsip is loaded, and `late::Kept` keeps it from our load to our unload. A
    // `SipThread` is had only then. NULL, or a new container of all objects of the type, with a reference for us.
    let container = unsafe {
        let sorcery = sys::ast_sip_get_sorcery();
        let found =
            sys::ast_sorcery_retrieve_by_fields(sorcery, TYPE.as_ptr(), flags, ptr::null_mut());
        Ao2::from_raw(found)
    };
    let Some(container) = container else {
        return Vec::new();
    };
    // SAFETY: a container, as said above.
    let objects = unsafe { container.objects() };
    objects
        .iter()
        .filter_map(|object| {
            // SAFETY: an object of that sorcery, which our reference keeps; its name and its time do not change.
            let (name, created, options) = unsafe {
                let created = sys::ast_sorcery_object_get_created(object.as_ptr());
                (
                    text(sys::ast_sorcery_object_get_id(object.as_ptr())).unwrap_or_default(),
                    Created(created.tv_sec, created.tv_usec),
                    options(object.as_ptr()),
                )
            };
            let is_tls = options
                .get("protocol")
                .is_some_and(|it| it.as_str() == "tls");
            is_tls.then_some(TlsTransport {
                name,
                created,
                options,
            })
        })
        .collect()
}

/// All options of an object of PJSIP's, as `pjsip show` prints them. Empty: there is no memory.
///
/// # Safety
///
/// A live object of PJSIP's sorcery.
pub(super) unsafe fn options(object: *const c_void) -> BTreeMap<String, Zeroizing<String>> {
    let mut options = BTreeMap::new();
    // SAFETY: the object lives, by the caller, and so does PJSIP's sorcery, without which there would be none. The list that
    // comes back is ours to destroy.
    let list = unsafe {
        sys::ast_sorcery_objectset_create2(
            sys::ast_sip_get_sorcery(),
            object,
            sys::AST_HANDLER_ONLY_STRING,
        )
    };
    let mut variable = list;
    // SAFETY: NULL or a node of the list, which is nobody else's and stays until it is destroyed below.
    while let Some(node) = unsafe { variable.as_ref() } {
        // SAFETY: NULL or strings that live as long as their node.
        let (name, value) = unsafe {
            (
                text(node.name).unwrap_or_default(),
                text(node.value).unwrap_or_default(),
            )
        };
        options.insert(name, Zeroizing::new(value));
        variable = node.next;
    }
    // SAFETY: made above, and no node is used after this; NULL is allowed.
    unsafe { sys::ast_variables_destroy(list) };
    options
}

/// What to do around a (re)load of the transports.
pub trait Observer: Send + Sync {
    /// They will be read.
    fn loading(&self, thread: &SipThread);
    /// They were read, and stock's listeners are up where something changed.
    fn loaded(&self, thread: &SipThread);
}

static OBSERVER: Mutex<Option<Arc<dyn Observer>>> = Mutex::new(None);

/// # Safety
///
/// `object_type` is NULL or a string, as for Asterisk's observers.
unsafe fn with_observer(
    object_type: *const c_char,
    call: impl FnOnce(&dyn Observer, &SipThread) + Send,
) {
    guard((), || {
        // SAFETY: by the caller.
        if unsafe { text(object_type) }.as_deref() != TYPE.to_str().ok() {
            return;
        }
        // The lock is not held during the call.
        let observer = OBSERVER.lock().clone();
        if let Some(observer) = observer {
            servant::while_configuring(|thread| call(&*observer, thread));
        }
    });
}

unsafe extern "C" fn loading(
    _name: *const c_char,
    _sorcery: *const sys::ast_sorcery,
    object_type: *const c_char,
    _reloaded: c_int,
) {
    // SAFETY: the type's name, which Asterisk keeps during the call.
    unsafe {
        with_observer(object_type, |observer, thread| observer.loading(thread));
    }
}

unsafe extern "C" fn loaded(
    _name: *const c_char,
    _sorcery: *const sys::ast_sorcery,
    object_type: *const c_char,
    _reloaded: c_int,
) {
    // SAFETY: the type's name, which Asterisk keeps during the call.
    unsafe {
        with_observer(object_type, |observer, thread| observer.loaded(thread));
    }
}

/// The table of callbacks that Asterisk keeps the address of.
struct Callbacks(Opaque<sys::ast_sorcery_instance_observer>);

// SAFETY: only its address is used here; Asterisk reads it under its own lock, and nobody writes it.
unsafe impl Sync for Callbacks {}

static CALLBACKS: Callbacks = Callbacks(Opaque::new(sys::ast_sorcery_instance_observer {
    instance_loading: None,
    instance_loaded: None,
    wizard_mapped: None,
    object_type_registered: None,
    object_type_loading: Some(loading),
    object_type_loaded: Some(loaded),
}));

/// The observer, while it is registered. Dropping it unregisters; a call that is under way then may still run to its end,
/// so it is dropped where no reload can be: Asterisk orders load, reload and unload.
#[derive(Debug)]
pub struct Observing(());

/// Registers the one observer. `None`: Asterisk did not take it.
pub fn observe(observer: Arc<dyn Observer>) -> Option<Observing> {
    *OBSERVER.lock() = Some(observer);
    // SAFETY: a static table. PJSIP's sorcery lives while res_pjsip is loaded: one of our optional modules, to which the loader has a
    // reference from our load, where `late::found` says that it is there, to our unload. Nobody has an observer but the transports,
    // which are served only then.
    let failed = unsafe {
        sys::ast_sorcery_instance_observer_add(sys::ast_sip_get_sorcery(), CALLBACKS.0.get())
    };
    if failed != 0 {
        *OBSERVER.lock() = None;
    }
    (failed == 0).then_some(Observing(()))
}

impl Drop for Observing {
    fn drop(&mut self) {
        // SAFETY: registered by `observe`, with the same table.
        unsafe {
            sys::ast_sorcery_instance_observer_remove(
                sys::ast_sip_get_sorcery(),
                CALLBACKS.0.get(),
            );
        }
        *OBSERVER.lock() = None;
    }
}
