//! SRTP and SRTCP sessions (RFC 3711, 6188, 7714) and SDES (RFC 4568): bytes in, bytes out.
//!
//! No I/O, no clock, no lock, no log: packets and times come in as arguments, packets, errors and
//! counters go out. The ciphers come from `packet-crypto`.
//!
//! ```
//! use srtp::{LocalSsrc, MasterKey, Policy, Session, Suite};
//!
//! let suite = Suite::AesCm128HmacSha1_80;
//! let policy = Policy::new(suite, MasterKey::new(suite, &[7; 30])?, None)?;
//! let (mut a, mut b) = (Session::new(srtp::kernels()), Session::new(srtp::kernels()));
//! a.set_local(LocalSsrc::Any, &policy)?;
//! b.set_remote(&[policy], false, 0)?;
//!
//! let packet = *b"\x80\x00\x00\x01\0\0\0\0\0\0\0\x09hello";
//! let mut buffer = [0; 17 + srtp::MAX_TRAILER];
//! let len = a.protect_rtp(&packet, &mut buffer)?;
//! assert_ne!(buffer[12..17], *b"hello");
//! let len = b.unprotect_rtp(&mut buffer[..len], 0)?;
//! assert_eq!(buffer[..len], packet);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

//!
//! # Where it differs from libsrtp
//!
//! - A used index is encrypted again for the packet it was used for, and for no other; under an
//!   AEAD never ([`Session::protect_rtp`]).
//! - Packet indexes belong to (master key, SSRC) for as long as the call lasts: keys may be set
//!   again, change their suite, go and come back ([`Session::set_local`]).
//! - New remote keys are tried beside the old ones, with the counter that the SSRC had and with
//!   zero ([`Session::set_remote`]). A stream whose sequence numbers wrapped before its first
//!   packet was received is heard.
//! - A stream is heard again after a silence in which its counter went on by any number of turns up to 46, or when its sequence
//!   number went back to where it never was ([`Session::unprotect_rtp`]).
//! - An announced MKI may be missing. SRTCP has the RFCs' tag length in every suite, and the
//!   short tag of libsrtp's `_32` and GCM_8 policies is accepted.
//! - The first SRTCP index is 0 (RFC 3711 section 3.4), not 1.
//! - AES-192 session keys are those of RFC 6188; libsrtp's were not until its issue 763.
//! - Malformed packets (version, CSRC list, extension, RTCP packet type) are not protected.
//!
//! # Features
//!
//! `batch` (off): `protect_rtp_batch` and `unprotect_rtp_batch`, many packets of different sessions in one call, for
//! relays and conferences. Ciphertrunk's module does not turn it on: Asterisk gives and takes one packet at a time.

#![forbid(unsafe_code)]

#[cfg(feature = "batch")]
mod batch;
mod error;
mod index;
mod kdf;
mod policy;
mod receiver;
mod replay;
mod rtcp;
mod rtp;
pub mod sdes;
mod sender;
mod session;
mod stats;
mod suite;
mod transform;

/// Mostly one, and then without an allocation and without a cache line of its own.
type Few<T> = smallvec::SmallVec<[T; 1]>;

#[cfg(test)]
mod tests;
#[cfg(test)]
#[path = "../tests/vectors/mod.rs"]
mod vectors;

#[cfg(feature = "batch")]
pub use batch::{ProtectRtp, UnprotectRtp, protect_rtp_batch, unprotect_rtp_batch};
pub use error::{Malformed, PolicyError, ProtectError, UnprotectError};
pub use packet_crypto::{Kernels, kernels};
pub use policy::{MasterKey, Mki, Policy, SessionParams};
pub use receiver::{MAX_REMOTE_KEYS, MAX_REMOTE_SOURCES, OLD_KEY_MS};
pub use sender::{LocalSsrc, MAX_LOCAL_POLICIES, MAX_LOCAL_SOURCES, MAX_PASSING_SOURCES};
pub use session::Session;
pub use stats::{Counters, KeyUsage, Stats};
pub use suite::{Cipher, Suite};
pub use transform::MAX_TRAILER;
