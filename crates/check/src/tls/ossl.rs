//! What the `openssl` crate does not wrap: to see the messages and alerts of a handshake, every fault of a chain, and to make a
//! hello long. Nothing here registers an index with OpenSSL: what it is called with hangs on the connection's own application data.

#![allow(unsafe_code)]

use std::ffi::{c_int, c_long, c_uchar, c_uint, c_void};
use std::ptr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use foreign_types::ForeignTypeRef as _;
use openssl::error::ErrorStack;
use openssl::ssl::{Ssl, SslContextBuilder, SslRef, SslStream, SslVerifyMode};
use openssl::x509::{X509, X509StoreContextRef};
use openssl_sys as ffi;
use sip_tls::verify::CertFault;

use super::Sock;

/// A close_notify goes out at once, or not.
const GOODBYE: Duration = Duration::from_millis(100);
/// HandshakeType (RFC 8446 4).
const NEW_SESSION_TICKET: u8 = 4;
/// HandshakeType (RFC 8446 4).
const CERTIFICATE_REQUEST: u8 = 13;
/// ContentType (RFC 8446 5.1).
const ALERT: c_int = 21;
/// ContentType (RFC 8446 5.1).
const HANDSHAKE: c_int = 22;

/// What came by during a connection.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// A CertificateRequest.
    pub(crate) asked_for_certificate: bool,
    /// A NewSessionTicket.
    pub(crate) ticket: bool,
    /// Alerts of the peer's: level and description.
    pub(crate) alerts: Vec<(u8, u8)>,
    /// What is wrong with the chain, and how many certificates above the peer's own.
    pub(crate) faults: Vec<(CertFault, u32, Option<X509>)>,
}

/// Shared between a connection and OpenSSL's calls.
#[derive(Debug, Default)]
pub(crate) struct Trace(Mutex<Seen>);

impl Trace {
    pub(crate) fn with<T>(&self, look: impl FnOnce(&mut Seen) -> T) -> T {
        look(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The faults of the chain, without their places.
    pub(crate) fn faults(&self) -> Vec<CertFault> {
        self.with(|seen| seen.faults.iter().map(|(fault, _, _)| *fault).collect())
    }
}

type MsgCallback =
    unsafe extern "C" fn(c_int, c_int, c_int, *const c_void, usize, *mut ffi::SSL, *mut c_void);
type AddCallback = unsafe extern "C" fn(
    *mut ffi::SSL,
    c_uint,
    c_uint,
    *mut *const c_uchar,
    *mut usize,
    *mut ffi::X509,
    usize,
    *mut c_int,
    *mut c_void,
) -> c_int;

// From openssl/ssl.h; openssl-sys has none of them.
unsafe extern "C" {
    fn SSL_set_msg_callback(ssl: *mut ffi::SSL, callback: Option<MsgCallback>);
    fn SSL_set_ex_data(ssl: *mut ffi::SSL, index: c_int, data: *mut c_void) -> c_int;
    #[allow(clippy::too_many_arguments)]
    fn SSL_CTX_add_custom_ext(
        context: *mut ffi::SSL_CTX,
        kind: c_uint,
        messages: c_uint,
        add: Option<AddCallback>,
        free: *const c_void,
        add_arg: *mut c_void,
        parse: *const c_void,
        parse_arg: *mut c_void,
    ) -> c_int;
}

/// `SSL_get_app_data` is the first index, which OpenSSL keeps for applications.
const APP_DATA: c_int = 0;
/// `openssl/ssl.h`
const SSL_CTRL_GET_RI_SUPPORT: c_int = 76;
/// `openssl/ssl.h`
const SSL_CTRL_SET_MAX_CERT_LIST: c_int = 51;
/// `SSL_EXT_CLIENT_HELLO` of `openssl/ssl.h`
const SSL_EXT_CLIENT_HELLO: c_uint = 0x80;

/// A TLS stream whose messages, alerts and chain are seen.
pub(crate) struct Traced {
    // Goes before the trace, which OpenSSL may write to until the connection is gone.
    stream: SslStream<Sock>,
    trace: Arc<Trace>,
}

impl Traced {
    /// A connection over `sock`, whose peer's certificate is asked for as `mode` says, and never refused.
    pub(crate) fn new(ssl: Ssl, sock: Sock, mode: SslVerifyMode) -> Result<Traced, ErrorStack> {
        let trace = Arc::new(Trace::default());
        // SAFETY: the connection lives; the callbacks have OpenSSL's signatures. They are called with the trace, which this
        // value keeps until the stream is dropped: its fields are dropped in their order, and nobody gets them out of it.
        unsafe {
            SSL_set_ex_data(
                ssl.as_ptr(),
                APP_DATA,
                Arc::as_ptr(&trace).cast_mut().cast(),
            );
            SSL_set_msg_callback(ssl.as_ptr(), Some(on_message));
            ffi::SSL_set_verify(ssl.as_ptr(), mode.bits(), Some(on_verify));
        }
        let stream = SslStream::new(ssl, sock)?;
        Ok(Traced { stream, trace })
    }

    pub(crate) fn stream(&self) -> &SslStream<Sock> {
        &self.stream
    }

    /// To read and write. Errors that an earlier call has left in the thread's queue are gone.
    pub(crate) fn fresh(&mut self) -> &mut SslStream<Sock> {
        drop(ErrorStack::get());
        &mut self.stream
    }

    pub(crate) fn ssl(&self) -> &SslRef {
        self.stream.ssl()
    }

    pub(crate) fn sock(&mut self) -> &mut Sock {
        self.stream.get_mut()
    }

    pub(crate) fn trace(&self) -> &Arc<Trace> {
        &self.trace
    }
}

/// Says goodbye: a peer's log is not to have a line about each of our connections.
impl Drop for Traced {
    fn drop(&mut self) {
        if self.ssl().is_init_finished() {
            self.sock().give(GOODBYE);
            let _ = self.fresh().shutdown();
        }
    }
}

/// The trace of a connection.
///
/// # Safety
/// `ssl` is a live connection that a [`Traced`] has, or one without application data.
unsafe fn trace_of<'a>(ssl: *mut ffi::SSL) -> Option<&'a Trace> {
    // SAFETY: the caller's promise; `Traced` put a pointer there, to a trace that outlives the connection's calls.
    unsafe { ffi::SSL_get_ex_data(ssl, APP_DATA).cast::<Trace>().as_ref() }
}

unsafe extern "C" fn on_message(
    written: c_int,
    _version: c_int,
    content: c_int,
    buffer: *const c_void,
    length: usize,
    ssl: *mut ffi::SSL,
    _arg: *mut c_void,
) {
    if written != 0 || buffer.is_null() {
        return;
    }
    // SAFETY: OpenSSL hands out a message of this length, and the connection that `Traced` set it for.
    let (message, trace) = unsafe {
        (
            std::slice::from_raw_parts(buffer.cast::<u8>(), length),
            trace_of(ssl),
        )
    };
    let Some(trace) = trace else { return };
    trace.with(|seen| match (content, message) {
        (HANDSHAKE, [CERTIFICATE_REQUEST, ..]) => seen.asked_for_certificate = true,
        (HANDSHAKE, [NEW_SESSION_TICKET, ..]) => seen.ticket = true,
        (ALERT, [level, description]) => seen.alerts.push((*level, *description)),
        _ => {}
    });
}

/// Writes down what is wrong, and lets the handshake go on.
extern "C" fn on_verify(ok: c_int, store: *mut ffi::X509_STORE_CTX) -> c_int {
    if ok != 0 || store.is_null() {
        return 1;
    }
    // SAFETY: OpenSSL hands out the store context of a verification that it makes for a connection; its ex data has that
    // connection, which is a `Traced`'s.
    let (store, trace) = unsafe {
        let ssl = ffi::X509_STORE_CTX_get_ex_data(store, ffi::SSL_get_ex_data_X509_STORE_CTX_idx());
        (X509StoreContextRef::from_ptr(store), trace_of(ssl.cast()))
    };
    if let (Some(trace), Some(fault)) = (trace, CertFault::from_openssl(store.error())) {
        let certificate = store.current_cert().map(ToOwned::to_owned);
        trace.with(|seen| seen.faults.push((fault, store.error_depth(), certificate)));
    }
    1
}

/// Whether the peer has secure renegotiation (RFC 5746).
pub(crate) fn secure_renegotiation(ssl: &SslRef) -> bool {
    // SAFETY: the connection lives; this control reads a flag and never the NULL pointer.
    unsafe {
        ffi::SSL_ctrl(
            ssl.as_ptr(),
            SSL_CTRL_GET_RI_SUPPORT,
            0 as c_long,
            ptr::null_mut(),
        ) != 0
    }
}

/// The longest certificate chain that is taken, in octets.
pub(crate) fn limit_chain(ssl: &mut SslRef, octets: usize) {
    let octets = c_long::try_from(octets).unwrap_or(c_long::MAX);
    // SAFETY: the connection lives; this control stores the number and never reads the NULL pointer.
    unsafe {
        ffi::SSL_ctrl(
            ssl.as_ptr(),
            SSL_CTRL_SET_MAX_CERT_LIST,
            octets,
            ptr::null_mut(),
        )
    };
}

/// Octets of the extension that makes a hello longer than one TCP segment of Ethernet (1,460 octets).
const LONG: usize = 1500;
static ZEROS: [u8; LONG] = [0; LONG];
/// Reserved for private use (RFC 8446 11): nobody knows it, and everybody has to skip it.
const PRIVATE_EXTENSION: c_uint = 0xff77;

/// Makes each hello of the context longer by an extension that no server knows, which every server has to skip (RFC 8446 4.2).
pub(crate) fn lengthen(context: &mut SslContextBuilder) -> Result<(), ErrorStack> {
    // SAFETY: the context lives; the callback has OpenSSL's signature, and no argument; without a `free` and a `parse` none is
    // called.
    let done = unsafe {
        SSL_CTX_add_custom_ext(
            context.as_ptr(),
            PRIVATE_EXTENSION,
            SSL_EXT_CLIENT_HELLO,
            Some(add_zeros),
            ptr::null(),
            ptr::null_mut(),
            ptr::null(),
            ptr::null_mut(),
        )
    };
    if done == 1 {
        Ok(())
    } else {
        Err(ErrorStack::get())
    }
}

#[allow(clippy::too_many_arguments)]
unsafe extern "C" fn add_zeros(
    _ssl: *mut ffi::SSL,
    _kind: c_uint,
    _context: c_uint,
    out: *mut *const c_uchar,
    length: *mut usize,
    _certificate: *mut ffi::X509,
    _index: usize,
    _alert: *mut c_int,
    _arg: *mut c_void,
) -> c_int {
    // SAFETY: OpenSSL gives two places to write to; the octets are static.
    unsafe {
        *out = ZEROS.as_ptr();
        *length = ZEROS.len();
    }
    1
}

/// Takes a session of the same context up again.
pub(crate) fn set_session(
    ssl: &mut SslRef,
    session: &openssl::ssl::SslSessionRef,
) -> Result<(), ErrorStack> {
    // SAFETY: both come from the same context: the only caller makes the connection from the one that the session is of.
    unsafe { ssl.set_session(session) }
}
