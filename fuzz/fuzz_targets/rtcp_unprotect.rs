//! As `rtp_unprotect`, for RTCP.
#![no_main]

mod sessions;

use libfuzzer_sys::fuzz_target;
use srtp::MAX_TRAILER;

fuzz_target!(|data: &[u8]| {
    let Some((&choice, packet)) = data.split_first() else {
        return;
    };
    let (mut tx, mut rx) = sessions::pair(choice);

    let mut buffer = packet.to_vec();
    if rx.unprotect_rtcp(&mut buffer, 0).is_err() {
        assert_eq!(buffer, packet);
    }
    let mut out = vec![0; packet.len() + MAX_TRAILER];
    let Ok(len) = tx.protect_rtcp(packet, &mut out) else {
        return;
    };
    out.truncate(len);
    let bit = usize::from(choice) * 251 % (8 * len);
    out[bit / 8] ^= 1 << (bit % 8);
    let forged = out.clone();
    assert!(
        rx.unprotect_rtcp(&mut out, 0).is_err(),
        "a forged packet was accepted"
    );
    assert_eq!(out, forged);
    out[bit / 8] ^= 1 << (bit % 8);
    let len = rx.unprotect_rtcp(&mut out, 0).expect("a genuine packet");
    assert_eq!(&out[..len], packet);
});
