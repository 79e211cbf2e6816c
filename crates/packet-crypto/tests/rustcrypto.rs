//! Every level against the RustCrypto crates, and so against every other level: at every block count from 0 to 33, at
//! ragged sizes and real packet sizes, clear lengths of RTP headers, copying and in place.

use aes_gcm::aead::AeadInOut;
use ctr::cipher::{KeyIvInit, StreamCipher};
use hmac::{KeyInit, Mac};
use packet_crypto::{AesCmHmacSha1, AesGcm, Kernels, aes_cm_prf};

/// A generator of test bytes (xorshift64*); the same in every run.
struct Bytes(u64);

impl Bytes {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn fill<const N: usize>(&mut self) -> [u8; N] {
        core::array::from_fn(|_| (self.next() >> 32) as u8)
    }

    fn vec(&mut self, len: usize) -> Vec<u8> {
        (0..len).map(|_| (self.next() >> 32) as u8).collect()
    }
}

/// (clear, length) pairs: whole and ragged block counts 0 to 33 behind a plain RTP header, then real sizes behind
/// headers with CSRCs and extensions, then packets that are shorter than a block.
fn shapes() -> Vec<(usize, usize)> {
    let mut shapes = Vec::new();
    for blocks in 0..=33 {
        for ragged in [0, 1, 7, 12, 15] {
            shapes.push((12, 12 + 16 * blocks + ragged));
        }
    }
    for clear in [
        0, 1, 8, 12, 16, 20, 24, 28, 31, 32, 36, 48, 60, 63, 64, 65, 72, 84, 100,
    ] {
        for payload in [
            0, 1, 4, 16, 20, 24, 33, 50, 52, 80, 160, 161, 240, 320, 480, 960, 1200, 1440,
        ] {
            shapes.push((clear, clear + payload));
        }
    }
    for len in 0..16 {
        for clear in 0..=len {
            shapes.push((clear, len));
        }
    }
    for len in 100..300 {
        shapes.push((12 + 4 * (len % 9), len));
    }
    // Groups of vectors that are whole, and what is behind them; more of them than a level keeps anything for.
    for len in (500..2200).step_by(7) {
        shapes.push((12, len));
    }
    // 255 counters and more: they have a second octet.
    for len in (4050..4150).step_by(7).chain([9000]) {
        shapes.push((12, len));
    }
    shapes.push((12, 4000));
    shapes.push((2500, 4100));
    // Miri takes seconds for what takes microseconds.
    let step = if cfg!(miri) { 23 } else { 1 };
    shapes.into_iter().step_by(step).collect()
}

fn aes_ctr(key: &[u8], iv: &[u8; 16], data: &mut [u8]) {
    match key.len() {
        16 => ctr::Ctr32BE::<aes::Aes128>::new_from_slices(key, iv)
            .unwrap()
            .apply_keystream(data),
        24 => ctr::Ctr32BE::<aes::Aes192>::new_from_slices(key, iv)
            .unwrap()
            .apply_keystream(data),
        _ => ctr::Ctr32BE::<aes::Aes256>::new_from_slices(key, iv)
            .unwrap()
            .apply_keystream(data),
    }
}

fn hmac_sha1(key: &[u8], parts: [&[u8]; 2]) -> [u8; 20] {
    let mut mac = hmac::Hmac::<sha1::Sha1>::new_from_slice(key).unwrap();
    parts.iter().for_each(|part| mac.update(part));
    mac.finalize().into_bytes().into()
}

fn aes_gcm(key: &[u8], nonce: &[u8; 12], aad: &[u8], data: &mut [u8]) -> [u8; 16] {
    let nonce = (*nonce).into();
    let tag = if key.len() == 16 {
        aes_gcm::Aes128Gcm::new_from_slice(key)
            .unwrap()
            .encrypt_inout_detached(&nonce, aad, data.into())
    } else {
        aes_gcm::Aes256Gcm::new_from_slice(key)
            .unwrap()
            .encrypt_inout_detached(&nonce, aad, data.into())
    };
    tag.unwrap().into()
}

const CANARY: usize = 64;

/// `packet` at a ragged address with canaries around it.
struct Guarded {
    bytes: Vec<u8>,
    start: usize,
    len: usize,
}

impl Guarded {
    fn new(packet: &[u8], skew: usize) -> Self {
        let start = CANARY + skew;
        let mut bytes = vec![0xa5; start + packet.len() + CANARY];
        bytes[start..start + packet.len()].copy_from_slice(packet);
        Self {
            bytes,
            start,
            len: packet.len(),
        }
    }

    fn packet(&mut self) -> &mut [u8] {
        &mut self.bytes[self.start..self.start + self.len]
    }

    /// The packet is `expected` and nothing around it was written.
    #[track_caller]
    fn check(&self, expected: &[u8], what: &str) {
        let (before, rest) = self.bytes.split_at(self.start);
        let (packet, after) = rest.split_at(self.len);
        assert!(
            before.iter().chain(after).all(|b| *b == 0xa5),
            "{what}: written outside the packet"
        );
        assert!(packet == expected, "{what}: wrong bytes");
    }
}

#[test]
fn aes_cm_hmac_sha1() {
    for k in Kernels::usable() {
        let mut bytes = Bytes(0x1234_5678_9abc_def1);
        for (n, (clear, len)) in shapes().into_iter().enumerate() {
            let cipher_key = bytes.vec([16, 24, 32][n % 3]);
            let (auth_key, mut iv, trailer): ([u8; 20], [u8; 16], [u8; 4]) =
                (bytes.fill(), bytes.fill(), bytes.fill());
            if n % 2 == 0 {
                iv[14..].fill(0);
            }
            let plain = bytes.vec(len);
            let what = format!(
                "{} AES-CM-{} clear {clear} len {len}",
                k.name(),
                cipher_key.len() * 8
            );

            let mut sealed = plain.clone();
            aes_ctr(&cipher_key, &iv, &mut sealed[clear..]);
            let tag = hmac_sha1(&auth_key, [&sealed, &trailer]);

            let key = AesCmHmacSha1::new(k, &cipher_key, &auth_key).unwrap();
            let mut dst = Guarded::new(&vec![0; len], n % 17);
            assert_eq!(
                key.seal(&iv, clear, &plain, dst.packet(), &trailer),
                tag,
                "{what}"
            );
            dst.check(&sealed, &what);
            let mut longer = Guarded::new(&vec![0xa5; len + 20], n % 13);
            assert_eq!(
                key.seal(&iv, clear, &plain, longer.packet(), &trailer),
                tag,
                "{what}"
            );
            longer.check(&[&sealed[..], &[0xa5; 20]].concat(), &what);

            let mut packet = Guarded::new(&plain, n % 5);
            assert_eq!(
                key.seal_in_place(&iv, clear, packet.packet(), &trailer),
                tag,
                "{what}"
            );
            packet.check(&sealed, &what);

            for tag_len in [4, 10, 20] {
                let mut packet = Guarded::new(&sealed, n % 7);
                for bit in [0, 8 * tag_len - 1] {
                    let mut wrong = tag;
                    wrong[bit / 8] ^= 1 << (bit % 8);
                    assert!(
                        key.open_in_place(&iv, clear, packet.packet(), &trailer, &wrong[..tag_len])
                            .is_err()
                    );
                    packet.check(&sealed, &what);
                }
                key.open_in_place(&iv, clear, packet.packet(), &trailer, &tag[..tag_len])
                    .expect(&what);
                packet.check(&plain, &what);
            }
            let mut other_trailer = trailer;
            other_trailer[n % 4] ^= 1;
            let mut packet = Guarded::new(&sealed, n % 7);
            assert!(
                key.open_in_place(&iv, clear, packet.packet(), &other_trailer, &tag[..10])
                    .is_err(),
                "{what}"
            );
            if len > 0 {
                packet.packet()[n % len] ^= 1;
                assert!(
                    key.open_in_place(&iv, clear, packet.packet(), &trailer, &tag[..10])
                        .is_err(),
                    "{what}"
                );
            }
        }
    }
}

#[test]
fn aes_gcm_aead() {
    for k in Kernels::usable() {
        let mut bytes = Bytes(0xfedc_ba98_7654_3211);
        for (n, (clear, len)) in shapes().into_iter().enumerate() {
            let cipher_key = bytes.vec([16, 32][n % 2]);
            let nonce: [u8; 12] = bytes.fill();
            let trailer = bytes.vec([0, 4, 0, 4, 0, 17, 200][n % 7]);
            let plain = bytes.vec(len);
            let what = format!(
                "{} AES-GCM-{} clear {clear} len {len}",
                k.name(),
                cipher_key.len() * 8
            );

            let mut sealed = plain.clone();
            let (head, data) = sealed.split_at_mut(clear);
            let tag = aes_gcm(&cipher_key, &nonce, &[head, &trailer[..]].concat(), data);

            let key = AesGcm::new(k, &cipher_key).unwrap();
            let mut dst = Guarded::new(&vec![0; len], n % 17);
            assert_eq!(
                key.seal(&nonce, clear, &plain, dst.packet(), &trailer),
                tag,
                "{what}"
            );
            dst.check(&sealed, &what);

            let mut packet = Guarded::new(&plain, n % 5);
            assert_eq!(
                key.seal_in_place(&nonce, clear, packet.packet(), &trailer),
                tag,
                "{what}"
            );
            packet.check(&sealed, &what);

            for tag_len in [8, 16] {
                let mut packet = Guarded::new(&sealed, n % 7);
                for bit in [0, 8 * tag_len - 1] {
                    let mut wrong = tag;
                    wrong[bit / 8] ^= 1 << (bit % 8);
                    assert!(
                        key.open_in_place(
                            &nonce,
                            clear,
                            packet.packet(),
                            &trailer,
                            &wrong[..tag_len]
                        )
                        .is_err()
                    );
                    packet.check(&sealed, &what);
                }
                key.open_in_place(&nonce, clear, packet.packet(), &trailer, &tag[..tag_len])
                    .expect(&what);
                packet.check(&plain, &what);
            }
            let mut packet = Guarded::new(&sealed, n % 7);
            if len > 0 {
                packet.packet()[n % len] ^= 1;
                assert!(
                    key.open_in_place(&nonce, clear, packet.packet(), &trailer, &tag)
                        .is_err(),
                    "{what}"
                );
            }
        }
    }
}

#[test]
fn key_derivation_stream() {
    for k in Kernels::usable() {
        let mut bytes = Bytes(0x0bad_cafe_0bad_cafe);
        for key_len in [16, 24, 32] {
            let master_key = bytes.vec(key_len);
            for count in 0..=20 {
                let mut blocks: Vec<u128> = (0..count)
                    .map(|_| u128::from_le_bytes(bytes.fill()))
                    .collect();
                let mut expected = blocks.clone();
                for block in &mut expected {
                    let mut stream = [0; 16];
                    aes_ctr(&master_key, &block.to_le_bytes(), &mut stream);
                    *block = u128::from_le_bytes(stream);
                }
                aes_cm_prf(k, &master_key, &mut blocks).unwrap();
                assert_eq!(
                    blocks,
                    expected,
                    "{} key of {key_len}, {count} blocks",
                    k.name()
                );
            }
        }
    }
}

#[test]
fn lengths_that_do_not_exist_are_refused() {
    for k in Kernels::usable() {
        for len in [0, 15, 17, 31, 33, 64] {
            assert!(AesCmHmacSha1::new(k, &vec![0; len], &[0; 20]).is_err());
            assert!(AesGcm::new(k, &vec![0; len]).is_err());
            assert!(aes_cm_prf(k, &vec![0; len], &mut []).is_err());
        }
        assert!(
            AesGcm::new(k, &[0; 24]).is_err(),
            "RFC 7714 has no 192-bit key"
        );
        let cm = AesCmHmacSha1::new(k, &[1; 24], &[2; 20]).unwrap();
        let gcm = AesGcm::new(k, &[1; 32]).unwrap();
        let mut packet = [3; 40];
        let tag = cm.seal_in_place(&[4; 16], 12, &mut packet, &[5; 4]);
        for len in [0, 1, 3] {
            assert!(
                cm.open_in_place(&[4; 16], 12, &mut packet, &[5; 4], &tag[..len])
                    .is_err(),
                "a tag of {len}"
            );
        }
        assert!(
            cm.open_in_place(
                &[4; 16],
                12,
                &mut packet,
                &[5; 4],
                &[&tag[..], &[0]].concat()
            )
            .is_err()
        );
        let tag = gcm.seal_in_place(&[4; 12], 12, &mut packet, &[]);
        for len in [0, 4, 7, 9, 12, 15] {
            assert!(
                gcm.open_in_place(&[4; 12], 12, &mut packet, &[], &tag[..len])
                    .is_err(),
                "a tag of {len}"
            );
        }
        assert!(
            gcm.open_in_place(&[4; 12], 12, &mut packet, &[], &tag)
                .is_ok()
        );
    }
}

/// Fails when a level that this CPU has is skipped: the flags come from the kernel, not from our own detection.
#[test]
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
fn the_best_level_is_the_cpus_best() {
    let cpuinfo = std::fs::read_to_string("/proc/cpuinfo").unwrap();
    let flags = cpuinfo
        .lines()
        .find(|line| line.starts_with("flags"))
        .unwrap();
    let has = |wanted: &[&str]| {
        wanted
            .iter()
            .all(|w| flags.split_whitespace().any(|f| f == *w))
    };
    let amd = ["AuthenticAMD", "HygonGenuine"]
        .iter()
        .any(|vendor| cpuinfo.contains(vendor));
    let avx512 = ["bmi2", "avx512f", "avx512vl", "avx512bw", "avx512vbmi"];
    let best = if !has(&["aes", "pclmulqdq", "ssse3"]) {
        "portable"
    } else if has(&["sha_ni", "avx2", "vaes", "vpclmulqdq"]) {
        match (has(&avx512), amd) {
            (true, true) => "x86_64 AES-NI+SHA-NI+VAES-AVX512, AMD",
            (true, false) => "x86_64 AES-NI+SHA-NI+VAES-AVX512",
            (false, _) => "x86_64 AES-NI+SHA-NI+VAES-AVX2",
        }
    } else if has(&["sha_ni", "avx2"]) {
        "x86_64 AES-NI+SHA-NI+AVX2"
    } else if has(&["sha_ni"]) {
        "x86_64 AES-NI+SHA-NI"
    } else if has(&["avx2"]) {
        "x86_64 AES-NI+AVX2"
    } else {
        "x86_64 AES-NI"
    };
    assert_eq!(packet_crypto::kernels().name(), best);
}

/// As above. Under emulation the CPU is the emulator's best, which has the extensions.
#[test]
#[cfg(target_arch = "aarch64")]
fn the_best_level_is_the_cpus_best() {
    let has = std::arch::is_aarch64_feature_detected!("aes")
        && std::arch::is_aarch64_feature_detected!("sha2");
    let best = if has {
        "aarch64 AES+PMULL+SHA1"
    } else {
        "portable"
    };
    assert_eq!(packet_crypto::kernels().name(), best);
}

/// The list is only as good as what ran: this fails when a level that this CPU has is skipped.
#[test]
fn every_level_passes_its_self_test() {
    let names: Vec<_> = Kernels::usable().map(Kernels::name).collect();
    // The portable one ends our own.
    let own: Vec<_> = names.iter().filter(|name| **name != "system").collect();
    assert_eq!(own.last(), Some(&&"portable"));
    for k in Kernels::usable() {
        k.self_test().unwrap();
        assert_eq!(
            Kernels::by_name(k.name()).map(Kernels::name),
            Some(k.name())
        );
    }
    assert!(Kernels::by_name("no such level").is_none());
    assert_eq!(
        packet_crypto::kernels().name(),
        names[0],
        "the best level is the chosen one"
    );
}
