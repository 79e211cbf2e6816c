//! Streams that go on where nobody expects it: after long silence, lost turns, jumps; and what must stay out all the same.

use super::*;

const TURN: u64 = 1 << 16;

/// A packet of `policy`'s key under any index, as a peer with its own idea of the counter sends it: from another sender,
/// whose counter is walked there.
fn sealed(policy: &Policy, ssrc: u32, index: u64) -> Vec<u8> {
    let mut s = sender(policy);
    let at = |index: u64| rtp_from(ssrc, index as u16, &index.to_be_bytes());
    let mut walked = index % 0x4000;
    while walked < index {
        protect(&mut s, &at(walked)).unwrap();
        walked += 0x4000;
    }
    protect(&mut s, &at(index)).unwrap()
}

/// One stream of one key, and when its next packet comes.
struct Peer {
    policy: Policy,
    r: Session,
    now: u64,
}

impl Peer {
    fn new() -> Self {
        let policy = policy(CM, 1);
        Peer {
            r: receiver(&policy),
            policy,
            now: 5_000,
        }
    }

    /// 20 ms later, the packet with this index.
    fn send(&mut self, index: u64) -> Result<(), UnprotectError> {
        self.now += 20;
        let packet = sealed(&self.policy, SSRC, index);
        unprotect_at(&mut self.r, &packet, self.now).map(|_| ())
    }

    /// How many packets from `first` on are lost before one is heard, of a hundred.
    fn deaf(&mut self, first: u64) -> Option<u64> {
        (0..100).find(|i| self.send(first + i).is_ok())
    }

    fn renew(&mut self) {
        self.r
            .set_remote(std::slice::from_ref(&self.policy), false, self.now)
            .unwrap();
    }
}

#[test]
fn a_peer_that_counted_through_a_silence_is_heard_at_once() {
    for (last, next) in [(TURN + 1000, TURN + 46_000), (60_000, TURN + 40_000)] {
        let mut p = Peer::new();
        p.send(last - 70).unwrap();
        for index in last - 5..=last {
            p.send(index).unwrap();
        }
        assert_eq!(p.deaf(next), Some(0), "{last:#x} {next:#x}");
        for index in next + 1..next + 60 {
            p.send(index).unwrap();
        }
        assert_eq!(p.r.stats().remote_roc, Some((next >> 16) as u32));
        assert!(p.send(last).is_err(), "a replay");
    }
}

#[test]
fn whole_turns_that_were_lost_are_found() {
    for (turns, most) in [(1, 4), (2, 10), (10, 26), (46, 98)] {
        let mut p = Peer::new();
        for index in 3000..3010 {
            p.send(index).unwrap();
        }
        let deaf = p.deaf(3010 + turns * TURN).unwrap();
        assert!(deaf <= most, "{turns} turns: {deaf} packets");
        assert_eq!(p.r.stats().remote_roc, Some(turns as u32));
    }
    // What lies further ahead is not looked for.
    let mut p = Peer::new();
    p.send(3000).unwrap();
    assert_eq!(p.deaf(3010 + 47 * TURN), None);
}

#[test]
fn after_a_description_a_peer_may_go_back_to_where_it_never_was() {
    let mut p = Peer::new();
    for index in 33_000..=33_074 {
        p.send(index).unwrap();
    }
    let before = sealed(&p.policy, SSRC, 33_050);
    assert_eq!(
        p.send(23_079),
        Err(UnprotectError::IndexTooOld),
        "without a description"
    );
    p.renew();
    for index in 23_080..33_000 {
        // A sender of its own for each takes long; every hundredth one shows it.
        if index < 23_280 || index % 100 == 0 {
            p.send(index).unwrap();
        }
    }
    assert!(unprotect_at(&mut p.r, &before, p.now).is_err(), "a replay");
    for index in 33_000..=33_074 {
        assert!(p.send(index).is_err(), "{index} was heard before");
    }
    p.send(33_075).unwrap();
}

#[test]
fn one_description_lets_one_stream_go_back_once() {
    let mut p = Peer::new();
    for index in [40_000, 40_001] {
        p.send(index).unwrap();
    }
    p.renew();
    p.send(30_000).unwrap();
    assert_eq!(p.send(20_000), Err(UnprotectError::IndexTooOld));
}

#[test]
fn without_a_description_a_peer_goes_back_after_a_second() {
    let mut p = Peer::new();
    for index in 33_000..=33_074 {
        p.send(index).unwrap();
    }
    let deaf = p.deaf(23_080).unwrap();
    assert!((45..=60).contains(&deaf), "{deaf} packets of 20 ms");
    p.send(23_080 + deaf + 1).unwrap();
}

#[test]
fn a_packet_held_back_stays_out_while_the_stream_is_heard() {
    let mut p = Peer::new();
    p.send(1000).unwrap();
    p.send(2000).unwrap();
    for index in 2001..2100 {
        p.send(index).unwrap();
        assert_eq!(p.send(1500 + index % 50), Err(UnprotectError::IndexTooOld));
    }
}

#[test]
fn a_peer_that_begins_anew_where_it_was_heard_stays_out() {
    // Heard from 1000 on, past the wrap; then from 1000 on again under the same counter and key.
    let mut p = Peer::new();
    for step in 0..=70 {
        p.send(1000 + step * 1000).unwrap();
    }
    p.renew();
    p.now += 10_000;
    assert_eq!(p.deaf(1000), None);
    assert!(p.r.missed(SSRC) >= 100);
}

#[test]
fn a_counter_reset_to_what_was_never_heard_is_followed() {
    let mut p = Peer::new();
    for index in [50_000, 60_000, TURN + 5_000, TURN + 5_001] {
        p.send(index).unwrap();
    }
    p.renew();
    let deaf = p.deaf(5_002).unwrap();
    assert!(deaf < 10, "{deaf}");
    assert_eq!(p.r.stats().remote_roc, Some(0));
}

#[test]
fn under_a_new_key_a_peer_may_have_counted_on() {
    for turns in [0, 1, 3] {
        let mut p = Peer::new();
        for index in [1000, 20_000, 50_000, TURN + 1000] {
            p.send(index).unwrap();
        }
        p.policy = policy(CM, 2);
        p.renew();
        let deaf = p.deaf(TURN + 46_000 + turns * TURN).unwrap();
        assert!(deaf <= 16, "{turns} turns: {deaf} packets");
    }
}

#[test]
fn a_source_never_heard_may_be_turns_ahead() {
    let mut p = Peer::new();
    p.send(1000).unwrap();
    let other = |index| sealed(&policy(CM, 1), 77, index);
    let deaf = (0..100).find(|i| {
        p.now += 20;
        unprotect_at(&mut p.r, &other(5 * TURN + 100 + i), p.now).is_ok()
    });
    assert!(deaf.unwrap() <= 98);
}

#[test]
fn without_a_tag_nothing_is_searched() {
    let params = SessionParams {
        unauthenticated_srtp: true,
        ..Default::default()
    };
    let policy = policy_params(CM, 1, params);
    let mut r = receiver(&policy);
    for index in [TURN + 1000, TURN + 1001] {
        let _ = unprotect_at(&mut r, &sealed(&policy, SSRC, index), 0);
    }
    let roc = r.stats().remote_roc;
    for i in 0..100 {
        let late = sealed(&policy, SSRC, 46_000 + i);
        let _ = unprotect_at(&mut r, &late, 20 * i);
        assert_eq!(r.stats().remote_roc, roc);
    }
}

#[test]
fn forged_packets_do_not_hide_a_peer_that_comes_back() {
    let mut p = Peer::new();
    for index in 3000..3010 {
        p.send(index).unwrap();
    }
    // Ten forged ones for each of the peer's, whose turn was lost.
    let heard = (0..400).find(|i| {
        for n in 0..10 {
            let mut forged = rtp_from(SSRC, (3010 + i * 10 + n) as u16, &[n as u8; 20]);
            forged.extend([0; 10]);
            assert!(unprotect_at(&mut p.r, &forged, p.now).is_err());
        }
        p.send(TURN + 3010 + i).is_ok()
    });
    assert!(heard.is_some());
}
