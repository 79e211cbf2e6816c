//! What must be found: leaks of each kind.

use std::arch::x86_64::_mm512_maskz_loadu_epi8;
use std::hint::{black_box, select_unpredictable};
use std::num::NonZeroU32;

use crate::work::Watch;

/// Code that leaks.
pub struct Leak {
    pub name: &'static str,
    /// As what steps show it.
    pub shown_as: &'static str,
    /// Whether memcheck knows such leaks.
    pub for_memcheck: bool,
    work: fn(u32),
}

impl Leak {
    /// Whether this CPU can leak so.
    pub fn usable(&self) -> bool {
        self.shown_as != "Mask" || is_x86_feature_detected!("avx512bw")
    }

    /// Leaks a secret.
    pub fn run(&self, w: &mut dyn Watch) {
        let mut secret = [0; 4];
        w.secret(&mut secret);
        let secret = u32::from_ne_bytes(secret);
        w.watch(&"a planted leak", &mut || (self.work)(black_box(secret)));
    }
}

pub const LEAKS: [Leak; 6] = [
    Leak {
        name: "a branch on a secret",
        shown_as: "Condition",
        for_memcheck: true,
        work: |secret| {
            if secret & 1 == 1 {
                here();
            }
        },
    },
    Leak {
        name: "a branch on a secret that goes the same way with nearly all",
        shown_as: "Condition",
        for_memcheck: true,
        work: |secret| {
            if secret == 0x1234_5678 {
                here();
            }
        },
    },
    Leak {
        name: "a call by a secret",
        shown_as: "Branch",
        for_memcheck: true,
        work: |secret| select_unpredictable(secret & 1 == 1, here as fn(), there as fn())(),
    },
    Leak {
        name: "an address by a secret",
        shown_as: "Address",
        for_memcheck: true,
        work: |secret| {
            static TABLE: [u8; 256] = [7; 256];
            black_box(black_box(&TABLE)[secret as usize & 0xff]);
        },
    },
    Leak {
        name: "a load masked by a secret",
        shown_as: "Mask",
        for_memcheck: false,
        work: masked,
    },
    Leak {
        name: "a division by a secret",
        shown_as: "Division",
        for_memcheck: false,
        work: |secret| {
            black_box(black_box(1u32 << 30) / (NonZeroU32::MIN | secret));
        },
    },
];

fn masked(secret: u32) {
    // SAFETY: the CPU has AVX-512: `Leak::usable`.
    unsafe { load(u64::from(secret)) };

    #[target_feature(enable = "avx512f,avx512bw")]
    fn load(mask: u64) {
        static TABLE: [i8; 64] = [7; 64];
        // SAFETY: 64 readable bytes.
        black_box(unsafe { _mm512_maskz_loadu_epi8(mask, black_box(TABLE.as_ptr())) });
    }
}

#[inline(never)]
fn here() {
    black_box(0);
}

#[inline(never)]
fn there() {
    black_box(1);
}
