//! What is around the kernels: keys derived, packets protected, keys written into a crypto attribute. What is decided by a
//! tag that came is not here: everybody may know that, and valgrind does not.

use std::hint::black_box;

use srtp::sdes::{CryptoLine, KeyParam};
use srtp::{Kernels, LocalSsrc, MAX_TRAILER, MasterKey, Policy, Session, SessionParams, Suite};

use crate::work::Watch;

const HEADER: [u8; 12] = *b"\x80\x00\x00\x01\x00\x00\x00\xa0\xca\xfe\xf0\x0d";
/// A receiver report without blocks, and a description of the source behind it.
const REPORT: [u8; 20] =
    *b"\x80\xc9\x00\x01\xca\xfe\xf0\x0d\x81\xca\x00\x02\xca\xfe\xf0\x0d\x01\x01a\x00";
const LEN: usize = HEADER.len() + 160;

/// Sessions of a level.
pub fn sessions(k: &'static Kernels, w: &mut dyn Watch) {
    for suite in [Suite::AesCm128HmacSha1_80, Suite::AeadAes256Gcm] {
        session(k, suite, w);
        attribute(suite, w);
    }
}

fn session(k: &'static Kernels, suite: Suite, w: &mut dyn Watch) {
    let name = suite.name();
    let mut octets = [0; 46];
    let octets = &mut octets[..suite.key_salt_len()];
    w.secret(octets);
    let key = MasterKey::new(suite, octets).expect("a key of the suite's length");
    let policy = Policy::new(suite, key, None).expect("a policy that every suite has");
    let (mut sender, mut receiver) = (Session::new(k), Session::new(k));
    w.watch(&format_args!("{name}, keys"), &mut || {
        sender
            .set_local(LocalSsrc::Any, &policy)
            .expect("the first key");
        let remote = std::slice::from_ref(&policy);
        receiver
            .set_remote(remote, false, 0)
            .expect("the first key");
    });
    let mut packet = [0; LEN];
    packet[..HEADER.len()].copy_from_slice(&HEADER);
    w.secret(&mut packet[HEADER.len()..]);
    let mut sent = [0; LEN + MAX_TRAILER];
    let mut len = 0;
    w.watch(&format_args!("{name}, a packet protected"), &mut || {
        len = sender.protect_rtp(&packet, &mut sent).expect("a new index");
    });
    let mut report = [0; REPORT.len() + MAX_TRAILER];
    let mut report_len = 0;
    w.watch(&format_args!("{name}, a report protected"), &mut || {
        let protected = sender.protect_rtcp(&REPORT, &mut report);
        report_len = protected.expect("a report that is one");
    });
    black_box((&sent, len, &report, report_len));
}

/// Written only: who reads one decides of each octet whether it is a digit or ends the key.
fn attribute(suite: Suite, w: &mut dyn Watch) {
    let name = suite.name();
    let mut octets = [0; 46];
    let octets = &mut octets[..suite.key_salt_len()];
    w.secret(octets);
    let line = CryptoLine {
        tag: 1,
        suite,
        old_name: false,
        keys: vec![KeyParam {
            key: MasterKey::new(suite, octets).expect("a key of the suite's length"),
            lifetime: None,
            mki: None,
        }],
        params: SessionParams::default(),
    };
    let mut text = None;
    w.watch(&format_args!("{name}, an attribute written"), &mut || {
        text = Some(line.to_sdp());
    });
    black_box(text);
}
