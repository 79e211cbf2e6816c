//! Known answers, asked of a level before it is used.

use crate::backend::SOFT;
use crate::cm::AesCmHmacSha1;
use crate::error::SelfTestError;
use crate::gcm::AesGcm;
use crate::key::round_keys_for;
use crate::payload_hash::PayloadHash;
use crate::table::Kernels;

pub(crate) fn run(k: &'static Kernels) -> Result<(), SelfTestError> {
    aes(k)?;
    aes_cm(k)?;
    hmac_sha1(k)?;
    aes_gcm(k)?;
    agreement(k)
}

/// FIPS 197, appendix C: key bytes 00 01 02 ..., plaintext 00 11 22 ...
fn aes(k: &'static Kernels) -> Result<(), SelfTestError> {
    const ANSWERS: [(usize, u128); 3] = [
        (16, 0x69c4_e0d8_6a7b_0430_d8cd_b780_70b4_c55a),
        (24, 0xdda9_7ca4_864c_dfe0_6eaf_70a0_ec0d_7191),
        (32, 0x8ea2_b7ca_5167_45bf_eafc_4990_4b49_6089),
    ];
    let key: [u8; 32] = core::array::from_fn(|i| i as u8);
    for (bytes, answer) in ANSWERS {
        let mut keys = [0; 15];
        let plain = u128::from_le_bytes(core::array::from_fn(|i| 0x11 * i as u8));
        let mut blocks = [plain; 3];
        let rounds = round_keys_for(bytes).ok_or(SelfTestError::Aes)?;
        // SAFETY: whoever has a `&'static Kernels` runs on a CPU that its `detect` accepted.
        unsafe {
            (k.expand_key)(&key[..bytes], &mut keys);
            (k.encrypt_blocks)(&keys, rounds, &mut blocks);
        }
        if blocks.iter().any(|b| *b != answer.swap_bytes()) {
            return Err(SelfTestError::Aes);
        }
    }
    Ok(())
}

/// RFC 3711, B.2: the key stream from IV F0F1...FD0000, of which the first three blocks are given.
fn aes_cm(k: &'static Kernels) -> Result<(), SelfTestError> {
    const KEY: u128 = 0x2b7e_1516_28ae_d2a6_abf7_1588_09cf_4f3c;
    const IV: u128 = 0xf0f1_f2f3_f4f5_f6f7_f8f9_fafb_fcfd_0000;
    const STREAM: [u128; 3] = [
        0xe03e_ad09_35c9_5e80_e166_b16d_d92b_4eb4,
        0xd235_1316_2b02_d0f7_2a43_a2fe_4a5f_97ab,
        0x41e9_5b3b_b0a2_e8dd_4779_01e4_fca8_94c0,
    ];
    let key =
        AesCmHmacSha1::new(k, &KEY.to_be_bytes(), &[0; 20]).map_err(|_| SelfTestError::AesCm)?;
    let mut packet = [0u8; 48];
    let _ = key.seal_in_place(&IV.to_be_bytes(), 0, &mut packet, &[0; 4]);
    if packet
        .as_chunks::<16>()
        .0
        .iter()
        .zip(STREAM)
        .all(|(b, s)| *b == s.to_be_bytes())
    {
        Ok(())
    } else {
        Err(SelfTestError::AesCm)
    }
}

/// RFC 2202, 3: the cases with a 20-byte key. The last four bytes are the trailer.
fn hmac_sha1(k: &'static Kernels) -> Result<(), SelfTestError> {
    const CASES: [(u8, &[u8], &str); 2] = [
        (
            0x0b,
            b"Hi There",
            "b617318655057264e28bc0b6fb378c8ef146be00",
        ),
        (
            0xaa,
            &[0xdd; 50],
            "125d7342b9ac11cd91a39af48aa17b4f63f175d3",
        ),
    ];
    for (fill, data, answer) in CASES {
        let key =
            AesCmHmacSha1::new(k, &[0; 16], &[fill; 20]).map_err(|_| SelfTestError::HmacSha1)?;
        let Some((message, trailer)) = data.split_last_chunk::<4>() else {
            return Err(SelfTestError::HmacSha1);
        };
        let mut packet = [0u8; 64];
        let mac = key.seal(&[0; 16], message.len(), message, &mut packet, trailer);
        if mac != hex::<20>(answer) || packet[..message.len()] != *message {
            return Err(SelfTestError::HmacSha1);
        }
    }
    Ok(())
}

/// The GCM specification (McGrew, Viega), appendix B: test cases 4 and 16, whose associated data is 20 bytes.
fn aes_gcm(k: &'static Kernels) -> Result<(), SelfTestError> {
    const KEY: &str = "feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308";
    const NONCE: &str = "cafebabefacedbaddecaf888";
    const PACKET: &str = "feedfacedeadbeeffeedfacedeadbeefabaddad2\
        d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39";
    const CASES: [(usize, &str, &str); 2] = [
        (
            16,
            "42831ec2217774244b7221b784d0d49ce3aa212f2c02a4e035c17e2329aca12e21d514b25466931c7d8f6a5aac84aa051ba30b396a0aac973d58e091",
            "5bc94fbc3221a5db94fae95ae7121a47",
        ),
        (
            32,
            "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662",
            "76fc6ece0f4e1768cddf8853bb2d551b",
        ),
    ];
    let nonce = hex::<12>(NONCE);
    for (bytes, ciphertext, answer) in CASES {
        let key = AesGcm::new(k, &hex::<32>(KEY)[..bytes]).map_err(|_| SelfTestError::AesGcm)?;
        let mut packet = hex::<80>(PACKET);
        let tag = key.seal_in_place(&nonce, 20, &mut packet, &[]);
        if packet[20..] != hex::<60>(ciphertext) || tag != hex::<16>(answer) {
            return Err(SelfTestError::AesGcm);
        }
        let opened = key.open_in_place(&nonce, 20, &mut packet, &[], &tag);
        if opened.is_err() || packet != hex::<80>(PACKET) {
            return Err(SelfTestError::AesGcm);
        }
    }
    Ok(())
}

/// Packets of every path through a kernel (short, one vector, several, many), sealed on this level and on the
/// portable one, opened on this one, and refused with one bit of the tag wrong.
fn agreement(k: &'static Kernels) -> Result<(), SelfTestError> {
    const LENGTHS: [usize; 8] = [12, 13, 32, 172, 173, 255, 300, 1212];
    let bytes: [u8; 1212] = core::array::from_fn(|i| (i * 151 + i / 256) as u8);
    let (key, auth, iv) = (
        &bytes[..16],
        bytes[32..].first_chunk().expect("long"),
        bytes[64..].first_chunk().expect("long"),
    );
    let nonce = bytes[96..].first_chunk().expect("long");
    let fault = |_| SelfTestError::Disagrees;
    let (cm, soft_cm) = (
        AesCmHmacSha1::new(k, key, auth).map_err(fault)?,
        AesCmHmacSha1::new(&SOFT, key, auth).map_err(fault)?,
    );
    let (gcm, soft_gcm) = (
        AesGcm::new(k, key).map_err(fault)?,
        AesGcm::new(&SOFT, key).map_err(fault)?,
    );
    let secret = bytes[128..].first_chunk().expect("long");
    let (hash, soft_hash) = (PayloadHash::new(k, secret), PayloadHash::new(&SOFT, secret));
    for len in LENGTHS {
        let packet = &bytes[..len];
        if hash.of(packet) != soft_hash.of(packet) {
            return Err(SelfTestError::Disagrees);
        }
        let (mut ours, mut theirs) = ([0u8; 1212], [0u8; 1212]);

        let mut tag = cm.seal(iv, 12, packet, &mut ours, &[1, 2, 3, 4]);
        if tag != soft_cm.seal(iv, 12, packet, &mut theirs, &[1, 2, 3, 4]) || ours != theirs {
            return Err(SelfTestError::Disagrees);
        }
        tag[9] ^= 0x80;
        if cm
            .open_in_place(iv, 12, &mut ours[..len], &[1, 2, 3, 4], &tag[..10])
            .is_ok()
            || ours != theirs
        {
            return Err(SelfTestError::AcceptsForgery);
        }
        tag[9] ^= 0x80;
        let opened = cm.open_in_place(iv, 12, &mut ours[..len], &[1, 2, 3, 4], &tag[..10]);
        if opened.is_err() || ours[..len] != *packet {
            return Err(SelfTestError::Disagrees);
        }

        let mut tag = gcm.seal(nonce, 12, packet, &mut ours, &[]);
        if tag != soft_gcm.seal(nonce, 12, packet, &mut theirs, &[]) || ours != theirs {
            return Err(SelfTestError::Disagrees);
        }
        tag[15] ^= 0x80;
        if gcm
            .open_in_place(nonce, 12, &mut ours[..len], &[], &tag)
            .is_ok()
            || ours != theirs
        {
            return Err(SelfTestError::AcceptsForgery);
        }
        tag[15] ^= 0x80;
        if gcm
            .open_in_place(nonce, 12, &mut ours[..len], &[], &tag)
            .is_err()
            || ours[..len] != *packet
        {
            return Err(SelfTestError::Disagrees);
        }
    }
    Ok(())
}

/// The bytes that a vector's text stands for.
fn hex<const N: usize>(text: &str) -> [u8; N] {
    let digit = |c: u8| (c as char).to_digit(16).expect("a vector is hexadecimal") as u8;
    let text = text.as_bytes();
    assert_eq!(text.len(), 2 * N);
    core::array::from_fn(|i| digit(text[2 * i]) << 4 | digit(text[2 * i + 1]))
}
