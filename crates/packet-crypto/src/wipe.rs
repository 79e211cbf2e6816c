//! Secrets are overwritten when they go.

use zeroize::DefaultIsZeroes;

/// Overwrites with zeros, and the compiler may not leave that out because nobody reads them. The same as
/// `zeroize::Zeroize`, which writes value by value, each one a store of its own: setting up a session and ending it took a
/// quarter of its time for that. Here as many bytes go with a store as a vector has.
#[inline]
pub fn wipe<T: DefaultIsZeroes>(values: &mut [T]) {
    #[cfg(all(any(target_arch = "x86_64", target_arch = "aarch64"), not(miri)))]
    {
        values.fill(T::default());
        // SAFETY: there is no instruction. What the compiler has to assume is that the memory is read, so it was written.
        unsafe {
            core::arch::asm!("/* {0} */", in(reg) values.as_mut_ptr(), options(nostack, preserves_flags));
        }
    }
    #[cfg(not(all(any(target_arch = "x86_64", target_arch = "aarch64"), not(miri))))]
    zeroize::Zeroize::zeroize(values);
}

/// Blocks that are [wiped](wipe) when they go.
pub struct Blocks<const N: usize>(pub [u128; N]);

impl<const N: usize> Drop for Blocks<N> {
    #[inline]
    fn drop(&mut self) {
        wipe(&mut self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_is_zero_afterwards_and_nothing_beside_it() {
        for len in 0..70 {
            let mut bytes = [0x5a_u8; 72];
            wipe(&mut bytes[1..=len]);
            assert!(bytes[1..=len].iter().all(|b| *b == 0));
            assert!(bytes[0] == 0x5a && bytes[len + 1..].iter().all(|b| *b == 0x5a));
        }
        let mut blocks = [u128::MAX; 15];
        wipe(&mut blocks[..14]);
        assert_eq!(blocks[..14], [0; 14]);
        assert_eq!(blocks[14], u128::MAX);
    }
}
