//! Crypto attributes put together at random from what peers send and what they should not: what must hold is in
//! `common/line.rs`.

#[path = "common/line.rs"]
mod line;

use quickcheck::{QuickCheck, TestResult};

/// Pieces of lines. Most sequences of them are refused early, so a script begins with a good key.
const PIECES: [&str; 24] = [
    " ",
    "\t",
    "|",
    ":",
    ";",
    ",",
    "-",
    "=",
    "==",
    "2^31",
    "2^49",
    "2^20",
    "1048576",
    "1:4",
    "7:2",
    "inline:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwd",
    "A",
    "WSH=64",
    "UNENCRYPTED_SRTP",
    "unencrypted_srtcp",
    "UNAUTHENTICATED_SRTP",
    "KDR=1",
    "vendor=1",
    "\u{e9}",
];
const BEGINNINGS: [&str; 4] = [
    "1 AES_CM_128_HMAC_SHA1_80 inline:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwd",
    "01 aes_cm_128_hmac_sha1_32 Inline: AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwd",
    "0 AES_CM_256_HMAC_SHA1_80 inline:CYkq/gl8W1Bik8xvqlmJxnznqfDD5fGg13aLsjTOku/ILo8K3RgOQaxlq1KYFe",
    "9 AEAD_AES_128_GCM inline:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAB",
];

#[test]
fn whatever_is_read_is_written_and_read_again() {
    fn holds(rules: u8, beginning: u8, pieces: Vec<u8>) -> TestResult {
        let mut data = vec![rules];
        data.extend(BEGINNINGS[usize::from(beginning) % BEGINNINGS.len()].bytes());
        for piece in pieces.iter().take(8) {
            data.extend(PIECES[usize::from(*piece) % PIECES.len()].bytes());
        }
        line::run(&data);
        TestResult::passed()
    }
    QuickCheck::new()
        .tests(20_000)
        .quickcheck(holds as fn(u8, u8, Vec<u8>) -> TestResult);
}
