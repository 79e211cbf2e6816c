//! Checks that no branch and no address depends on a secret: `valgrind --error-exitcode=1 constant_time`.
//!
//! Keys and payloads are declared undefined to valgrind, which reports every branch and every address that depends on
//! undefined data. It emulates neither SHA-NI nor AVX-512; the levels that need them are not usable under it, have no
//! other branches (their source branches on lengths only) and are checked by review. With the argument `leak` it does
//! what it must catch.

#[cfg(target_arch = "x86_64")]
fn main() {
    use packet_crypto::{AesCmHmacSha1, AesGcm, Kernels, PayloadHash, aes_cm_prf};
    use std::hint::black_box;

    /// Valgrind's client requests of memcheck: "MC" in the upper half, make undefined 1, make defined 2. Outside of
    /// valgrind the instructions do nothing.
    fn request(code: u64, bytes: &mut [u8]) -> u64 {
        let arguments = [
            0x4d43_0000 + code,
            bytes.as_mut_ptr() as u64,
            bytes.len() as u64,
            0,
            0,
            0,
        ];
        let mut result = 0u64;
        // SAFETY: four rotations that add up to whole turns, and an exchange of a register with itself.
        unsafe {
            std::arch::asm!(
                "rol rdi, 3", "rol rdi, 13", "rol rdi, 61", "rol rdi, 51", "xchg rbx, rbx",
                inout("rdx") result, in("rax") arguments.as_ptr(), inout("rdi") 0u64 => _,
            );
        }
        result
    }
    let secret = |bytes: &mut [u8]| {
        request(1, bytes);
    };

    if std::env::args().any(|a| a == "leak") {
        let mut key = [black_box(1u8); 16];
        secret(&mut key);
        if black_box(key[3]) == 1 {
            println!("a branch on a secret");
        }
    }
    // OpenSSL's own code is OpenSSL's to judge.
    for k in Kernels::usable().filter(|k| k.name() != "system") {
        println!("{}", k.name());
        for key_len in [16, 24, 32] {
            let (mut key, mut auth) = (vec![1u8; key_len], [2u8; 20]);
            secret(&mut key);
            secret(&mut auth);
            for len in [12, 20, 32, 172, 300, 1212] {
                let mut packet = vec![3u8; len];
                secret(&mut packet[12..]);
                let point = key.first_chunk().expect("a key has more than eight bytes");
                black_box(PayloadHash::new(k, point).of(&packet));
                let cm = AesCmHmacSha1::new(k, &key, &auth).expect("a length that AES has");
                let tag = cm.seal_in_place(&[0; 16], 12, &mut packet, &[0; 4]);
                black_box((&packet, tag));
                if key_len != 24 {
                    let gcm = AesGcm::new(k, &key).expect("a length that AES has");
                    let tag = gcm.seal_in_place(&[0; 12], 12, &mut packet, &[]);
                    black_box((&packet, tag));
                }
            }
            let mut out = [0, 1];
            aes_cm_prf(k, &key, &mut out).expect("a length that AES has");
            black_box(out);
        }
    }
}

#[cfg(not(target_arch = "x86_64"))]
fn main() {}
