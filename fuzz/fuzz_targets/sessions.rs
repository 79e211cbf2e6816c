//! Sessions for the receiving targets: every suite, with and without MKI, one policy weakened.

use srtp::{LocalSsrc, MasterKey, Mki, Policy, Session, SessionParams, Suite, kernels};

/// One of 21 policies.
fn policy(choice: u8) -> Policy {
    let choice = usize::from(choice) % (2 * Suite::ALL.len() + 1);
    let suite = Suite::ALL[choice / 2 % Suite::ALL.len()];
    let key = MasterKey::new(suite, &vec![1; suite.key_salt_len()]).expect("length");
    let mki = (choice % 2 == 1).then(|| Mki::new(&[0, 1]).expect("length"));
    let params = SessionParams {
        unencrypted_srtcp: choice == 2 * Suite::ALL.len(),
        ..SessionParams::default()
    };
    Policy::with_params(suite, key, mki, params).expect("fits")
}

/// A sender and a receiver under the policy that the input's first octet chooses.
pub fn pair(choice: u8) -> (Session, Session) {
    let policy = policy(choice);
    let (mut tx, mut rx) = (Session::new(kernels()), Session::new(kernels()));
    tx.set_local(LocalSsrc::Any, &policy).expect("room");
    rx.set_remote(&[policy], false, 0).expect("one key");
    (tx, rx)
}
