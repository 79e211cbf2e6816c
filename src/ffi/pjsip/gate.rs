//! The last look at each SIP message before it leaves, and the first at each that comes: a module of pjsip's own between the one that
//! encodes messages and the wire, so that the octets and the transport are those of the wire.

use std::ffi::{CStr, c_int, c_void};
use std::marker::PhantomData;
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use super::{Status, strings};
use crate::ffi::guard::guard;
use crate::ffi::late::Pjsip;
use crate::ffi::opaque::Opaque;
use crate::ffi::{sys, text};

/// Before `PJSIP_MOD_PRIORITY_TRANSPORT_LAYER` (8): messages go out through the modules from the highest number to the lowest,
/// and that one encodes them. What comes goes from the lowest to the highest.
const PRIORITY: i32 = 4;

/// Which messages may leave, and come in. Called in any thread of PJSIP's, with locks of pjsip's: nothing of Asterisk's is asked.
pub trait Gate: 'static {
    /// `false`: it does not leave.
    fn may_leave(message: &Outgoing<'_>) -> bool;

    /// What becomes of one that has come, and that has a body or is a redirection.
    fn come(message: &Incoming<'_>) -> Comes;
}

/// What becomes of a message that has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comes {
    /// It comes in.
    Whole,
    /// Without its body, so that nobody acts on it. A redirection comes as `488 Not Acceptable Here`.
    WithoutBody,
    /// A request that is answered with this status, and goes no further.
    Answered(u16),
}

/// A message that has come.
#[derive(Debug)]
pub struct Incoming<'a> {
    data: *const sys::pjsip_rx_data,
    _alive: PhantomData<&'a sys::pjsip_rx_data>,
}

impl Incoming<'_> {
    /// # Safety
    ///
    /// A message that pjsip has parsed, which lives as long as the value and does not change.
    pub(super) unsafe fn new(data: *const sys::pjsip_rx_data) -> Self {
        Self {
            data,
            _alive: PhantomData,
        }
    }

    /// Its octets.
    pub fn octets(&self) -> &[u8] {
        // SAFETY: a message that lives while the value does, and does not change.
        unsafe {
            let info = &raw const (*self.data).msg_info;
            let length = usize::try_from((*info).len).unwrap_or(0);
            if (*info).msg_buf.is_null() {
                return &[];
            }
            std::slice::from_raw_parts((*info).msg_buf.cast::<u8>().cast_const(), length)
        }
    }

    /// Its body, as pjsip has found it; empty if it has none. Where pjsip has taken it apart (multipart), what it points to is not octets
    /// and has no length: all octets of the message.
    pub fn body(&self) -> &[u8] {
        // SAFETY: parsed, by `new`: the body of a message that came is the octets that its data points to, which live as long; one that
        // was taken apart has the length 0.
        unsafe {
            let body = (*(*self.data).msg_info.msg).body;
            if body.is_null() || (*body).data.is_null() {
                return &[];
            }
            let length = usize::try_from((*body).len).unwrap_or(0);
            if length == 0 {
                return self.octets();
            }
            std::slice::from_raw_parts((*body).data.cast::<u8>().cast_const(), length)
        }
    }

    /// The tag of this side, which tells the dialog, as pjsip has read it: of `To` in a request, of `From` in a response. Empty: it is in
    /// none.
    pub fn own_tag(&self) -> String {
        let is_request = self.status().is_none();
        // SAFETY: parsed, by `new`: these headers are there in each message that pjsip hands on, and their texts live as long as it.
        unsafe {
            let info = &raw const (*self.data).msg_info;
            let address = if is_request { (*info).to } else { (*info).from };
            match address.is_null() {
                true => String::new(),
                false => strings::to_text((*address).tag),
            }
        }
    }

    /// What it came over.
    pub fn over(&self) -> Over {
        // SAFETY: a message, or a clone of one, holds a count of the transport that it came over.
        unsafe { Over::of((*self.data).tp_info.transport) }
    }

    /// Its status; `None`: it is a request.
    pub fn status(&self) -> Option<u16> {
        // SAFETY: parsed, by `new`; the kind says which part of the union there is.
        unsafe {
            let message = (*self.data).msg_info.msg;
            if (*message).type_ != sys::PJSIP_RESPONSE_MSG {
                return None;
            }
            u16::try_from((*message).line.status.code).ok()
        }
    }

    fn has_body(&self) -> bool {
        // SAFETY: parsed, by `new`.
        unsafe { !(*(*self.data).msg_info.msg).body.is_null() }
    }
}

/// Whether a status redirects (RFC 3261 section 21.3).
pub fn redirects(status: u16) -> bool {
    status / 100 == 3
}

/// A message on its way out.
#[derive(Debug)]
pub struct Outgoing<'a> {
    data: *const sys::pjsip_tx_data,
    _alive: PhantomData<&'a sys::pjsip_tx_data>,
}

impl Outgoing<'_> {
    /// Its octets.
    pub fn octets(&self) -> &[u8] {
        // SAFETY: a message that lives while the value does, and does not change; it is encoded, from `start` to `cur`.
        unsafe {
            let buffer = &raw const (*self.data).buf;
            let (start, end) = ((*buffer).start, (*buffer).cur);
            if start.is_null() || end < start {
                return &[];
            }
            let length = usize::try_from(end.offset_from(start)).unwrap_or(0);
            std::slice::from_raw_parts(start.cast::<u8>().cast_const(), length)
        }
    }

    /// What it goes over.
    pub fn over(&self) -> Over {
        // SAFETY: pjsip has set its transport, of which it holds a count until the message is sent.
        unsafe { Over::of((*self.data).tp_info.transport) }
    }
}

/// What carries a message.
#[derive(Debug, Clone)]
pub enum Over {
    /// Neither TLS nor anything else that encrypts: its name, e.g. `UDP`.
    InClear(String),
    /// An encrypted one that is not ours.
    Foreign,
    /// A TLS connection of ours.
    Ours(super::transport::Security),
}

impl Over {
    /// # Safety
    ///
    /// NULL, or a transport that lives during the call.
    pub(super) unsafe fn of(transport: *mut sys::pjsip_transport) -> Self {
        if transport.is_null() {
            return Self::InClear("no transport".to_owned());
        }
        // SAFETY: by the caller. A flag and a name that do not change.
        unsafe {
            if let Some(security) = super::transport::security_of(transport) {
                return Self::Ours(security);
            }
            if super::transport::is_secure(transport) {
                return Self::Foreign;
            }
            Self::InClear(text((*transport).type_name).unwrap_or_default())
        }
    }
}

unsafe extern "C" fn on_tx<G: Gate>(data: *mut sys::pjsip_tx_data) -> sys::pj_status_t {
    let _inside = Inside::enter();
    // A panic keeps the message back: nothing leaves that was not judged.
    guard(Status::CANCELLED.raw(), || {
        let message = Outgoing {
            data,
            _alive: PhantomData,
        };
        if G::may_leave(&message) {
            Status::SUCCESS
        } else {
            Status::CANCELLED.raw()
        }
    })
}

/// `488 Not Acceptable Here`.
const NOT_ACCEPTABLE_HERE: c_int = 488;

unsafe extern "C" fn on_rx<G: Gate>(data: *mut sys::pjsip_rx_data) -> sys::pj_bool_t {
    /// Others see it.
    const GO_ON: sys::pj_bool_t = 0;
    const TAKEN: sys::pj_bool_t = 1;
    let _inside = Inside::enter();
    // After a panic nobody acts on it.
    guard(TAKEN, || {
        // SAFETY: pjsip hands a message that it has parsed, and nobody else has yet.
        let message = unsafe { Incoming::new(data) };
        let redirects = message.status().is_some_and(redirects);
        if !message.has_body() && !redirects {
            return GO_ON;
        }
        match G::come(&message) {
            Comes::Whole => GO_ON,
            Comes::WithoutBody => {
                // SAFETY: as above; the body lies in the message's pool, and whoever reads it finds none.
                unsafe {
                    let message = (*data).msg_info.msg;
                    (*message).body = ptr::null_mut();
                    if redirects {
                        (*message).line.status.code = NOT_ACCEPTABLE_HERE;
                    }
                }
                GO_ON
            }
            Comes::Answered(status) => {
                // SAFETY: PJSIP's endpoint, which lives while a module is registered with it, and the request that came. The
                // response has no further headers and no body.
                unsafe {
                    sys::pjsip_endpt_respond_stateless(
                        sys::ast_sip_get_pjsip_endpoint(),
                        data,
                        status.into(),
                        ptr::null(),
                        ptr::null(),
                        ptr::null(),
                    );
                }
                TAKEN
            }
        }
    })
}

/// Messages that are in the gate now.
static INSIDE: AtomicUsize = AtomicUsize::new(0);

/// One of them.
struct Inside;

impl Inside {
    fn enter() -> Self {
        INSIDE.fetch_add(1, Ordering::AcqRel);
        Self
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        INSIDE.fetch_sub(1, Ordering::AcqRel);
    }
}

/// How long a thread of PJSIP's may take from finding the module in pjsip's list to its first instruction in the gate, and from its
/// last there back to pjsip: as pjproject 2.17 waits when it takes a module out (`pjsip_endpt_unregister_module`).
const GRACE: Duration = Duration::from_millis(100);

/// The gate, while it is registered. Dropping it waits until no message is in it.
///
/// # Invariants
///
/// A module that pjsip has in its list.
#[derive(Debug)]
pub struct Registration(NonNull<Opaque<sys::pjsip_module>>);

// SAFETY: used by `drop` alone; what pjsip does with the module meanwhile it guards itself.
unsafe impl Send for Registration {}

/// Registers the gate. `None`: pjsip does not take it.
pub fn register<G: Gate>(_: Pjsip) -> Option<Registration> {
    let place = Box::leak(Box::new(Opaque::<sys::pjsip_module>::zeroed()));
    let name = Box::leak(Box::<CStr>::from(c"ciphertrunk gate"));
    let module = place.get();
    // SAFETY: nobody else has it yet, and it is never freed; zeros are "not used". A service is registered in a thread of PJSIP's,
    // which is there, by the token.
    unsafe {
        (*module).name = strings::pointing_to(name);
        (*module).id = -1;
        (*module).priority = PRIORITY;
        (*module).on_tx_request = Some(on_tx::<G>);
        (*module).on_tx_response = Some(on_tx::<G>);
        (*module).on_rx_request = Some(on_rx::<G>);
        (*module).on_rx_response = Some(on_rx::<G>);
        (sys::ast_sip_register_service(module) == 0).then(|| Registration(NonNull::from_ref(place)))
    }
}

impl Registration {
    /// Another module in pjsip's list, by its name. NULL: there is none. At load alone.
    pub(super) fn find(&self, name: &str) -> *mut sys::pjsip_module {
        // SAFETY: by the type's invariant ours is in pjsip's list, a circle of modules and of its head, which is one without a name.
        // It changes under the lock of Asterisk's list of modules, which is held at load; names are constants.
        unsafe {
            let ours = (*self.0.as_ptr()).get();
            let mut module = (*ours).next;
            while module != ours {
                if strings::to_text((*module).name) == name {
                    return module;
                }
                module = (*module).next;
            }
        }
        ptr::null_mut()
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        // SAFETY: a module that lives for ever, and is registered, by the type's invariant; once. Asterisk builds pjproject without
        // PJSIP_SAFE_MODULE: before 2.17 threads walk pjsip's list while it changes. A module that is taken out becomes its own
        // neighbour (`pj_list_erase`), so that a thread which stands there would walk in a circle: it gets back the neighbours
        // that it had. Those stay in the list meanwhile: modules of PJSIP's are loaded and unloaded under the lock of Asterisk's
        // list of modules, which is held here. Words that are written whole.
        unsafe {
            let module = (*self.0.as_ptr()).get();
            let previous = AtomicPtr::from_ptr((&raw mut (*module).prev).cast::<*mut c_void>());
            let next = AtomicPtr::from_ptr((&raw mut (*module).next).cast::<*mut c_void>());
            let before = (
                previous.load(Ordering::Acquire),
                next.load(Ordering::Acquire),
            );
            sys::ast_sip_unregister_service(module);
            previous.store(before.0, Ordering::Release);
            next.store(before.1, Ordering::Release);
        }
        // The structure stays for those who have yet to look at it; who has called us is waited for.
        thread::sleep(GRACE);
        while INSIDE.load(Ordering::Acquire) > 0 {
            thread::sleep(Duration::from_millis(1));
        }
    }
}
