//! RFC 3711 appendix B.

use super::{Kdf, KeyStream};
use crate::suite::Suite;

/// Appendix B.2.
pub(crate) const KEY_STREAM: KeyStream = KeyStream {
    source: "RFC 3711 B.2",
    suite: Suite::AesCm128HmacSha1_80,
    session_key: "2B7E151628AED2A6ABF7158809CF4F3C",
    session_salt: "F0F1F2F3F4F5F6F7F8F9FAFBFCFD",
    key_stream: "E03EAD0935C95E80E166B16DD92B4EB4 D23513162B02D0F72A43A2FE4A5F97AB
        41E95B3BB0A2E8DD477901E4FCA894C0",
};

/// Appendix B.3; the RFC prints 94 octets of authentication key, SRTP takes 20.
pub(crate) const KDF: Kdf = Kdf {
    source: "RFC 3711 B.3",
    suite: Suite::AesCm128HmacSha1_80,
    master_key: "E1F97A0D3E018BE0D64FA32C06DE4139",
    master_salt: "0EC675AD498AFEEBB6960B3AABE6",
    cipher_key: "C61E7A93744F39EE10734AFE3FF7A087",
    salt: "30CBBC08863D8C85D49DB34A9AE1",
    auth_key: "CEBE321F6FF7716B6FD4AB49AF256A15 6D38BAA4",
};
