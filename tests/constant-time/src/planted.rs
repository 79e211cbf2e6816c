//! What must be found: leaks of each kind.

use std::arch::x86_64::_mm512_maskz_loadu_epi8;
use std::hint::{black_box, select_unpredictable};
use std::num::NonZeroU32;

use crate::stepped::Scope;
use crate::work::{Watch, openings};

/// Code that leaks.
pub struct Leak {
    pub name: &'static str,
    /// As what steps show it.
    pub shown_as: &'static str,
    /// Whether memcheck knows such leaks.
    pub for_memcheck: bool,
    work: Work,
}

enum Work {
    OfSecret(fn(u32)),
    /// Whether a tag is the one that a packet must have.
    OfTag(fn(&[u8], &[u8]) -> bool),
}

impl Leak {
    /// Whether this CPU can leak so.
    pub fn usable(&self) -> bool {
        self.shown_as != "Mask" || is_x86_feature_detected!("avx512bw")
    }

    /// In what it must be found: what is of openings in a look at these alone.
    pub fn scope(&self) -> Scope {
        match self.work {
            Work::OfSecret(_) => Scope::All,
            Work::OfTag(_) => Scope::Openings,
        }
    }

    /// Leaks a secret.
    pub fn run(&self, w: &mut dyn Watch) {
        let what = &"a planted leak";
        let mut secret = [0; 16];
        w.secret(&mut secret);
        match self.work {
            Work::OfSecret(work) => {
                let [word, ..] = secret.as_chunks().0 else {
                    unreachable!("16 octets")
                };
                let secret = u32::from_ne_bytes(*word);
                w.watch(what, &mut || work(black_box(secret)));
            }
            Work::OfTag(matches) => openings(w, what, &secret, 8, &mut |tag| {
                matches(black_box(&secret[..tag.len()]), tag)
            }),
        }
    }
}

pub const LEAKS: [Leak; 7] = [
    Leak {
        name: "a branch on a secret",
        shown_as: "Condition",
        for_memcheck: true,
        work: Work::OfSecret(|secret| {
            if secret & 1 == 1 {
                here();
            }
        }),
    },
    Leak {
        name: "a branch on a secret that goes the same way with nearly all",
        shown_as: "Condition",
        for_memcheck: true,
        work: Work::OfSecret(|secret| {
            if secret == 0x1234_5678 {
                here();
            }
        }),
    },
    Leak {
        name: "a call by a secret",
        shown_as: "Branch",
        for_memcheck: true,
        work: Work::OfSecret(|secret| {
            select_unpredictable(secret & 1 == 1, here as fn(), there as fn())()
        }),
    },
    Leak {
        name: "an address by a secret",
        shown_as: "Address",
        for_memcheck: true,
        work: Work::OfSecret(|secret| {
            static TABLE: [u8; 256] = [7; 256];
            black_box(black_box(&TABLE)[secret as usize & 0xff]);
        }),
    },
    Leak {
        name: "a load masked by a secret",
        shown_as: "Mask",
        for_memcheck: false,
        work: Work::OfSecret(masked),
    },
    Leak {
        name: "a division by a secret",
        shown_as: "Division",
        for_memcheck: false,
        work: Work::OfSecret(|secret| {
            black_box(black_box(1u32 << 30) / (NonZeroU32::MIN | secret));
        }),
    },
    Leak {
        name: "a tag compared octet by octet",
        shown_as: "Branch",
        for_memcheck: false,
        work: Work::OfTag(|right, tag| {
            for (right, octet) in right.iter().zip(tag) {
                if black_box(right ^ octet) != 0 {
                    return false;
                }
            }
            true
        }),
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
