//! What OpenSSL remembers of this library, and how it forgets it, so that the library can be unloaded.

#![allow(unsafe_code)]

use std::ffi::c_int;
use std::ptr;
use std::sync::{Arc, LazyLock};

use openssl::error::ErrorStack;
use openssl::ssl::{Ssl, SslContext, SslMethod};
use openssl_sys as ffi;

use crate::ossl_tickets::set_ticket_keys;
use crate::sync::Mutex;
use crate::tickets::TicketKeys;
use crate::verify::{PeerName, Verifier};
use crate::{key_log, named, profile, sessions};

// From openssl/crypto.h; openssl-sys has only the first of the pair.
unsafe extern "C" {
    fn CRYPTO_free_ex_index(class_index: c_int, index: c_int) -> c_int;
}

/// `CRYPTO_EX_INDEX_SSL` and `CRYPTO_EX_INDEX_SSL_CTX` of `openssl/crypto.h`.
const CLASS_SSL: c_int = 0;
const CLASS_SSL_CTX: c_int = 1;

/// The "ex data" indexes of libssl that belong to this library, by class.
static OURS: LazyLock<Mutex<Vec<(c_int, c_int)>>> = LazyLock::new(Mutex::default);

/// How many indexes this crate makes the `openssl` crate register for each class: the session context, the verify callback, the verifier,
/// the owner of the keys and the server of an SSL; the callbacks for the key log, the client hello and sessions, and the ticket keys of an
/// SSL_CTX.
const EXPECTED: [(c_int, c_int); 2] = [(CLASS_SSL, 5), (CLASS_SSL_CTX, 4)];

/// What [`acquire`] could not do.
#[derive(Debug)]
pub enum AcquireError {
    /// OpenSSL failed.
    OpenSsl(ErrorStack),
    /// Other indexes were registered meanwhile, or the `openssl` crate registers others than it used to.
    Mixed,
}

/// Registers with OpenSSL, in one go, everything that points from libssl into this library, so that [`release`] can take it back.
///
/// The `openssl` crate gives libssl a destructor for each kind of data it attaches, and libssl calls every destructor for every SSL of
/// the process, also for other people's. In a library that can be unloaded these pointers must go first.
///
/// Call it once, before any profile is made. Without it everything works, but the library must stay loaded.
///
/// # Errors
/// See [`AcquireError`].
pub fn acquire() -> Result<(), AcquireError> {
    let mut ours = OURS.lock();
    if !ours.is_empty() {
        return Ok(());
    }
    openssl::init();
    let first = EXPECTED.map(|(class, _)| marker(class));
    touch().map_err(AcquireError::OpenSsl)?;
    let last = EXPECTED.map(|(class, _)| marker(class));
    for (i, (_, count)) in EXPECTED.into_iter().enumerate() {
        if first[i] < 0 || last[i] - first[i] != count + 1 {
            return Err(AcquireError::Mixed);
        }
    }
    for (i, (class, _)) in EXPECTED.into_iter().enumerate() {
        ours.extend((first[i]..=last[i]).map(|index| (class, index)));
    }
    Ok(())
}

/// Takes back what [`acquire`] registered.
///
/// # Safety
/// Nothing of this crate may live or be used after it: no profile, no connection, no pool. Only unloading the library may follow.
pub unsafe fn release() {
    // A static has no drop when the library is unmapped: the list itself goes too.
    let ours = std::mem::take(&mut *OURS.lock());
    for (class, index) in ours {
        // SAFETY: the index is ours: `acquire` saw it registered between two of its own. Freeing it only makes OpenSSL forget the
        // callbacks; the caller vouches that no object is left whose data they would have to free.
        unsafe { CRYPTO_free_ex_index(class, index) };
    }
}

/// A new index without callbacks.
fn marker(class: c_int) -> c_int {
    // SAFETY: all callbacks are NULL, which OpenSSL allows, and the argument pointer is never read.
    unsafe { ffi::CRYPTO_get_ex_new_index(class, 0, ptr::null_mut(), None, None, None) }
}

/// Uses each callback once.
fn touch() -> Result<(), ErrorStack> {
    let mut context = SslContext::builder(SslMethod::tls())?;
    key_log::set_key_log(&mut context, Arc::new(|_, _| {}));
    named::choose_by_server_name(&mut context, Arc::default());
    sessions::keep_of(&mut context);
    if let Ok(keys) = TicketKeys::load(None) {
        set_ticket_keys(&mut context, keys)?;
    }
    let mut ssl = Ssl::new(&context.build())?;
    let verifier = Arc::new(Verifier::new(Arc::default(), None));
    profile::set_verifier(
        &mut ssl,
        openssl::ssl::SslVerifyMode::NONE,
        Arc::clone(&verifier),
    );
    named::set_verifier_of(&mut ssl, verifier);
    let remote = std::net::SocketAddr::from((std::net::Ipv4Addr::UNSPECIFIED, 0));
    let wanted = None;
    key_log::set_key_owner(&mut ssl, key_log::KeyOwner { remote, wanted });
    Arc::<sessions::Sessions>::default().offer(&mut ssl, remote, &PeerName::Ip(remote.ip()));
    Ok(())
}
