//! Tests of whole sessions, and of the RFCs' vectors.

#[cfg(feature = "batch")]
mod batch;
mod gaps;
mod local;
mod mki;
mod next;
mod passing;
#[path = "../../tests/common/protect.rs"]
mod protected;
mod receive;
mod remote;
mod send;
mod vectors;

use protected::{protect_rtcp, protect_rtp as protect};

use crate::{
    LocalSsrc, MAX_TRAILER, MasterKey, Mki, Policy, ProtectError, Session, SessionParams, Suite,
    UnprotectError, kernels,
};

const CM: Suite = Suite::AesCm128HmacSha1_80;
const CM_32: Suite = Suite::AesCm128HmacSha1_32;
const GCM: Suite = Suite::AeadAes128Gcm;

const SSRC: u32 = 0xcafe_f00d;

/// A policy whose master key consists of `n`.
fn policy(suite: Suite, n: u8) -> Policy {
    let key = MasterKey::new(suite, &vec![n; suite.key_salt_len()]).unwrap();
    Policy::new(suite, key, None).unwrap()
}

fn policy_mki(n: u8, mki: &[u8]) -> Policy {
    let key = MasterKey::new(CM, &[n; 30]).unwrap();
    Policy::new(CM, key, Some(Mki::new(mki).unwrap())).unwrap()
}

fn policy_params(suite: Suite, n: u8, params: SessionParams) -> Policy {
    let key = MasterKey::new(suite, &vec![n; suite.key_salt_len()]).unwrap();
    Policy::with_params(suite, key, None, params).unwrap()
}

fn sender(policy: &Policy) -> Session {
    let mut s = Session::new(kernels());
    s.set_local(LocalSsrc::Any, policy).unwrap();
    s
}

fn receiver(policy: &Policy) -> Session {
    let mut s = Session::new(kernels());
    s.set_remote(std::slice::from_ref(policy), false, 0)
        .unwrap();
    s
}

fn rtp_from(ssrc: u32, seq: u16, payload: &[u8]) -> Vec<u8> {
    let mut p = vec![0x80, 0];
    p.extend(seq.to_be_bytes());
    p.extend([0, 0, 0, 1]);
    p.extend(ssrc.to_be_bytes());
    p.extend(payload);
    p
}

fn rtp(seq: u16) -> Vec<u8> {
    rtp_from(SSRC, seq, &[seq as u8; 20])
}

fn rtcp(n: u8) -> Vec<u8> {
    let mut p = vec![0x80, 201, 0, 2];
    p.extend(SSRC.to_be_bytes());
    p.extend([n; 4]);
    p
}

/// At time `now`; a failure must leave the packet as it is.
fn unprotect_at(s: &mut Session, packet: &[u8], now: u64) -> Result<Vec<u8>, UnprotectError> {
    let mut buffer = packet.to_vec();
    let result = s.unprotect_rtp(&mut buffer, now);
    settle(packet, buffer, result)
}

fn unprotect(s: &mut Session, packet: &[u8]) -> Result<Vec<u8>, UnprotectError> {
    unprotect_at(s, packet, 0)
}

fn unprotect_rtcp(s: &mut Session, packet: &[u8]) -> Result<Vec<u8>, UnprotectError> {
    let mut buffer = packet.to_vec();
    let result = s.unprotect_rtcp(&mut buffer, 0);
    settle(packet, buffer, result)
}

fn settle(
    packet: &[u8],
    mut buffer: Vec<u8>,
    result: Result<usize, UnprotectError>,
) -> Result<Vec<u8>, UnprotectError> {
    match result {
        Ok(len) => {
            buffer.truncate(len);
            Ok(buffer)
        }
        Err(e) => {
            assert_eq!(buffer, packet, "{e}");
            Err(e)
        }
    }
}

/// Sends packets of sequence numbers `from` to far behind the next wrap, so that the counter
/// goes up by one.
fn wrap(s: &mut Session, from: u16) {
    for step in [0_u16, 0x4000, 0x8000, 0xc000, 0xffff] {
        protect(s, &rtp(from.wrapping_add(step))).unwrap();
    }
}

#[test]
fn a_session_may_move_to_another_thread() {
    fn is_send<T: Send>() {}
    is_send::<Session>();
}
