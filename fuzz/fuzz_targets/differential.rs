//! Input: suite, key, then packets (kind, length in two octets, octets). libsrtp and we must agree on each, and so must all of our
//! kernels that this machine can run: protected octets, and what a receiver says.
#![no_main]

#[path = "../../crates/srtp/tests/common/libsrtp.rs"]
#[allow(dead_code)] // RTCP has a test of its own.
mod libsrtp;

use libfuzzer_sys::fuzz_target;
use libsrtp::{LibSrtp, Setup, Status};
use srtp::{
    Kernels, LocalSsrc, MAX_TRAILER, MasterKey, Policy, ProtectError, Session, Suite,
    UnprotectError,
};

/// One end, once with each of our kernels.
struct Ours(Vec<Session>);

impl Ours {
    /// The best comes first.
    fn new(mut with_keys: impl FnMut(&mut Session)) -> Self {
        let sessions = Kernels::usable().map(|level| {
            let mut session = Session::new(level);
            with_keys(&mut session);
            session
        });
        Self(sessions.collect())
    }

    /// What all say, and the packet.
    fn protect(&mut self, packet: &[u8]) -> Result<Vec<u8>, ProtectError> {
        self.each(|session| {
            let mut out = vec![0; packet.len() + MAX_TRAILER];
            let len = session.protect_rtp(packet, &mut out)?;
            out.truncate(len);
            Ok(out)
        })
    }

    /// What all say, with what stands in the buffer then.
    fn unprotect(&mut self, arrived: &[u8]) -> (Result<usize, UnprotectError>, Vec<u8>) {
        self.each(|session| {
            let mut buffer = arrived.to_vec();
            (session.unprotect_rtp(&mut buffer, 0), buffer)
        })
    }

    fn each<R: PartialEq + std::fmt::Debug>(
        &mut self,
        mut step: impl FnMut(&mut Session) -> R,
    ) -> R {
        let (best, others) = self
            .0
            .split_first_mut()
            .expect("the portable one is always there");
        let result = step(best);
        for (session, level) in others.iter_mut().zip(Kernels::usable().skip(1)) {
            assert_eq!(step(session), result, "{}", level.name());
        }
        result
    }
}

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
    let mut tx = Ours::new(|session| session.set_local(LocalSsrc::Any, &policy).expect("room"));
    let mut rx = Ours::new(|session| {
        let keys = std::slice::from_ref(&policy);
        session.set_remote(keys, false, 0).expect("one key");
    });
    let mut their_tx = LibSrtp::new(&Setup::new(suite, &key_salt, false));
    let mut their_rx = LibSrtp::new(&Setup::new(suite, &key_salt, true));

    let mut rest = data;
    while let [kind, high, low, more @ ..] = rest {
        let len = usize::from(u16::from_be_bytes([*high, *low])) % 2048;
        let (packet, more) = more.split_at(more.len().min(len));
        rest = more;
        // RTCP indexes differ by one between the two, so only RTP is compared here.
        let sent = match (tx.protect(packet), their_tx.protect_rtp(packet)) {
            (Ok(ours), Ok(theirs)) => {
                assert_eq!(ours, theirs);
                theirs
            }
            // The same payload under a used index.
            (Ok(ours), Err(Status::REPLAY_FAIL)) => ours,
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
        let (ours, buffer) = rx.unprotect(&arrived);
        match (ours, their_rx.unprotect_rtp(&arrived)) {
            (Ok(len), Ok(theirs)) => assert_eq!(buffer[..len], theirs),
            // A stream that wrapped before it was heard: libsrtp never hears it.
            (Ok(_), Err(Status::AUTH_FAIL)) if rx.0[0].stats().remote_roc == Some(1) => return,
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
