//! OpenSSL's stores: the private keys that a provider has behind a URI.

#![allow(unsafe_code)]

use std::ffi::{CStr, c_char, c_int, c_void};
use std::ptr;

use foreign_types::ForeignType;
use openssl::error::ErrorStack;
use openssl::pkey::{PKey, Private};
use openssl_sys as ffi;

/// What a store gave.
#[derive(Default)]
pub(crate) struct Found {
    /// The provider has opened the URI, whatever it found.
    pub(crate) is_open: bool,
    /// The private keys.
    pub(crate) keys: Vec<PKey<Private>>,
    /// How many things beside these.
    pub(crate) others: usize,
    /// A password was asked for.
    pub(crate) was_asked: bool,
}

/// What is looked for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum For {
    PrivateKeys,
    Anything,
}

/// Whether a provider that is in force opens URIs of this scheme.
pub(crate) fn has_loader(scheme: &CStr) -> bool {
    // SAFETY: the default library context; the scheme lives during the call. NULL or a loader with a reference for us comes back.
    let loader = unsafe { OSSL_STORE_LOADER_fetch(ptr::null_mut(), scheme.as_ptr(), ptr::null()) };
    if loader.is_null() {
        let _ = ErrorStack::get();
        return false;
    }
    // SAFETY: ours, and not used any more.
    unsafe { OSSL_STORE_LOADER_free(loader) };
    true
}

/// How often a store is asked for its next object, which is more than a token has: a provider that gives nothing, no error and no end
/// would be asked for ever.
const MOST_TURNS: usize = 10_000;

/// Opens a URI and takes all that is there. Whoever asks for a password gets this one, or an empty one: an answer that fails would have
/// pkcs11-provider ask on the terminal.
pub(crate) fn open(uri: &CStr, password: Option<&str>, what: For) -> Found {
    let mut question = Question {
        answer: password.unwrap_or_default(),
        was_asked: false,
    };
    let mut found = Found::default();
    // SAFETY: `answer` is of the type that is asked for. NULL or a method of ours comes back, which wraps it.
    let method = unsafe { UI_UTIL_wrap_read_pem_callback(Some(answer), 0) };
    if !method.is_null() {
        // SAFETY: the URI lives during the call, which copies it; the method and the question live until the store is closed, and the
        // store calls `answer` with the question on this thread alone, in the calls below.
        let store = unsafe {
            OSSL_STORE_open(
                uri.as_ptr(),
                method,
                (&raw mut question).cast(),
                ptr::null(),
                ptr::null_mut(),
            )
        };
        if !store.is_null() {
            found.is_open = true;
            // SAFETY: an open store, which is nobody else's, before its first object is asked for.
            unsafe {
                if what == For::PrivateKeys {
                    OSSL_STORE_expect(store, OSSL_STORE_INFO_PKEY);
                }
            }
            for _ in 0..MOST_TURNS {
                // SAFETY: as above. At its end it answers so.
                if unsafe { OSSL_STORE_eof(store) } != 0 {
                    break;
                }
                // SAFETY: as above. NULL, or an object that is ours, comes back.
                let info = unsafe { OSSL_STORE_load(store) };
                if info.is_null() {
                    // SAFETY: as above.
                    if unsafe { OSSL_STORE_error(store) } != 0 {
                        break;
                    }
                    continue;
                }
                // SAFETY: the object is ours until it is freed here; of a private key it gives a reference that is ours then, and
                // NULL if there is no memory.
                unsafe {
                    if OSSL_STORE_INFO_get_type(info) == OSSL_STORE_INFO_PKEY {
                        let key = OSSL_STORE_INFO_get1_PKEY(info);
                        if !key.is_null() {
                            found.keys.push(PKey::from_ptr(key));
                        }
                    } else {
                        found.others += 1;
                    }
                    OSSL_STORE_INFO_free(info);
                }
            }
            // SAFETY: ours, and not used any more.
            unsafe { OSSL_STORE_close(store) };
        }
        // SAFETY: ours; the store that had it is closed.
        unsafe { UI_destroy_method(method) };
    }
    found.was_asked = question.was_asked;
    // They may have the whole URI, with its PIN, so nobody gets them.
    let _ = ErrorStack::get();
    found
}

struct Question<'a> {
    answer: &'a str,
    was_asked: bool,
}

/// `pem_password_cb` of `openssl/pem.h`: how many octets of a password were written.
///
/// # Safety
///
/// `data` is a [`Question`] that lives and that nobody else uses during the call; `buffer` has room for `size` octets.
unsafe extern "C" fn answer(
    buffer: *mut c_char,
    size: c_int,
    _is_new: c_int,
    data: *mut c_void,
) -> c_int {
    // SAFETY: by the caller. Nothing below can panic.
    let question = unsafe { &mut *data.cast::<Question<'_>>() };
    question.was_asked = true;
    let octets = question.answer.as_bytes();
    match c_int::try_from(octets.len()) {
        Ok(length) if length <= size => {
            // SAFETY: there is room for as many, by the caller, and a text does not lie in OpenSSL's buffer.
            unsafe { ptr::copy_nonoverlapping(octets.as_ptr(), buffer.cast(), octets.len()) };
            length
        }
        // As if there were none.
        _ => 0,
    }
}

/// `openssl/store.h`: a private key, or parameters of one.
const OSSL_STORE_INFO_PKEY: c_int = 4;

#[repr(C)]
struct OsslStoreCtx(c_void);
#[repr(C)]
struct OsslStoreInfo(c_void);
#[repr(C)]
struct OsslStoreLoader(c_void);
#[repr(C)]
struct UiMethod(c_void);

type PasswordCallback = unsafe extern "C" fn(*mut c_char, c_int, c_int, *mut c_void) -> c_int;

unsafe extern "C" {
    /// `openssl/store.h`, since 3.0.
    fn OSSL_STORE_LOADER_fetch(
        context: *mut c_void,
        scheme: *const c_char,
        properties: *const c_char,
    ) -> *mut OsslStoreLoader;
    /// `openssl/store.h`, since 1.1.1.
    fn OSSL_STORE_LOADER_free(loader: *mut OsslStoreLoader);
    /// `openssl/store.h`, since 1.1.1, as those below.
    fn OSSL_STORE_open(
        uri: *const c_char,
        method: *const UiMethod,
        data: *mut c_void,
        post_process: *const c_void,
        post_process_data: *mut c_void,
    ) -> *mut OsslStoreCtx;
    fn OSSL_STORE_expect(store: *mut OsslStoreCtx, kind: c_int) -> c_int;
    fn OSSL_STORE_load(store: *mut OsslStoreCtx) -> *mut OsslStoreInfo;
    fn OSSL_STORE_eof(store: *mut OsslStoreCtx) -> c_int;
    fn OSSL_STORE_error(store: *mut OsslStoreCtx) -> c_int;
    fn OSSL_STORE_close(store: *mut OsslStoreCtx) -> c_int;
    fn OSSL_STORE_INFO_get_type(info: *const OsslStoreInfo) -> c_int;
    fn OSSL_STORE_INFO_get1_PKEY(info: *const OsslStoreInfo) -> *mut ffi::EVP_PKEY;
    fn OSSL_STORE_INFO_free(info: *mut OsslStoreInfo);
    /// `openssl/ui.h`, since 1.1.1.
    fn UI_UTIL_wrap_read_pem_callback(
        callback: Option<PasswordCallback>,
        is_new: c_int,
    ) -> *mut UiMethod;
    /// `openssl/ui.h`
    fn UI_destroy_method(method: *mut UiMethod);
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    static TURNS: AtomicUsize = AtomicUsize::new(0);

    /// `openssl/store.h`: what a loader of this process has for an open store.
    type Context = *mut c_void;

    unsafe extern "C" {
        fn OSSL_STORE_LOADER_new(
            engine: *mut c_void,
            scheme: *const c_char,
        ) -> *mut OsslStoreLoader;
        fn OSSL_STORE_LOADER_set_open(
            loader: *mut OsslStoreLoader,
            open: extern "C" fn(
                *const OsslStoreLoader,
                *const c_char,
                *const UiMethod,
                *mut c_void,
            ) -> Context,
        ) -> c_int;
        fn OSSL_STORE_LOADER_set_load(
            loader: *mut OsslStoreLoader,
            load: extern "C" fn(Context, *const UiMethod, *mut c_void) -> *mut OsslStoreInfo,
        ) -> c_int;
        fn OSSL_STORE_LOADER_set_eof(
            loader: *mut OsslStoreLoader,
            eof: extern "C" fn(Context) -> c_int,
        ) -> c_int;
        fn OSSL_STORE_LOADER_set_error(
            loader: *mut OsslStoreLoader,
            error: extern "C" fn(Context) -> c_int,
        ) -> c_int;
        fn OSSL_STORE_LOADER_set_close(
            loader: *mut OsslStoreLoader,
            close: extern "C" fn(Context) -> c_int,
        ) -> c_int;
        fn OSSL_STORE_register_loader(loader: *mut OsslStoreLoader) -> c_int;
        fn OSSL_STORE_unregister_loader(scheme: *const c_char) -> *mut OsslStoreLoader;
    }

    extern "C" fn opened(
        _: *const OsslStoreLoader,
        _: *const c_char,
        _: *const UiMethod,
        _: *mut c_void,
    ) -> Context {
        ptr::NonNull::<c_void>::dangling().as_ptr()
    }

    extern "C" fn nothing(_: Context, _: *const UiMethod, _: *mut c_void) -> *mut OsslStoreInfo {
        TURNS.fetch_add(1, Ordering::Relaxed);
        ptr::null_mut()
    }

    extern "C" fn no(_: Context) -> c_int {
        0
    }

    extern "C" fn closed(_: Context) -> c_int {
        1
    }

    /// A store that gives nothing, no error and no end is left.
    #[test]
    fn a_store_without_an_end_is_left() {
        let scheme = c"endless";
        // SAFETY: a loader of this test's, whose functions have the types that OpenSSL calls, read no context and stay; its scheme is a
        // static text.
        unsafe {
            let loader = OSSL_STORE_LOADER_new(ptr::null_mut(), scheme.as_ptr());
            assert!(!loader.is_null());
            let set = [
                OSSL_STORE_LOADER_set_open(loader, opened),
                OSSL_STORE_LOADER_set_load(loader, nothing),
                OSSL_STORE_LOADER_set_eof(loader, no),
                OSSL_STORE_LOADER_set_error(loader, no),
                OSSL_STORE_LOADER_set_close(loader, closed),
                OSSL_STORE_register_loader(loader),
            ];
            assert_eq!(set, [1; 6]);
        }
        let found = open(c"endless:x", None, For::Anything);
        assert!(found.is_open && found.keys.is_empty() && found.others == 0);
        assert_eq!(TURNS.load(Ordering::Relaxed), MOST_TURNS);
        // SAFETY: registered above; no store of it is open.
        unsafe { OSSL_STORE_LOADER_free(OSSL_STORE_unregister_loader(scheme.as_ptr())) };
    }
}
