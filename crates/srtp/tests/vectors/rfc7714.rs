//! RFC 7714 sections 16 and 17: packets under given session keys, encrypted and only
//! authenticated. All have ROC 0 and SRTCP index 0x5d4.

use crate::suite::Suite;

/// A packet in clear and protected.
pub(crate) struct Packet {
    pub(crate) source: &'static str,
    pub(crate) suite: Suite,
    pub(crate) rtcp: bool,
    /// Authenticated, but not encrypted.
    pub(crate) unencrypted: bool,
    pub(crate) clear: &'static str,
    pub(crate) protected: &'static str,
}

/// The session key; AES-128 takes its first half.
pub(crate) const SESSION_KEY: &str =
    "000102030405060708090a0b0c0d0e0f 101112131415161718191a1b1c1d1e1f";
/// The session salt.
pub(crate) const SESSION_SALT: &str = "51756964 2070726f 2071756f";
/// The SRTCP index.
pub(crate) const RTCP_INDEX: u32 = 0x5d4;

const RTP: &str = "8040f17b 8041f8d3 5501a0b2 47616c6c 69612065 7374206f 6d6e6973 20646976
    69736120 696e2070 61727465 73207472 6573";
const RTCP: &str = "81c8000d 4d617273 4e545031 4e545032 52545020 0000042a 0000e930 4c756e61
    deadbeef deadbeef deadbeef deadbeef deadbeef";

/// The table.
pub(crate) const PACKETS: [Packet; 8] = [
    Packet {
        source: "RFC 7714 16.1 (AES-128 RTP)",
        suite: Suite::AeadAes128Gcm,
        rtcp: false,
        unencrypted: false,
        clear: RTP,
        protected: "8040f17b 8041f8d3 5501a0b2 f24de3a3 fb34de6c acba861c 9d7e4bca be633bd5
            0d294e6f 42a5f47a 51c7d19b 36de3adf 8833899d 7f27beb1 6a9152cf 765ee439 0cce",
    },
    Packet {
        source: "RFC 7714 16.1 (AES-128 RTP, authenticated only)",
        suite: Suite::AeadAes128Gcm,
        rtcp: false,
        unencrypted: true,
        clear: RTP,
        protected: "8040f17b 8041f8d3 5501a0b2 47616c6c 69612065 7374206f 6d6e6973 20646976
            69736120 696e2070 61727465 73207472 65732249 3f82d2bc e397e9d7 9e3b19aa 4216",
    },
    Packet {
        source: "RFC 7714 16.2 (AES-256 RTP)",
        suite: Suite::AeadAes256Gcm,
        rtcp: false,
        unencrypted: false,
        clear: RTP,
        protected: "8040f17b 8041f8d3 5501a0b2 32b1de78 a822fe12 ef9f78fa 332e33aa b1801238
            9a58e2f3 b50b2a02 76ffae0f 1ba63799 b87b7aa3 db36dfff d6b0f9bb 7878d7a7 6c13",
    },
    Packet {
        source: "RFC 7714 16.2 (AES-256 RTP, authenticated only)",
        suite: Suite::AeadAes256Gcm,
        rtcp: false,
        unencrypted: true,
        clear: RTP,
        protected: "8040f17b 8041f8d3 5501a0b2 47616c6c 69612065 7374206f 6d6e6973 20646976
            69736120 696e2070 61727465 73207472 6573a866 d5910f88 7463067c eefec452 15d4",
    },
    Packet {
        source: "RFC 7714 17.1 (AES-128 RTCP)",
        suite: Suite::AeadAes128Gcm,
        rtcp: true,
        unencrypted: false,
        clear: RTCP,
        protected: "81c8000d 4d617273 63e94885 dcdab67c a727d766 2f6b7e99 7ff5c0f7 6c06f32d
            c676a5f1 730d6fda 4ce09b46 86303ded 0bb9275b c84aa458 96cf4d2f c5abf872 45d9eade
            800005d4",
    },
    Packet {
        source: "RFC 7714 17.1 (AES-128 RTCP, authenticated only)",
        suite: Suite::AeadAes128Gcm,
        rtcp: true,
        unencrypted: true,
        clear: RTCP,
        protected: "81c8000d 4d617273 4e545031 4e545032 52545020 0000042a 0000e930 4c756e61
            deadbeef deadbeef deadbeef deadbeef deadbeef 841dd968 3dd78ec9 2ae58790 125f62b3
            000005d4",
    },
    Packet {
        source: "RFC 7714 17.2 (AES-256 RTCP)",
        suite: Suite::AeadAes256Gcm,
        rtcp: true,
        unencrypted: false,
        clear: RTCP,
        protected: "81c8000d 4d617273 d50ae4d1 f5ce5d30 4ba297e4 7d470c28 2c3ece5d bffe0a50
            a2eaa5c1 110555be 8415f658 c61de047 6f1b6fad 1d1eb30c 4446839f 57ff6f6c b26ac3be
            800005d4",
    },
    Packet {
        source: "RFC 7714 17.2 (AES-256 RTCP, authenticated only)",
        suite: Suite::AeadAes256Gcm,
        rtcp: true,
        unencrypted: true,
        clear: RTCP,
        protected: "81c8000d 4d617273 4e545031 4e545032 52545020 0000042a 0000e930 4c756e61
            deadbeef deadbeef deadbeef deadbeef deadbeef 91db4afb feee5a97 8fab4393 ed2615fe
            000005d4",
    },
];
