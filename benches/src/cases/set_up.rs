//! Sessions made and ended.

use std::hint::black_box;

use srtp::Suite;

use super::{DISTRIBUTION, Libraries, OPENSSL, OURS, rtp};
use crate::Case;
use crate::rigs::{Rig, key_of, our_leg, ours};

pub fn cases<'a>(libraries: &'a Libraries, group: &str) -> Vec<Case<'a>> {
    let suite = Suite::AesCm128HmacSha1_80;
    let key = key_of(suite, 1);
    let (key1, key2, key3, key4) = (key.clone(), key.clone(), key.clone(), key);
    // A context is made by the first packet of its SSRC in libsrtp and here alike: the second rows have it, with a
    // session at each end.
    fn first(mut rig: impl Rig) {
        let mut out = [0; 400];
        let len = rig.protect(&rtp(1, 1, 0), &mut out);
        black_box(rig.unprotect(&mut out[..len]));
    }
    let mut cases = vec![
        Case::new(group, OURS, 1, move || {
            _ = black_box(&our_leg(suite, &key1))
        }),
        Case::new(group, OPENSSL, 1, move || {
            _ = black_box(&libraries.openssl.leg(suite, &key2).expect("a leg"))
        }),
        Case::new(
            group,
            "ciphertrunk, two ends, a packet over",
            1,
            move || first(ours(suite, &key3)),
        ),
        Case::new(
            group,
            "libsrtp + OpenSSL, two ends, a packet over",
            1,
            move || {
                first(libraries.openssl.rig(suite, &key4).unwrap());
            },
        ),
    ];
    if let Some(lib) = libraries.distribution {
        let key = key_of(suite, 1);
        cases.push(Case::new(group, DISTRIBUTION, 1, move || {
            _ = black_box(&lib.leg(suite, &key).expect("a leg"))
        }));
    }
    cases
}
