//! The RFCs' packets and key streams, on every kernel of this CPU, in both directions.

use crate::kdf::SessionKeys;
use crate::policy::SessionParams;
use crate::rtp::RtpHeader;
use crate::transform::{MAX_TRAILER, Transform};
use crate::vectors::rfc7714::{PACKETS, RTCP_INDEX, SESSION_KEY, SESSION_SALT};
use crate::vectors::{KEY_STREAMS, hex};
use packet_crypto::Kernels;

#[test]
fn key_streams() {
    for v in KEY_STREAMS {
        let keys = SessionKeys::from_parts(&hex(v.session_key), [0; 20], &hex(v.session_salt));
        for kernels in Kernels::usable() {
            let params = SessionParams::default();
            let t = Transform::new(kernels, v.suite, params, &keys, &keys).unwrap();
            let want = hex(v.key_stream);
            let mut zeros = vec![0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
            zeros.resize(12 + want.len(), 0);
            let mut out = vec![0; zeros.len() + MAX_TRAILER];
            let header = RtpHeader::parse(&zeros).unwrap();
            t.seal_rtp(&header, 0, &zeros, &mut out, &[], |_| Ok::<_, ()>(()))
                .unwrap();
            assert_eq!(
                out[12..12 + want.len()],
                want,
                "{} {}",
                v.source,
                kernels.name()
            );
        }
    }
}

#[test]
fn packets() {
    for v in &PACKETS {
        let key = &hex(SESSION_KEY)[..v.suite.key_len()];
        let keys = SessionKeys::from_parts(key, [0; 20], &hex(SESSION_SALT));
        let (clear, protected) = (hex(v.clear), hex(v.protected));
        let params = SessionParams {
            unencrypted_srtp: v.unencrypted,
            unencrypted_srtcp: v.unencrypted,
            unauthenticated_srtp: false,
        };
        for kernels in Kernels::usable() {
            let t = Transform::new(kernels, v.suite, params, &keys, &keys).unwrap();
            let mut out = vec![0; clear.len() + MAX_TRAILER];
            let mut back = protected.clone();
            let (sealed, opened) = if v.rtcp {
                let ssrc = crate::rtcp::parse(&clear).unwrap();
                let sealed = t.seal_rtcp(kernels, ssrc, RTCP_INDEX, &clear, &mut out, &[]);
                let word = t.rtcp_word(&back, 0, 16).unwrap();
                (sealed, t.open_rtcp(kernels, ssrc, word, &mut back, 0, 16))
            } else {
                let header = RtpHeader::parse(&clear).unwrap();
                let index = u64::from(header.seq);
                let settle = |_: &_| Ok::<_, ()>(());
                let sealed = t.seal_rtp(&header, index, &clear, &mut out, &[], settle);
                let sealed = sealed.unwrap();
                (sealed, t.open_rtp(&header, index, &mut back, 0))
            };
            assert_eq!(out[..sealed], protected, "{} {}", v.source, kernels.name());
            assert_eq!(
                opened.ok(),
                Some(clear.len()),
                "{} {}",
                v.source,
                kernels.name()
            );
            assert_eq!(
                back[..clear.len()],
                clear,
                "{} {}",
                v.source,
                kernels.name()
            );
        }
    }
}
