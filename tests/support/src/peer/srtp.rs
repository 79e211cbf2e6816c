//! libsrtp, and the keys that it is given.

use std::os::raw::{c_int, c_uint, c_void};
use std::sync::OnceLock;

use base64ct::{Base64, Encoding};
use srtp2_sys as c;

/// Octets that protection adds at most: SRTCP's index, an MKI, a tag.
const TRAILER: usize = 4 + 128 + 16;

type SetPolicy = unsafe extern "C" fn(*mut c::srtp_crypto_policy_t);

/// A crypto suite, for RTP and RTCP.
#[derive(Debug, Clone, Copy)]
pub struct Suite {
    /// Its name in SDES.
    pub name: &'static str,
    key_salt_len: usize,
    rtp: SetPolicy,
    rtcp: SetPolicy,
    /// Session parameters of its lines.
    params: &'static str,
}

/// RFC 4568.
pub const AES_80: Suite = Suite {
    name: "AES_CM_128_HMAC_SHA1_80",
    key_salt_len: 30,
    rtp: c::srtp_crypto_policy_set_rtp_default,
    rtcp: c::srtp_crypto_policy_set_rtp_default,
    params: "",
};
/// RFC 4568 section 6.3.3: RTP carries no tag.
pub const AES_UNAUTHENTICATED: Suite = Suite {
    rtp: c::srtp_crypto_policy_set_aes_cm_128_null_auth,
    params: " UNAUTHENTICATED_SRTP",
    ..AES_80
};
/// RFC 4568; the SRTCP tag has 80 bits (section 6.2).
pub const AES_32: Suite = Suite {
    name: "AES_CM_128_HMAC_SHA1_32",
    rtp: c::srtp_crypto_policy_set_aes_cm_128_hmac_sha1_32,
    ..AES_80
};
/// As stock Asterisk has it: SRTCP's tag is RTP's.
pub const AES_32_SHORT_RTCP: Suite = Suite {
    rtcp: c::srtp_crypto_policy_set_aes_cm_128_hmac_sha1_32,
    ..AES_32
};
/// RFC 6188.
pub const AES_256_80: Suite = Suite {
    name: "AES_256_CM_HMAC_SHA1_80",
    key_salt_len: 46,
    rtp: c::srtp_crypto_policy_set_aes_cm_256_hmac_sha1_80,
    rtcp: c::srtp_crypto_policy_set_aes_cm_256_hmac_sha1_80,
    params: "",
};
/// RFC 7714.
pub const GCM_128: Suite = Suite {
    name: "AEAD_AES_128_GCM",
    key_salt_len: 28,
    rtp: c::srtp_crypto_policy_set_aes_gcm_128_16_auth,
    rtcp: c::srtp_crypto_policy_set_aes_gcm_128_16_auth,
    params: "",
};
/// RFC 7714.
pub const GCM_256: Suite = Suite {
    name: "AEAD_AES_256_GCM",
    key_salt_len: 44,
    rtp: c::srtp_crypto_policy_set_aes_gcm_256_16_auth,
    rtcp: c::srtp_crypto_policy_set_aes_gcm_256_16_auth,
    params: "",
};

/// One direction's master key, with its suite.
#[derive(Debug, Clone)]
pub struct Key {
    /// The suite.
    pub suite: Suite,
    /// Master key and salt.
    pub key_salt: Vec<u8>,
    /// What packets carry to name it.
    pub mki: Option<Vec<u8>>,
}

impl Key {
    /// The `n`-th key of this test: any number gives another one.
    pub fn new(suite: Suite, n: u8) -> Self {
        let octets =
            (0..suite.key_salt_len).map(|i| (i as u8).wrapping_mul(7) ^ n.wrapping_mul(29));
        Self {
            suite,
            key_salt: octets.collect(),
            mki: None,
        }
    }

    /// With an MKI.
    #[must_use]
    pub fn with_mki(mut self, mki: &[u8]) -> Self {
        self.mki = Some(mki.to_vec());
        self
    }

    /// Under another suite with keys of the same length.
    #[must_use]
    pub fn under(mut self, suite: Suite) -> Self {
        assert_eq!(suite.key_salt_len, self.suite.key_salt_len);
        self.suite = suite;
        self
    }

    /// The `a=crypto` value, with `more` (lifetime, MKI, session parameters) right behind the key.
    pub fn line(&self, tag: u32, more: &str) -> String {
        let key = Base64::encode_string(&self.key_salt);
        let Suite { name, params, .. } = self.suite;
        format!("{tag} {name} inline:{key}{more}{params}")
    }

    /// Reads an Asterisk's `a=crypto` value, under one of the suites above.
    pub fn of_line(line: &str) -> Self {
        let mut words = line.split(' ').skip(1);
        let name = words.next().expect("a suite");
        // The name of a draft of RFC 6188, which an answer has if the offer has it.
        let name = name.replace("AES_CM_256_", "AES_256_CM_");
        let suite = [
            AES_80,
            AES_UNAUTHENTICATED,
            AES_32,
            AES_256_80,
            GCM_128,
            GCM_256,
        ]
        .into_iter()
        .find(|suite| {
            suite.name == name && suite.params.is_empty() != line.contains("UNAUTHENTICATED")
        })
        .unwrap_or_else(|| panic!("suite of {line:?}"));
        let key = words.next().and_then(|word| word.strip_prefix("inline:"));
        let key = key.and_then(|key| key.split('|').next()).expect("a key");
        let key_salt = Base64::decode_vec(key).expect("base64");
        assert_eq!(key_salt.len(), suite.key_salt_len, "{line}");
        Self {
            suite,
            key_salt,
            mki: None,
        }
    }
}

/// Why libsrtp did not take a packet: its status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refused(pub c_uint);

/// A libsrtp session for one direction.
#[derive(Debug)]
pub struct Srtp {
    session: c::srtp_t,
    use_mki: c_uint,
}

impl Srtp {
    /// To send with: `ssrc`, whose next packet has the rollover counter `roc`.
    pub fn sender(key: &Key, ssrc: u32, roc: u32) -> Self {
        let srtp = Self::new(key, c::srtp_ssrc_type_t_ssrc_specific, ssrc);
        if roc != 0 {
            // SAFETY: a live session with this stream.
            let status = unsafe { c::srtp_set_stream_roc(srtp.session, ssrc, roc) };
            assert_eq!(status, 0, "srtp_set_stream_roc");
        }
        srtp
    }

    /// To receive with, from any SSRC, starting with rollover counter 0.
    pub fn receiver(key: &Key) -> Self {
        Self::new(key, c::srtp_ssrc_type_t_ssrc_any_inbound, 0)
    }

    fn new(key: &Key, kind: c::srtp_ssrc_type_t, ssrc: u32) -> Self {
        static INIT: OnceLock<c_uint> = OnceLock::new();
        // SAFETY: called once, before any other function of the library.
        assert_eq!(*INIT.get_or_init(|| unsafe { c::srtp_init() }), 0);

        let mut octets = key.key_salt.clone();
        let mut mki = key.mki.clone().unwrap_or_default();
        let mut master = c::srtp_master_key_t {
            key: octets.as_mut_ptr(),
            mki_id: mki.as_mut_ptr(),
            mki_size: mki.len() as c_uint,
        };
        let mut masters = [&raw mut master];
        // SAFETY: plain data for which zero (no key, no list, default window) is valid.
        let mut policy: c::srtp_policy_t = unsafe { std::mem::zeroed() };
        // SAFETY: both write the sub-policy that they are given.
        unsafe {
            (key.suite.rtp)(&raw mut policy.rtp);
            (key.suite.rtcp)(&raw mut policy.rtcp);
        }
        policy.ssrc.type_ = kind;
        policy.ssrc.value = ssrc;
        policy.window_size = 128;
        // A peer that sends one packet twice.
        policy.allow_repeat_tx = 1;
        if key.mki.is_some() {
            policy.keys = masters.as_mut_ptr();
            policy.num_master_keys = 1;
        } else {
            policy.key = octets.as_mut_ptr();
        }
        let mut session = std::ptr::null_mut();
        // SAFETY: policy, keys and MKI live until the call returns; libsrtp copies them.
        let status = unsafe { c::srtp_create(&raw mut session, &raw const policy) };
        assert_eq!(status, 0, "srtp_create for {}", key.suite.name);
        Self {
            session,
            use_mki: c_uint::from(key.mki.is_some()),
        }
    }

    /// Encrypts an RTP packet.
    pub fn protect(&mut self, packet: &[u8]) -> Vec<u8> {
        self.seal(packet, c::srtp_protect_mki)
    }

    /// Encrypts an RTCP packet.
    pub fn protect_rtcp(&mut self, packet: &[u8]) -> Vec<u8> {
        self.seal(packet, c::srtp_protect_rtcp_mki)
    }

    fn seal(
        &mut self,
        packet: &[u8],
        call: unsafe extern "C" fn(
            c::srtp_t,
            *mut c_void,
            *mut c_int,
            c_uint,
            c_uint,
        ) -> c::srtp_err_status_t,
    ) -> Vec<u8> {
        let mut buffer = packet.to_vec();
        buffer.resize(packet.len() + TRAILER, 0);
        let mut len = packet.len() as c_int;
        let data: *mut c_void = buffer.as_mut_ptr().cast();
        // SAFETY: a live session, and a buffer with room for the trailer.
        let status = unsafe { call(self.session, data, &raw mut len, self.use_mki, 0) };
        assert_eq!(status, 0, "libsrtp protects");
        buffer.truncate(len as usize);
        buffer
    }

    /// Authenticates and decrypts an SRTP packet.
    ///
    /// # Errors
    ///
    /// It is none, or not of this key, or a replay.
    pub fn unprotect(&mut self, packet: &[u8]) -> Result<Vec<u8>, Refused> {
        self.open(packet, c::srtp_unprotect_mki)
    }

    /// Authenticates and decrypts an SRTCP packet.
    ///
    /// # Errors
    ///
    /// As [`Srtp::unprotect`].
    pub fn unprotect_rtcp(&mut self, packet: &[u8]) -> Result<Vec<u8>, Refused> {
        self.open(packet, c::srtp_unprotect_rtcp_mki)
    }

    fn open(
        &mut self,
        packet: &[u8],
        call: unsafe extern "C" fn(
            c::srtp_t,
            *mut c_void,
            *mut c_int,
            c_uint,
        ) -> c::srtp_err_status_t,
    ) -> Result<Vec<u8>, Refused> {
        let mut buffer = packet.to_vec();
        // libsrtp reads fixed headers before it has looked at the length.
        buffer.resize(packet.len().max(64), 0);
        let mut len = packet.len() as c_int;
        let data: *mut c_void = buffer.as_mut_ptr().cast();
        // SAFETY: a live session, and a buffer that holds at least `len` octets.
        let status = unsafe { call(self.session, data, &raw mut len, self.use_mki) };
        if status != 0 {
            return Err(Refused(status));
        }
        buffer.truncate(len as usize);
        Ok(buffer)
    }
}

impl Drop for Srtp {
    fn drop(&mut self) {
        // SAFETY: made by srtp_create, and dropped once.
        unsafe { c::srtp_dealloc(self.session) };
    }
}
