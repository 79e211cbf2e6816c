//! What OpenSSL keeps of this library.

/// Takes back the pointers into this library that libssl keeps for its "ex data". Only before the library is unmapped:
/// no connection and no profile may live.
pub fn release() {
    // SAFETY: called by unload alone, after the TLS engine and all its profiles were dropped; only the unmapping follows.
    unsafe { sip_tls::release() };
}
