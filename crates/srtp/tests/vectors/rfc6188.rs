//! RFC 6188 section 7.

use super::{Kdf, KeyStream};
use crate::suite::Suite;

/// Section 7.1, its first blocks.
pub(crate) const KEY_STREAM_256: KeyStream = KeyStream {
    source: "RFC 6188 7.1",
    suite: Suite::AesCm256HmacSha1_80,
    session_key: "57f82fe3613fd170a85ec93c40b1f092 2ec4cb0dc025b58272147cc438944a98",
    session_salt: "f0f1f2f3f4f5f6f7f8f9fafbfcfd",
    key_stream: "92bdd28a93c3f52511c677d08b5515a4 9da71b2378a854f67050756ded165bac
        63c4868b7096d88421b563b8c94c9a31",
};

/// Section 7.2.
pub(crate) const KDF_256: Kdf = Kdf {
    source: "RFC 6188 7.2",
    suite: Suite::AesCm256HmacSha1_80,
    master_key: "f0f04914b513f2763a1b1fa130f10e29 98f6f6e43e4309d1e622a0e332b9f1b6",
    master_salt: "3b04803de51ee7c96423ab5b78d2",
    cipher_key: "5ba1064e30ec51613cad926c5a28ef73 1ec7fb397f70a960653caf06554cd8c4",
    salt: "fa31791685ca444a9e07c6c64e93",
    auth_key: "fd9c32d39ed5fbb5a9dc96b30818454d 1313dc05",
};

/// Section 7.3, its first blocks.
pub(crate) const KEY_STREAM_192: KeyStream = KeyStream {
    source: "RFC 6188 7.3",
    suite: Suite::AesCm192HmacSha1_80,
    session_key: "eab234764e517b2d3d160d587d8c8621 9740f65f99b6bcf7",
    session_salt: "f0f1f2f3f4f5f6f7f8f9fafbfcfd",
    key_stream: "35096cba4610028dc1b57503804ce37c 5de986291dcce161d5165ec4568f5c9a",
};

/// Section 7.4.
pub(crate) const KDF_192: Kdf = Kdf {
    source: "RFC 6188 7.4",
    suite: Suite::AesCm192HmacSha1_80,
    master_key: "73edc66c4fa15776fb57f9505c171365 50ffda71f3e8e5f1",
    master_salt: "c8522f3acd4ce86d5add78edbb11",
    cipher_key: "31874736a8f1143870c26e4857d8a5b2 c4a354407faadabb",
    salt: "2372b82d639b6d8503a47adc0a6c",
    auth_key: "355b10973cd95b9eacf4061c7e1a7151 e7cfbfcb",
};
