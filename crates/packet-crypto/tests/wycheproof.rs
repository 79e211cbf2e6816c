//! Wycheproof's vectors, by every level of this CPU. Their numbers are asserted, so that none is skipped in silence.

use packet_crypto::{AesCmHmacSha1, AesGcm, Kernels};
use wycheproof::{TestResult, aead, mac};

/// How many vectors were run, and what became of the rest.
#[derive(Debug, Default, PartialEq)]
struct Ran {
    valid: usize,
    invalid: usize,
    /// Of a key size that RFC 7714 has not, and `new` refuses.
    no_such_key: usize,
    /// What our types cannot even be asked: nonces, HMAC keys and messages of lengths that SRTP has not.
    cannot_be_said: usize,
}

impl Ran {
    /// Counts one, and says whether it must be taken.
    fn count(&mut self, result: TestResult) -> bool {
        match result {
            TestResult::Valid => self.valid += 1,
            TestResult::Invalid => self.invalid += 1,
            TestResult::Acceptable => panic!("nothing in between is expected here"),
        }
        result == TestResult::Valid
    }
}

/// Its associated data as the packet's clear beginning, as the trailer, and as both.
fn gcm_case(key: &AesGcm, test: &aead::Test, valid: bool, what: &str) {
    let nonce: [u8; 12] = test.nonce[..].try_into().unwrap();
    for clear in [0, test.aad.len() / 2, test.aad.len()] {
        let (header, trailer) = test.aad.split_at(clear);
        let plain = [header, &test.pt].concat();
        let sealed = [header, &test.ct].concat();
        let mut packet = sealed.clone();
        let opened = key.open_in_place(&nonce, clear, &mut packet, trailer, &test.tag);
        assert_eq!(opened.is_ok(), valid, "{what}");
        assert_eq!(packet, if valid { &plain[..] } else { &sealed }, "{what}");

        let mut out = vec![0; plain.len()];
        let tag = key.seal(&nonce, clear, &plain, &mut out, trailer);
        assert_eq!(out == sealed && tag[..] == test.tag[..], valid, "{what}");
    }
}

#[test]
fn aes_gcm() {
    let set = aead::TestSet::load(aead::TestName::AesGcm).unwrap();
    for k in Kernels::usable() {
        let mut ran = Ran::default();
        for group in &set.test_groups {
            assert_eq!(group.tag_size, 128);
            for test in &group.tests {
                let what = format!("{} AES-GCM {}: {}", k.name(), test.tc_id, test.comment);
                if group.nonce_size != 96 {
                    ran.cannot_be_said += 1;
                } else if let Ok(key) = AesGcm::new(k, &test.key) {
                    assert_ne!(group.key_size, 192, "{what}");
                    gcm_case(&key, test, ran.count(test.result), &what);
                } else {
                    assert_eq!(group.key_size, 192, "{what}");
                    ran.no_such_key += 1;
                }
            }
        }
        let expected = Ran {
            valid: 79,
            invalid: 54,
            no_such_key: 64,
            cannot_be_said: 119,
        };
        assert_eq!(ran, expected, "{}", k.name());
    }
}

/// HMAC-SHA1 alone: a packet that is clear to its end, whose last four bytes are the trailer.
#[test]
fn hmac_sha1() {
    let set = mac::TestSet::load(mac::TestName::HmacSha1).unwrap();
    for k in Kernels::usable() {
        let mut ran = Ran::default();
        for test in set.test_groups.iter().flat_map(|group| &group.tests) {
            let what = format!("{} HMAC-SHA1 {}: {}", k.name(), test.tc_id, test.comment);
            let auth_key = test.key[..].try_into();
            let (Ok(auth_key), Some((packet, trailer))) = (auth_key, test.msg.split_last_chunk())
            else {
                ran.cannot_be_said += 1;
                continue;
            };
            let valid = ran.count(test.result);
            let key = AesCmHmacSha1::new(k, &[0; 16], auth_key).unwrap();
            let (iv, clear) = ([0; 16], packet.len());
            let mut packet = packet.to_vec();
            let opened = key.open_in_place(&iv, clear, &mut packet, trailer, &test.tag);
            assert_eq!(opened.is_ok(), valid, "{what}");
            let tag = key.seal_in_place(&iv, clear, &mut packet, trailer);
            assert_eq!(tag[..test.tag.len()] == test.tag[..], valid, "{what}");
        }
        let expected = Ran {
            valid: 46,
            invalid: 52,
            no_such_key: 0,
            cannot_be_said: 72,
        };
        assert_eq!(ran, expected, "{}", k.name());
    }
}
