//! intel-ipsec-mb, by way of `ipsec_mb.c`.

use std::ffi::CStr;
use std::hint::black_box;

use packet_crypto::AesCmHmacSha1;
use srtp::Suite;

use super::{IPSEC_MB, rtp};
use crate::Case;

unsafe extern "C" {
    fn mb_version() -> *const std::ffi::c_char;
    fn mb_new(key: *const u8, auth: *const u8) -> *mut std::ffi::c_void;
    fn mb_cm(
        rig: *mut std::ffi::c_void,
        n: i32,
        packets: *const *mut u8,
        iv: *const u8,
        clear: u64,
        len: u64,
    );
    fn mb_gcm(
        rig: *mut std::ffi::c_void,
        dst: *mut u8,
        src: *const u8,
        clear: u64,
        len: u64,
        nonce: *const u8,
    );
}

pub fn version() -> &'static CStr {
    // SAFETY: a static string.
    unsafe { CStr::from_ptr(mb_version()) }
}

/// intel-ipsec-mb has no SRTP: its AES and authentication alone, under session keys of its own.
pub fn cases<'a>(group: &str, suite: Suite, payload: usize) -> Vec<Case<'a>> {
    let len = 12 + payload;
    // SAFETY: 16 and 20 readable bytes; the rig lives as long as the process.
    let rig = unsafe { mb_new([1u8; 16].as_ptr(), [2u8; 20].as_ptr()) };
    let plain = rtp(7, 9, payload);
    match suite {
        Suite::AesCm128HmacSha1_80 => {
            let reference = AesCmHmacSha1::new(crate::level::level(), &[1; 16], &[2; 20]).unwrap();
            let case = move |name, n: usize| {
                let mut packets = vec![[&plain[..], &[0; 16]].concat(); n];
                let pointers: Vec<*mut u8> = packets.iter_mut().map(|p| p.as_mut_ptr()).collect();
                let iv = [3u8; 16];
                let run = move |_: &Vec<Vec<u8>>| {
                    let at = pointers.as_ptr();
                    // SAFETY: every packet has room for the ROC and the tag behind `len`.
                    unsafe { mb_cm(rig, n as i32, at, iv.as_ptr(), 12, len as u64) };
                };
                run(&packets);
                let mut ours = plain.clone();
                let tag = reference.seal_in_place(&iv, 12, &mut ours, &[0; 4]);
                for packet in &packets {
                    assert!(
                        packet[..len] == ours && packet[len + 4..len + 14] == tag[..10],
                        "{name}: outputs differ"
                    );
                }
                Case::new(group, name, n, move || run(black_box(&packets)))
            };
            vec![
                case("intel-ipsec-mb, one (ciphers only)", 1),
                case("intel-ipsec-mb, 16 (ciphers only)", 16),
            ]
        }
        Suite::AeadAes128Gcm => {
            let reference = packet_crypto::AesGcm::new(crate::level::level(), &[1; 16]).unwrap();
            let mut out = vec![0; len + 16];
            let nonce = [3u8; 12];
            let run = move |plain: &[u8], out: &mut [u8]| {
                let (at, plain) = (out.as_mut_ptr(), plain.as_ptr());
                // SAFETY: `out` has room for the tag.
                unsafe { mb_gcm(rig, at, plain, 12, len as u64, nonce.as_ptr()) };
            };
            run(&plain, &mut out);
            let mut ours = plain.clone();
            let tag = reference.seal_in_place(&nonce, 12, &mut ours, &[]);
            assert!(
                out[..len] == ours && out[len..] == tag,
                "intel-ipsec-mb: outputs differ"
            );
            vec![Case::new(group, IPSEC_MB, 1, move || {
                run(black_box(&plain), &mut out);
            })]
        }
        _ => Vec::new(),
    }
}
