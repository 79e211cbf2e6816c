//! What is measured: each library as "protect a packet" and "unprotect a packet", made the same way.

use std::ffi::CStr;

use srtp::{LocalSsrc, MasterKey, Policy, Session, Suite};
use srtp2_sys as ffi;
use webrtc_srtp::context::Context;
use webrtc_srtp::protection_profile::ProtectionProfile;

use crate::level::level;

/// A sender and a receiver that share a key.
pub trait Rig {
    /// Protects `src` into `dst` and returns the new length.
    fn protect(&mut self, src: &[u8], dst: &mut [u8]) -> usize;
    /// Unprotects in place (or as the library does it) and returns the new length.
    fn unprotect(&mut self, packet: &mut [u8]) -> usize;
    /// Protects an RTCP packet into `dst` and returns the new length.
    fn protect_rtcp(&mut self, src: &[u8], dst: &mut [u8]) -> usize;
}

pub const SUITES: [(Suite, &str); 4] = [
    (Suite::AesCm128HmacSha1_80, "AES_CM_128_HMAC_SHA1_80"),
    (Suite::AeadAes128Gcm, "AEAD_AES_128_GCM"),
    (Suite::AesCm256HmacSha1_80, "AES_256_CM_HMAC_SHA1_80"),
    (Suite::AeadAes256Gcm, "AEAD_AES_256_GCM"),
];

pub fn key_of(suite: Suite, seed: u8) -> Vec<u8> {
    let len = match suite {
        Suite::AesCm128HmacSha1_80 => 30,
        Suite::AesCm256HmacSha1_80 => 46,
        Suite::AeadAes128Gcm => 28,
        _ => 44,
    };
    (0..len)
        .map(|i: u8| i.wrapping_mul(37).wrapping_add(seed))
        .collect()
}

pub struct Ours(pub Session, pub Session);

pub fn ours(suite: Suite, key: &[u8]) -> Ours {
    let policy = Policy::new(suite, MasterKey::new(suite, key).unwrap(), None).unwrap();
    let mut rig = Ours(Session::new(level()), Session::new(level()));
    rig.0.set_local(LocalSsrc::Any, &policy).unwrap();
    rig.1.set_remote(&[policy], false, 0).unwrap();
    rig
}

/// One session for both ways.
pub fn our_leg(suite: Suite, key: &[u8]) -> Session {
    let policy = Policy::new(suite, MasterKey::new(suite, key).unwrap(), None).unwrap();
    let mut leg = Session::new(level());
    leg.set_local(LocalSsrc::Any, &policy).unwrap();
    leg.set_remote(&[policy], false, 0).unwrap();
    leg
}

impl Rig for Ours {
    fn protect(&mut self, src: &[u8], dst: &mut [u8]) -> usize {
        self.0.protect_rtp(src, dst).unwrap()
    }

    fn unprotect(&mut self, packet: &mut [u8]) -> usize {
        self.1.unprotect_rtp(packet, 0).unwrap()
    }

    fn protect_rtcp(&mut self, src: &[u8], dst: &mut [u8]) -> usize {
        self.0.protect_rtcp(src, dst).unwrap()
    }
}

/// A libsrtp: linked (on OpenSSL) or loaded (as the distribution built it).
#[derive(Clone, Copy)]
pub struct LibSrtp {
    create:
        unsafe extern "C" fn(*mut ffi::srtp_t, *const ffi::srtp_policy_t) -> ffi::srtp_err_status_t,
    protect: unsafe extern "C" fn(
        ffi::srtp_t,
        *mut std::ffi::c_void,
        *mut i32,
    ) -> ffi::srtp_err_status_t,
    unprotect: unsafe extern "C" fn(
        ffi::srtp_t,
        *mut std::ffi::c_void,
        *mut i32,
    ) -> ffi::srtp_err_status_t,
    protect_rtcp: unsafe extern "C" fn(
        ffi::srtp_t,
        *mut std::ffi::c_void,
        *mut i32,
    ) -> ffi::srtp_err_status_t,
    dealloc: unsafe extern "C" fn(ffi::srtp_t) -> ffi::srtp_err_status_t,
    pub version: &'static str,
}

impl LibSrtp {
    pub fn on_openssl() -> Self {
        // SAFETY: initialised once, before use.
        let version = unsafe {
            assert_eq!(ffi::srtp_init(), 0);
            CStr::from_ptr(ffi::srtp_get_version_string())
                .to_str()
                .unwrap()
        };
        Self {
            create: ffi::srtp_create,
            protect: ffi::srtp_protect,
            unprotect: ffi::srtp_unprotect,
            protect_rtcp: ffi::srtp_protect_rtcp,
            dealloc: ffi::srtp_dealloc,
            version,
        }
    }

    /// The distribution's shared library. The policy struct has had one layout since 2.3.
    pub fn of_the_distribution() -> Option<Self> {
        // SAFETY: the functions have the types of libsrtp 2's header; the library stays loaded.
        unsafe {
            let lib = Box::leak(Box::new(libloading::Library::new("libsrtp2.so.1").ok()?));
            let init: libloading::Symbol<unsafe extern "C" fn() -> u32> =
                lib.get(b"srtp_init").ok()?;
            assert_eq!(init(), 0);
            let version: libloading::Symbol<unsafe extern "C" fn() -> *const std::ffi::c_char> =
                lib.get(b"srtp_get_version_string").ok()?;
            Some(Self {
                create: *lib.get(b"srtp_create").ok()?,
                protect: *lib.get(b"srtp_protect").ok()?,
                unprotect: *lib.get(b"srtp_unprotect").ok()?,
                protect_rtcp: *lib.get(b"srtp_protect_rtcp").ok()?,
                dealloc: *lib.get(b"srtp_dealloc").ok()?,
                version: CStr::from_ptr(version()).to_str().unwrap(),
            })
        }
    }

    /// A session with a stream for each of `kinds`, all under one key.
    fn session(
        self,
        suite: Suite,
        key: &[u8],
        kinds: &[ffi::srtp_ssrc_type_t],
    ) -> Option<LibSrtpSession> {
        let mut key = key.to_vec();
        let mut handle = std::ptr::null_mut();
        // SAFETY: a zeroed policy is libsrtp's "nothing set"; policies and key outlive the call, which copies them.
        let status = unsafe {
            let mut policies: Vec<ffi::srtp_policy_t> = vec![std::mem::zeroed(); kinds.len()];
            let mut next = std::ptr::null_mut();
            for (policy, kind) in policies.iter_mut().zip(kinds) {
                let set = match suite {
                    Suite::AesCm128HmacSha1_80 => ffi::srtp_crypto_policy_set_rtp_default,
                    Suite::AesCm256HmacSha1_80 => {
                        ffi::srtp_crypto_policy_set_aes_cm_256_hmac_sha1_80
                    }
                    Suite::AeadAes128Gcm => ffi::srtp_crypto_policy_set_aes_gcm_128_16_auth,
                    _ => ffi::srtp_crypto_policy_set_aes_gcm_256_16_auth,
                };
                set(&mut policy.rtp);
                set(&mut policy.rtcp);
                policy.ssrc.type_ = *kind;
                policy.key = key.as_mut_ptr();
                policy.window_size = 128;
                policy.next = next;
                next = policy;
            }
            (self.create)(&mut handle, next)
        };
        (status == 0).then(|| LibSrtpSession { lib: self, handle })
    }

    /// One session for both ways, as Asterisk's `res_srtp` has it: libsrtp lets one of them be for any SSRC.
    pub fn leg(self, suite: Suite, key: &[u8]) -> Option<LibSrtpSession> {
        let kinds = [
            ffi::srtp_ssrc_type_t_ssrc_specific,
            ffi::srtp_ssrc_type_t_ssrc_any_inbound,
        ];
        self.session(suite, key, &kinds)
    }

    pub fn rig(self, suite: Suite, key: &[u8]) -> Option<LibSrtpRig> {
        let tx = self.session(suite, key, &[ffi::srtp_ssrc_type_t_ssrc_any_outbound])?;
        let rx = self.session(suite, key, &[ffi::srtp_ssrc_type_t_ssrc_any_inbound])?;
        Some(LibSrtpRig { lib: self, tx, rx })
    }
}

pub struct LibSrtpSession {
    lib: LibSrtp,
    handle: ffi::srtp_t,
}

impl Drop for LibSrtpSession {
    fn drop(&mut self) {
        // SAFETY: it was created and is not used again.
        unsafe { (self.lib.dealloc)(self.handle) };
    }
}

pub struct LibSrtpRig {
    lib: LibSrtp,
    tx: LibSrtpSession,
    rx: LibSrtpSession,
}

impl Rig for LibSrtpRig {
    fn protect(&mut self, src: &[u8], dst: &mut [u8]) -> usize {
        // As Asterisk's res_srtp does: copied, then protected in place.
        dst[..src.len()].copy_from_slice(src);
        let mut len = src.len() as i32;
        assert!(dst.len() >= src.len() + 144);
        let status =
            // SAFETY: the session lives; `dst` has the packet's `len` octets, and room for the longest trailer (144) behind them.
            unsafe { (self.lib.protect)(self.tx.handle, dst.as_mut_ptr().cast(), &mut len) };
        assert_eq!(status, 0);
        len as usize
    }

    fn protect_rtcp(&mut self, src: &[u8], dst: &mut [u8]) -> usize {
        dst[..src.len()].copy_from_slice(src);
        let mut len = src.len() as i32;
        assert!(dst.len() >= src.len() + 148);
        let status =
            // SAFETY: the session lives; `dst` has the packet's `len` octets, and room for index word and trailer (148) behind them.
            unsafe { (self.lib.protect_rtcp)(self.tx.handle, dst.as_mut_ptr().cast(), &mut len) };
        assert_eq!(status, 0);
        len as usize
    }

    fn unprotect(&mut self, packet: &mut [u8]) -> usize {
        let mut len = packet.len() as i32;
        let status =
            // SAFETY: the session lives; the packet has `len` octets, and what comes in their place is never longer.
            unsafe { (self.lib.unprotect)(self.rx.handle, packet.as_mut_ptr().cast(), &mut len) };
        assert_eq!(status, 0);
        len as usize
    }
}

pub struct WebRtc(Context, Context);

impl WebRtc {
    pub fn new(suite: Suite, key: &[u8]) -> Option<Self> {
        let (profile, key_len) = match suite {
            Suite::AesCm128HmacSha1_80 => (ProtectionProfile::Aes128CmHmacSha1_80, 16),
            Suite::AeadAes128Gcm => (ProtectionProfile::AeadAes128Gcm, 16),
            Suite::AeadAes256Gcm => (ProtectionProfile::AeadAes256Gcm, 32),
            _ => return None,
        };
        let new = || Context::new(&key[..key_len], &key[key_len..], profile, None, None).ok();
        Some(Self(new()?, new()?))
    }
}

impl Rig for WebRtc {
    fn protect(&mut self, src: &[u8], dst: &mut [u8]) -> usize {
        let out = self.0.encrypt_rtp(src).unwrap();
        dst[..out.len()].copy_from_slice(&out);
        out.len()
    }

    fn unprotect(&mut self, packet: &mut [u8]) -> usize {
        let out = self.1.decrypt_rtp(packet).unwrap();
        packet[..out.len()].copy_from_slice(&out);
        out.len()
    }

    fn protect_rtcp(&mut self, src: &[u8], dst: &mut [u8]) -> usize {
        let out = self.0.encrypt_rtcp(src).unwrap();
        dst[..out.len()].copy_from_slice(&out);
        out.len()
    }
}
