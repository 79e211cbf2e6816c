//! The portable level: plain Rust, constant time on every CPU whose integer multiplication is.

pub(crate) mod aes;
pub(crate) mod ghash;
pub(crate) mod poly;
pub(crate) mod sha1;

use super::generic::{Engine, Level};
use crate::table::Kernels;

pub(crate) static SOFT: Kernels = Level::<Soft>::KERNELS;

#[derive(Clone, Copy)]
pub(crate) struct Soft;

impl Engine for Soft {
    const NAME: &'static str = "portable";

    fn detect() -> bool {
        true
    }

    unsafe fn assume() -> Self {
        Self
    }

    fn encrypt8(self, keys: &[u128], blocks: &[u128; 8]) -> [u128; 8] {
        aes::encrypt8(keys, blocks)
    }

    fn sub_word(self, word: u32) -> u32 {
        aes::sub_word(word)
    }

    fn compress(self, state: &mut [u32; 5], block: &[u8; 64]) {
        sha1::compress(state, block);
    }

    fn clmul(self, a: u64, b: u64) -> u128 {
        ghash::clmul(a, b)
    }

    fn multiply(self, a: u128, b: u128) -> u128 {
        ghash::multiply(a, b)
    }
}
