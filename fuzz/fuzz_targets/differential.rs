//! Input: suite, key, then packets (kind, length, octets). libsrtp and we must agree on each:
//! protected octets, and what a receiver says.
#![no_main]

#[path = "../../crates/srtp/tests/common/libsrtp.rs"]
#[allow(dead_code)] // RTCP has a test of its own.
mod libsrtp;

use libfuzzer_sys::fuzz_target;
use libsrtp::{LibSrtp, Setup, Status};
use srtp::{LocalSsrc, MAX_TRAILER, MasterKey, Policy, ProtectError, Session, Suite, kernels};

/// Without AES-192, whose keys libsrtp derives wrongly before its issue 763 was fixed.
const SUITES: [Suite; 8] = [
    Suite::AesCm128HmacSha1_80,
    Suite::AesCm128HmacSha1_32,
    Suite::AesCm256HmacSha1_80,
    Suite::AesCm256HmacSha1_32,
    Suite::AeadAes128Gcm,
    Suite::AeadAes256Gcm,
    Suite::AeadAes128Gcm8,
    Suite::AeadAes256Gcm8,
];

fuzz_target!(|data: &[u8]| {
    let [suite, key, data @ ..] = data else {
        return;
    };
    let suite = SUITES[usize::from(*suite) % SUITES.len()];
    let key_salt = vec![*key; suite.key_salt_len()];
    let master = MasterKey::new(suite, &key_salt).expect("length");
    let policy = Policy::new(suite, master, None).expect("fits");
    let (mut tx, mut rx) = (Session::new(kernels()), Session::new(kernels()));
    tx.set_local(LocalSsrc::Any, &policy).expect("room");
    rx.set_remote(&[policy], false, 0).expect("one key");
    let mut their_tx = LibSrtp::new(&Setup::new(suite, &key_salt, false));
    let mut their_rx = LibSrtp::new(&Setup::new(suite, &key_salt, true));

    let mut rest = data;
    while let [kind, len, more @ ..] = rest {
        let (packet, more) = more.split_at(more.len().min(usize::from(*len)));
        rest = more;
        let mut out = vec![0; packet.len() + MAX_TRAILER];
        // RTCP indexes differ by one between the two, so only RTP is compared here.
        let ours = tx.protect_rtp(packet, &mut out);
        let sent = match (ours, their_tx.protect_rtp(packet)) {
            (Ok(len), Ok(theirs)) => {
                assert_eq!(out[..len], theirs);
                theirs
            }
            // The same payload under a used index.
            (Ok(len), Err(Status::REPLAY_FAIL)) => out[..len].to_vec(),
            // We refuse what is not RTP; libsrtp does not look at the version.
            // From here on the two have sent different things.
            (Err(ProtectError::Malformed(_)), Ok(_)) => return,
            // Before index 0, where libsrtp jumps ahead.
            (Err(ProtectError::IndexTooOld), Ok(_)) => return,
            (Err(_), Err(_)) => continue,
            (ours, theirs) => panic!("we say {ours:?}, libsrtp says {theirs:?}"),
        };
        let mut arrived = sent.clone();
        if kind & 1 != 0 {
            let at = usize::from(*kind >> 1) % arrived.len();
            arrived[at] ^= 0x40;
        }
        let mut buffer = arrived.clone();
        match (
            rx.unprotect_rtp(&mut buffer, 0),
            their_rx.unprotect_rtp(&arrived),
        ) {
            (Ok(len), Ok(theirs)) => assert_eq!(buffer[..len], theirs),
            // A stream that wrapped before it was heard: libsrtp never hears it.
            (Ok(_), Err(Status::AUTH_FAIL)) if rx.stats().remote_roc == Some(1) => return,
            // A stream that jumped too far for libsrtp, and comes as it was sent: the two part here.
            (Ok(len), Err(Status::AUTH_FAIL | Status::REPLAY_OLD)) if arrived == sent => {
                assert_eq!(buffer[..len], *packet);
                return;
            }
            (Err(_), Err(_)) => assert_eq!(buffer, arrived),
            (ours, theirs) => panic!("we say {ours:?}, libsrtp says {theirs:?}"),
        }
    }
});
