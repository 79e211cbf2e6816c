//! Sessions for the receiving targets: every suite, with and without MKI, one policy weakened.

use srtp::{LocalSsrc, MasterKey, Mki, Policy, Session, SessionParams, Suite, kernels};

fn policies() -> Vec<Policy> {
    let mut all = Vec::new();
    for suite in Suite::ALL {
        let key = || MasterKey::new(suite, &vec![1; suite.key_salt_len()]).expect("length");
        for mki in [None, Some(Mki::new(&[0, 1]).expect("length"))] {
            all.push(Policy::new(suite, key(), mki).expect("fits"));
        }
    }
    let suite = Suite::AesCm128HmacSha1_80;
    let key = MasterKey::new(suite, &[1; 30]).expect("length");
    let params = SessionParams { unencrypted_srtcp: true, ..SessionParams::default() };
    all.push(Policy::with_params(suite, key, None, params).expect("fits"));
    all
}

/// A sender and a receiver under the policy that the input's first octet chooses.
pub fn pair(choice: u8) -> (Session, Session) {
    let all = policies();
    let policy = &all[usize::from(choice) % all.len()];
    let (mut tx, mut rx) = (Session::new(kernels()), Session::new(kernels()));
    tx.set_local(LocalSsrc::Any, policy).expect("room");
    rx.set_remote(std::slice::from_ref(policy), false, 0).expect("one key");
    (tx, rx)
}
