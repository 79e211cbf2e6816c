//! What OpenSSL keeps of this library.

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
