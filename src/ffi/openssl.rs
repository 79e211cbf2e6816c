//! What OpenSSL keeps of this library, and whether it is a validated one.

use std::ffi::{c_int, c_void};
use std::{mem, ptr};

use openssl::hash::{MessageDigest, hash};

/// Whether algorithms are had from a FIPS provider alone, unless somebody asks otherwise: OpenSSL's configuration, or the system's FIPS
/// mode, says so for the whole process, and there is one: where it is missing, or fails its own test, there is no algorithm.
/// OpenSSL 1.1.1 has no providers.
pub fn is_fips() -> bool {
    // SAFETY: a search by name in the libraries that are loaded; what is found is not kept.
    let found = unsafe {
        libc::dlsym(
            libc::RTLD_DEFAULT,
            c"EVP_default_properties_is_fips_enabled".as_ptr(),
        )
    };
    if found.is_null() {
        return false;
    }
    // SAFETY: OpenSSL 3's declaration in evp.h: `int EVP_default_properties_is_fips_enabled(OSSL_LIB_CTX *libctx)`.
    let is_enabled: unsafe extern "C" fn(*mut c_void) -> c_int = unsafe { mem::transmute(found) };
    // SAFETY: NULL is the default library context.
    let is_asked_for = unsafe { is_enabled(ptr::null_mut()) == 1 };
    is_asked_for && hash(MessageDigest::sha256(), &[]).is_ok()
}

/// OpenSSL may keep pointers into this library (its "ex data"); dropping it takes them back.
///
/// It is dropped after everything that uses OpenSSL: no connection and no profile may live then, and only the unmapping of
/// the library may follow, or [`acquire`](Self::acquire) again.
#[derive(Debug)]
pub struct Held(());

impl Held {
    /// Notes which pointers are ours, before anything uses OpenSSL.
    pub fn acquire() -> Self {
        #[cfg(feature = "pjsip")]
        if let Err(error) = sip_tls::acquire() {
            log::warn!(
                "OpenSSL keeps a pointer into this library ({error:?}): after an unload it stays mapped"
            );
        }
        Self(())
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        #[cfg(feature = "pjsip")]
        // SAFETY: the one value of this kind is a field of `module::Module` behind the TLS transports, so the engine, its
        // connections and its profiles were dropped before it.
        unsafe {
            sip_tls::release()
        };
    }
}
