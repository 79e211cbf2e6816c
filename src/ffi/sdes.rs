//! `ast_sdp_crypto_api`: the SDES negotiation of one media stream, over a [`Negotiator`], which knows no C.
//!
//! A stream's `struct ast_sdp_srtp` is a list whose nodes each stand for one `a=crypto` line of a description.
//! `struct ast_sdp_crypto *` is a boxed [`Node`] that Asterisk owns: the first one negotiates, those behind it only carry a
//! line each.
//!
//! # Safety
//!
//! The functions of the table are called by Asterisk, and as `asterisk/sdp_srtp.h` has it: with a stream's list that no other
//! thread uses during the call, a live instance, and texts that are good for the call.

use std::ffi::{CStr, c_char, c_int};
use std::marker::PhantomData;
use std::ptr;
use std::sync::OnceLock;

use zeroize::Zeroizing;

use super::guard::guard;
use super::module_ref::ModuleRef;
use super::owned::{borrow_mut, dispose, give};
use super::rtp::RtpInstance;
use super::{sys, text};

const FAILED: c_int = -1;

/// The negotiation of one stream. Asterisk uses a stream's from one thread at a time.
pub trait Negotiator: Sized + 'static {
    /// Of a stream about which nothing is agreed. `None`: the module is being unloaded.
    fn new() -> Option<Self>;

    /// For a stream that we are to describe first: an offer of ours. `None`: there is to be none, and Asterisk, which makes no
    /// call without, is left with nothing of ours.
    fn for_offer(stream: Stream<'_>) -> Option<Self>;

    /// Reads the value of one `a=crypto` attribute of the peer's. `true`: taken.
    fn receive(&mut self, rtp: RtpInstance<'_>, value: &str) -> bool;

    /// The values of our `a=crypto` attributes, for the next description. None: there can be no description.
    /// `tag_32`: the endpoint's `srtp_tag_32`.
    fn describe(&mut self, stream: Stream<'_>, tag_32: bool) -> Vec<Zeroizing<String>>;
}

/// A stream's list, by which its call can be found. Compared and never looked into.
#[derive(Debug, Clone, Copy)]
pub struct Stream<'a>(*const sys::ast_sdp_srtp, PhantomData<&'a ()>);

impl Stream<'_> {
    /// Its address, for calls in this folder.
    pub(super) fn as_ptr(self) -> *const sys::ast_sdp_srtp {
        self.0
    }
}

/// A line as C wants it, with its NUL. It holds a key.
#[derive(Default)]
struct Line(Zeroizing<Vec<u8>>);

impl Line {
    fn new(value: &str) -> Self {
        // In one piece: growing would leave copies of the key behind.
        let mut octets = Vec::with_capacity(value.len() + 1);
        octets.extend_from_slice(value.as_bytes());
        octets.push(0);
        Self(Zeroizing::new(octets))
    }

    fn as_ptr(&self) -> *const c_char {
        CStr::from_bytes_until_nul(&self.0).map_or(ptr::null(), CStr::as_ptr)
    }
}

/// `struct ast_sdp_crypto`.
enum Node<N> {
    /// The list's first.
    Negotiator { negotiator: N, line: Line },
    /// One behind it. It keeps the module for its own end, which comes after the first one's.
    Follower(Line, ModuleRef),
}

impl<N: Negotiator> Node<N> {
    fn first(negotiator: N) -> Self {
        Self::Negotiator {
            negotiator,
            line: Line::default(),
        }
    }
}

unsafe extern "C" fn alloc<N: Negotiator>() -> *mut sys::ast_sdp_crypto {
    guard(ptr::null_mut(), || {
        N::new().map_or(ptr::null_mut(), |negotiator| {
            give(Node::first(negotiator)).cast()
        })
    })
}

unsafe extern "C" fn dtor<N: Negotiator>(crypto: *mut sys::ast_sdp_crypto) {
    guard((), || {
        // SAFETY: NULL, or from `alloc`, `node` or `set_followers`, given back once.
        unsafe { dispose(crypto.cast::<Node<N>>()) };
    });
}

/// Nobody in Asterisk 16 to 23 calls it: lines are asked for by `get_attr`.
extern "C" fn build_offer(_crypto: *mut sys::ast_sdp_crypto, _taglen: c_int) -> c_int {
    FAILED
}

/// The list element's node; if it has none yet, a first one with what `make` gives.
///
/// # Safety
///
/// `list` is a live element that no other thread uses during `'a`, and no other reference to its node lives.
unsafe fn node<'a, N: Negotiator>(
    list: *mut sys::ast_sdp_srtp,
    make: impl FnOnce() -> Option<N>,
) -> Option<&'a mut Node<N>> {
    // SAFETY: live and ours alone, by the caller; `crypto` is always from this file, because ours is the only
    // `ast_sdp_crypto_api`.
    unsafe {
        if (*list).crypto.is_null() {
            (*list).crypto = give(Node::first(make()?)).cast();
        }
        borrow_mut((*list).crypto.cast::<Node<N>>())
    }
}

unsafe extern "C" fn parse_offer<N: Negotiator>(
    rtp: *mut sys::ast_rtp_instance,
    list: *mut sys::ast_sdp_srtp,
    value: *const c_char,
) -> c_int {
    guard(FAILED, || {
        if list.is_null() {
            return FAILED;
        }
        // SAFETY: an instance that the stream holds, and a string that stays during the call.
        let (Some(rtp), Some(value)) = (unsafe { (RtpInstance::from_raw(rtp), text(value)) })
        else {
            return FAILED;
        };
        // SAFETY: the stream's list, which its call uses from one thread at a time (PJSIP: the session's serializer;
        // chan_sip: under the dialog's lock).
        let Some(Node::Negotiator { negotiator, .. }) = (unsafe { node(list, N::new) }) else {
            return FAILED;
        };
        if !negotiator.receive(rtp, &value) {
            return FAILED;
        }
        // CHANNEL(rtp,secure) reads this flag.
        // SAFETY: the element above; `node` refers to its `crypto` and not to the element.
        unsafe { (*list).flags |= sys::AST_SRTP_CRYPTO_OFFER_OK };
        0
    })
}

unsafe extern "C" fn get_attr<N: Negotiator>(
    list: *mut sys::ast_sdp_srtp,
    dtls_enabled: c_int,
    default_taglen_32: c_int,
) -> *const c_char {
    guard(ptr::null(), || {
        if list.is_null() || dtls_enabled != 0 {
            // DTLS-SRTP carries no keys in SDP.
            return ptr::null();
        }
        let (negotiator, line) =
            // SAFETY: the stream's list, which its call uses from one thread at a time (see `parse_offer`).
            match unsafe { node(list, || N::for_offer(Stream(list, PhantomData))) } {
                Some(Node::Negotiator { negotiator, line }) => (negotiator, line),
                // Its text lives in the node until the list is cut.
                Some(Node::Follower(line, _)) => return line.as_ptr(),
                None => return ptr::null(),
            };
        let lines = negotiator.describe(Stream(list, PhantomData), default_taglen_32 != 0);
        let Some((first, rest)) = lines.split_first() else {
            return ptr::null();
        };
        *line = Line::new(first);
        // SAFETY: the element is ours during the call, and so are those behind it: only the first one's node is referred to.
        unsafe { set_followers::<N>(list, rest) };
        // The text lives in the node until its next line is made.
        line.as_ptr()
    })
}

/// Puts an element for each of `lines` behind `list`, in place of those that are there.
///
/// # Safety
///
/// `list` is a live element that no other thread uses during the call, and nothing refers to those behind it.
unsafe fn set_followers<N: Negotiator>(list: *mut sys::ast_sdp_srtp, lines: &[Zeroizing<String>]) {
    // SAFETY: the rest of the list, which nobody else holds; Asterisk frees its elements and, by `dtor`, their nodes.
    unsafe {
        let rest = (*list).sdp_srtp_list.next;
        (*list).sdp_srtp_list.next = ptr::null_mut();
        if !rest.is_null() {
            sys::ast_sdp_srtp_destroy(rest);
        }
    }
    let mut last = list;
    for line in lines {
        let Some(module) = ModuleRef::enter() else {
            return;
        };
        // SAFETY: Asterisk allocates the element, and frees it with the list; `last` is an element of the list, which is
        // ours during the call.
        unsafe {
            let element = sys::ast_sdp_srtp_alloc();
            if element.is_null() {
                return;
            }
            (*element).crypto = give(Node::<N>::Follower(Line::new(line), module)).cast();
            (*last).sdp_srtp_list.next = element;
            last = element;
        }
    }
}

/// Stays as long as the library: Asterisk compares its address.
static API: OnceLock<sys::ast_sdp_crypto_api> = OnceLock::new();

/// Our negotiation, while it is registered; dropping it takes it away, and only ours (Asterisk compares). A node that
/// lives beyond that is not freed any more: each holds a module reference, so there is none when the module goes.
#[derive(Debug)]
pub struct Registration(());

/// Makes `N` Asterisk's SDES negotiation. `None`: another one is registered.
///
/// There is one `N` in a library.
pub fn register<N: Negotiator>() -> Option<Registration> {
    let api = API.get_or_init(|| sys::ast_sdp_crypto_api {
        dtor: Some(dtor::<N>),
        alloc: Some(alloc::<N>),
        build_offer: Some(build_offer),
        parse_offer: Some(parse_offer::<N>),
        get_attr: Some(get_attr::<N>),
    });
    // SAFETY: a table that lives as long as the library and that Asterisk only reads.
    let failed = unsafe { sys::ast_sdp_crypto_register(ptr::from_ref(api).cast_mut()) };
    (failed == 0).then_some(Registration(()))
}

impl Drop for Registration {
    fn drop(&mut self) {
        if let Some(api) = API.get() {
            // SAFETY: as it was registered; Asterisk does nothing when another one is.
            unsafe { sys::ast_sdp_crypto_unregister(ptr::from_ref(api).cast_mut()) };
        }
    }
}
