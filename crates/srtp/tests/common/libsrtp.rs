//! libsrtp as the other side, for tests and fuzz targets.

use std::os::raw::{c_int, c_uint, c_void};
use std::sync::OnceLock;

use srtp::{SessionParams, Suite};
use srtp2_sys as c;

/// How libsrtp ended a call: its status other than "ok".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status(pub c_uint);

impl Status {
    /// `srtp_err_status_replay_fail`.
    pub const REPLAY_FAIL: Status = Status(c::srtp_err_status_t_srtp_err_status_replay_fail);
    /// `srtp_err_status_replay_old`.
    pub const REPLAY_OLD: Status = Status(c::srtp_err_status_t_srtp_err_status_replay_old);
    /// `srtp_err_status_auth_fail`.
    pub const AUTH_FAIL: Status = Status(c::srtp_err_status_t_srtp_err_status_auth_fail);
}

/// What a libsrtp session is made with.
#[derive(Clone, Copy)]
pub struct Setup<'a> {
    pub suite: Suite,
    pub key_salt: &'a [u8],
    pub mki: Option<&'a [u8]>,
    pub params: SessionParams,
    pub inbound: bool,
    /// SRTCP gets RTP's short tag, as stock Asterisk has it, not the RFCs' long one.
    pub short_rtcp_tag: bool,
    /// A used index is encrypted again.
    pub allow_repeat: bool,
    /// One SSRC alone, and the rollover counter of its next packet.
    pub stream: Option<(u32, u32)>,
}

impl<'a> Setup<'a> {
    pub fn new(suite: Suite, key_salt: &'a [u8], inbound: bool) -> Self {
        Setup {
            suite,
            key_salt,
            mki: None,
            params: SessionParams::default(),
            inbound,
            short_rtcp_tag: false,
            allow_repeat: false,
            stream: None,
        }
    }
}

/// A libsrtp session for one direction.
pub struct LibSrtp {
    session: c::srtp_t,
    use_mki: c_uint,
}

/// libsrtp's functions on a session, a packet and its length.
type Call =
    unsafe extern "C" fn(c::srtp_t, *mut c_void, *mut c_int, c_uint) -> c::srtp_err_status_t;

impl LibSrtp {
    pub fn new(setup: &Setup<'_>) -> Self {
        static INIT: OnceLock<c_uint> = OnceLock::new();
        // SAFETY: called once, before any other function of the library.
        assert_eq!(*INIT.get_or_init(|| unsafe { c::srtp_init() }), 0);

        let mut key = setup.key_salt.to_vec();
        let mut mki = setup.mki.unwrap_or_default().to_vec();
        let mut master = c::srtp_master_key_t {
            key: key.as_mut_ptr(),
            mki_id: mki.as_mut_ptr(),
            mki_size: mki.len() as c_uint,
        };
        let mut masters = [&raw mut master];
        // SAFETY: the policy is plain data for which zero (no key, no list, default window) is
        // valid; the setters write into the two sub-policies they are given.
        let mut policy: c::srtp_policy_t = unsafe { std::mem::zeroed() };
        let (rtp, rtcp) = crypto_policies(setup);
        // SAFETY: both pointers are to live fields of the right type.
        unsafe {
            rtp(&raw mut policy.rtp);
            rtcp(&raw mut policy.rtcp);
        }
        if setup.params.unencrypted_srtp {
            policy.rtp.sec_serv = c::srtp_sec_serv_t_sec_serv_auth;
        }
        if setup.params.unencrypted_srtcp {
            policy.rtcp.sec_serv = c::srtp_sec_serv_t_sec_serv_auth;
        }
        policy.ssrc.type_ = if setup.inbound {
            c::srtp_ssrc_type_t_ssrc_any_inbound
        } else {
            c::srtp_ssrc_type_t_ssrc_any_outbound
        };
        if let Some((ssrc, _)) = setup.stream {
            policy.ssrc.type_ = c::srtp_ssrc_type_t_ssrc_specific;
            policy.ssrc.value = ssrc;
        }
        policy.window_size = 128;
        policy.allow_repeat_tx = c_int::from(setup.allow_repeat);
        if setup.mki.is_some() {
            policy.keys = masters.as_mut_ptr();
            policy.num_master_keys = 1;
        } else {
            policy.key = key.as_mut_ptr();
        }
        let mut session = std::ptr::null_mut();
        // SAFETY: policy, keys and MKI live until the call returns; libsrtp copies them.
        let status = unsafe { c::srtp_create(&raw mut session, &raw const policy) };
        assert_eq!(status, 0, "srtp_create for {}", setup.suite);
        if let Some((ssrc, roc)) = setup.stream.filter(|(_, roc)| *roc > 0) {
            // SAFETY: a live session with this stream.
            let status = unsafe { c::srtp_set_stream_roc(session, ssrc, roc) };
            assert_eq!(status, 0, "srtp_set_stream_roc");
        }
        LibSrtp {
            session,
            use_mki: c_uint::from(setup.mki.is_some()),
        }
    }

    pub fn protect_rtp(&mut self, packet: &[u8]) -> Result<Vec<u8>, Status> {
        self.protect(packet, |s, p, n, mki| {
            // SAFETY: `protect` gives a live session and a buffer with room for the trailer.
            unsafe { c::srtp_protect_mki(s, p, n, mki, 0) }
        })
    }

    pub fn protect_rtcp(&mut self, packet: &[u8]) -> Result<Vec<u8>, Status> {
        self.protect(packet, |s, p, n, mki| {
            // SAFETY: as for `protect_rtp`.
            unsafe { c::srtp_protect_rtcp_mki(s, p, n, mki, 0) }
        })
    }

    pub fn unprotect_rtp(&mut self, packet: &[u8]) -> Result<Vec<u8>, Status> {
        self.unprotect(packet, c::srtp_unprotect_mki)
    }

    pub fn unprotect_rtcp(&mut self, packet: &[u8]) -> Result<Vec<u8>, Status> {
        self.unprotect(packet, c::srtp_unprotect_rtcp_mki)
    }

    fn protect(
        &mut self,
        packet: &[u8],
        call: impl Fn(c::srtp_t, *mut c_void, *mut c_int, c_uint) -> c::srtp_err_status_t,
    ) -> Result<Vec<u8>, Status> {
        let mut buffer = packet.to_vec();
        buffer.resize(packet.len() + srtp::MAX_TRAILER + 16, 0);
        let mut len = packet.len() as c_int;
        let status = call(
            self.session,
            buffer.as_mut_ptr().cast(),
            &raw mut len,
            self.use_mki,
        );
        finish(status, buffer, len)
    }

    fn unprotect(&mut self, packet: &[u8], call: Call) -> Result<Vec<u8>, Status> {
        let mut buffer = packet.to_vec();
        // libsrtp reads fixed headers before it has looked at the length.
        buffer.resize(packet.len().max(64), 0);
        let mut len = packet.len() as c_int;
        // SAFETY: the session lives, and the buffer holds at least `len` octets.
        let status = unsafe {
            call(
                self.session,
                buffer.as_mut_ptr().cast(),
                &raw mut len,
                self.use_mki,
            )
        };
        finish(status, buffer, len)
    }
}

fn finish(status: c_uint, mut buffer: Vec<u8>, len: c_int) -> Result<Vec<u8>, Status> {
    if status != 0 {
        return Err(Status(status));
    }
    buffer.truncate(usize::try_from(len).expect("a length"));
    Ok(buffer)
}

impl Drop for LibSrtp {
    fn drop(&mut self) {
        // SAFETY: made by srtp_create, and dropped once.
        unsafe { c::srtp_dealloc(self.session) };
    }
}

type SetPolicy = unsafe extern "C" fn(*mut c::srtp_crypto_policy_t);

fn crypto_policies(setup: &Setup<'_>) -> (SetPolicy, SetPolicy) {
    let (mut rtp, long): (SetPolicy, SetPolicy) = match setup.suite {
        Suite::AesCm128HmacSha1_80 => (
            c::srtp_crypto_policy_set_rtp_default,
            c::srtp_crypto_policy_set_rtp_default,
        ),
        Suite::AesCm128HmacSha1_32 => (
            c::srtp_crypto_policy_set_aes_cm_128_hmac_sha1_32,
            c::srtp_crypto_policy_set_rtp_default,
        ),
        Suite::AesCm192HmacSha1_80 => (
            c::srtp_crypto_policy_set_aes_cm_192_hmac_sha1_80,
            c::srtp_crypto_policy_set_aes_cm_192_hmac_sha1_80,
        ),
        Suite::AesCm192HmacSha1_32 => (
            c::srtp_crypto_policy_set_aes_cm_192_hmac_sha1_32,
            c::srtp_crypto_policy_set_aes_cm_192_hmac_sha1_80,
        ),
        Suite::AesCm256HmacSha1_80 => (
            c::srtp_crypto_policy_set_aes_cm_256_hmac_sha1_80,
            c::srtp_crypto_policy_set_aes_cm_256_hmac_sha1_80,
        ),
        Suite::AesCm256HmacSha1_32 => (
            c::srtp_crypto_policy_set_aes_cm_256_hmac_sha1_32,
            c::srtp_crypto_policy_set_aes_cm_256_hmac_sha1_80,
        ),
        Suite::AeadAes128Gcm => (
            c::srtp_crypto_policy_set_aes_gcm_128_16_auth,
            c::srtp_crypto_policy_set_aes_gcm_128_16_auth,
        ),
        Suite::AeadAes256Gcm => (
            c::srtp_crypto_policy_set_aes_gcm_256_16_auth,
            c::srtp_crypto_policy_set_aes_gcm_256_16_auth,
        ),
        Suite::AeadAes128Gcm8 => (
            c::srtp_crypto_policy_set_aes_gcm_128_8_auth,
            c::srtp_crypto_policy_set_aes_gcm_128_16_auth,
        ),
        Suite::AeadAes256Gcm8 => (
            c::srtp_crypto_policy_set_aes_gcm_256_8_auth,
            c::srtp_crypto_policy_set_aes_gcm_256_16_auth,
        ),
    };
    let rtcp = if setup.short_rtcp_tag { rtp } else { long };
    if setup.params.unauthenticated_srtp {
        rtp = match setup.suite.key_len() {
            16 => c::srtp_crypto_policy_set_aes_cm_128_null_auth,
            24 => c::srtp_crypto_policy_set_aes_cm_192_null_auth,
            _ => c::srtp_crypto_policy_set_aes_cm_256_null_auth,
        };
    }
    (rtp, rtcp)
}
