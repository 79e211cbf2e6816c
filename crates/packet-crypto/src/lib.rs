//! Packet-crypto kernels for SRTP: AES-CM with HMAC-SHA1 (RFC 3711, 6188) and AES-GCM (RFC 7714).
//!
//! Bytes in, bytes out: no packet is parsed here and no index is kept. A CPU level ([`Kernels`]) is chosen once; keys
//! made with it carry its functions, so that a packet costs one indirect call and no test. All levels give the same
//! bytes and none has a branch or a memory access that depends on a key or on a packet's content.
//!
//! ```
//! use packet_crypto::{AesCmHmacSha1, kernels};
//!
//! let key = AesCmHmacSha1::new(kernels(), &[1; 16], &[2; 20]).unwrap();
//! let (iv, roc) = ([0; 16], [0; 4]);
//! let packet = [0x80; 172]; // a 12-byte RTP header and 20 ms of G.711
//! let mut sealed = [0; 172];
//! let tag = key.seal(&iv, 12, &packet, &mut sealed, &roc);
//!
//! assert!(key.open_in_place(&iv, 12, &mut sealed, &roc, &tag[..10]).is_ok());
//! assert_eq!(sealed, packet);
//! ```
//!
//! # Features
//!
//! `batch` (off): many packets of different keys in one call, for relays and conferences. It adds the jobs (`CmSeal`
//! and its like), `seal_batch` and `open_batch` of both keys, HMAC-SHA1 in the lanes of wide vectors, and `prefetch`.
//! Ciphertrunk's module does not turn it on: Asterisk gives and takes one packet at a time.
//!
//! `system` (off): the level `system`, which has OpenSSL encrypt, for machines where nothing but a validated library may (FIPS 140).

mod backend;
#[cfg(feature = "batch")]
mod batch;
mod cm;
mod error;
mod gcm;
mod kernels;
mod key;
mod payload_hash;
mod self_test;
mod table;
mod tag;
mod wipe;

#[cfg(feature = "batch")]
pub use batch::{CmOpen, CmSeal, GcmOpen, GcmSeal, Packet, prefetch, prefetch_front};
pub use cm::{AesCmHmacSha1, aes_cm_prf};
pub use error::{AuthFailed, KeyLength, SelfTestError};
pub use gcm::AesGcm;
pub use kernels::kernels;
pub use payload_hash::PayloadHash;
pub use table::Kernels;
pub use wipe::{Blocks, wipe};
