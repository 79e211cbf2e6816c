//! What the hardware can do at best.

use std::hint::black_box;

use super::{CHAIN_2, CHAIN_4, CHAIN_21};
use crate::{Case, bounds};

pub fn cases<'a>(group: &str) -> Vec<Case<'a>> {
    let mut cases = Vec::new();
    if is_x86_feature_detected!("sha") && is_x86_feature_detected!("sse4.1") {
        for (name, blocks) in [(CHAIN_2, 2), (CHAIN_4, 4), (CHAIN_21, 21)] {
            let (mut state, message) = ([1u32, 2, 3, 4, 0, 0, 0, 5], vec![[7u8; 64]; blocks]);
            cases.push(Case::new(group, name, 1, move || {
                // SAFETY: the CPU has the features.
                unsafe { bounds::chained_sha1(&mut state, black_box(&message)) };
            }));
        }
    }
    if is_x86_feature_detected!("vaes")
        && is_x86_feature_detected!("vpclmulqdq")
        && is_x86_feature_detected!("avx512f")
    {
        // SAFETY: any bytes are a vector.
        let keys = black_box(unsafe { std::mem::zeroed() });
        cases.push(Case::new(
            group,
            "AES-128 of 12 blocks (GCM)",
            1,
            move || {
                // SAFETY: the CPU has the features.
                unsafe { bounds::aes12(&keys) }
            },
        ));
        // SAFETY: any bytes are a vector.
        let powers = black_box(unsafe { std::mem::zeroed() });
        cases.push(Case::new(group, "GHASH of 12 blocks (GCM)", 1, move || {
            // SAFETY: the CPU has the features.
            unsafe { bounds::ghash12(&powers) }
        }));
    }
    cases
}
