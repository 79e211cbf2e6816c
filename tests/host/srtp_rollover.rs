//! The rollover counter over a re-INVITE (RFC 3711 section 3.3.1), with peers that keep theirs and peers that do not.

use host_harness::asterisk::{Asterisk, Setup};
use host_harness::lab::Lab;
use host_harness::peer::{
    Key,
    srtp::{AES_80, AES_UNAUTHENTICATED},
};

use crate::srtp_call::{self, Call, PBX, PORT};

/// What the peer does with its rollover counter when it takes a new key.
#[derive(Debug, Clone, Copy)]
enum Peer {
    KeepsCounter,
    ResetsCounter,
}

/// Packets that come back, of ten, after a re-INVITE past both sides' wrap. The same key: `rekey` is `None`.
fn echoes_after(lab: &Lab, rekey: Option<Peer>) -> usize {
    let mut call = Call::new(lab);
    let key = Key::new(AES_80, 1);
    call.dial("echo", &key);
    assert_eq!(call.media.echoes(5), 5, "the call itself");
    call.media.echo_past_both_wraps();
    assert_eq!(call.media.echoes(5), 5, "past the wrap");
    let new = if rekey.is_some() {
        Key::new(AES_80, 2)
    } else {
        key
    };
    let same = call.reoffer(&new.line(1, "")).expect("accepted");
    assert!(same, "the local key lives as long as the call");
    match rekey {
        None => {}
        Some(Peer::KeepsCounter) => call.media.send_with(&new, 1),
        Some(Peer::ResetsCounter) => call.media.send_with(&new, 0),
    }
    let echoes = call.media.echoes(10);
    call.hang_up();
    echoes
}

#[test]
fn audio_goes_on_past_the_wrap() {
    let lab = Lab::new("srtp-rollover");
    let pbx = srtp_call::ours(&lab);
    assert_eq!(echoes_after(&lab, None), 10, "the same key again");
    assert_eq!(echoes_after(&lab, Some(Peer::KeepsCounter)), 10);
    assert_eq!(echoes_after(&lab, Some(Peer::ResetsCounter)), 10);
    assert_eq!(pbx.count("Authentication failures"), 0);
    assert_eq!(pbx.count("Replays dropped"), 0);
}

/// Under one key, each source counts for itself; a source that comes back goes on where it was.
#[test]
fn each_source_has_its_counter() {
    let lab = Lab::new("srtp-sources");
    let pbx = srtp_call::ours(&lab);
    let mut call = Call::new(&lab);
    let key = Key::new(AES_80, 1);
    call.dial("echo", &key);
    call.media.echo_past_both_wraps();
    let (first, sequence) = (call.media.ssrc, call.media.sequence);
    call.media.ssrc ^= 1;
    call.media.sequence = 40_000;
    call.media.send_with(&key, 0);
    // What comes from another source may be lost until Asterisk believes it.
    assert!(call.media.echoes(12) >= 10, "another source");
    call.media.ssrc = first;
    call.media.sequence = sequence;
    call.media.send_with(&key, 1);
    assert!(call.media.echoes(12) >= 10, "the first one again");
    assert_eq!(pbx.count("Authentication failures"), 0);
}

/// The peer's address changes, with its key and its counter; ours does not, and goes on.
#[test]
fn a_peer_that_moves_begins_anew() {
    let lab = Lab::new("srtp-moves");
    let pbx = srtp_call::ours(&lab);
    let mut call = Call::new(&lab);
    call.dial("echo", &Key::new(AES_80, 1));
    call.media.echo_past_both_wraps();
    call.move_to(&lab, PORT + 100, &Key::new(AES_80, 2));
    assert!(call.media.echoes(12) >= 10);
    assert_eq!(pbx.count("Authentication failures"), 0);
}

/// Packets without a tag open under every counter, so what is tried first decides: the counter that the peer had, or zero
/// when its address has changed with the key (RFC 4568 section 7.1.4). The twin that begins anew where it was is not heard.
#[test]
fn without_a_tag_the_address_tells_where_a_new_key_begins() {
    let lab = Lab::new("srtp-moves-tagless");
    let setup =
        Setup::ours("pbx", PBX).file("ciphertrunk.conf", "[srtp]\nallow = UNAUTHENTICATED_SRTP\n");
    let pbx = Asterisk::start(&lab, &srtp_call::with_endpoints(setup));
    if pbx.status("PJSIP") != "found" {
        return host_harness::host::skip(
            "srtp_rollover::without_a_tag_the_address_tells_where_a_new_key_begins",
            "without its half for PJSIP the module does not see where descriptions want the media",
        );
    }
    let next = Key::new(AES_UNAUTHENTICATED, 2);
    let past_the_wrap = || {
        let mut call = Call::new(&lab);
        call.dial("echo", &Key::new(AES_UNAUTHENTICATED, 1));
        assert_eq!(call.media.echoes(5), 5, "the call itself");
        call.media.echo_past_both_wraps();
        assert_eq!(call.media.echoes(5), 5, "past the wrap");
        call
    };

    let mut call = past_the_wrap();
    call.move_to(&lab, PORT + 100, &next);
    // What comes from another address may be lost until Asterisk believes it.
    assert!(call.media.echoes(12) >= 10, "it moved, and begins anew");
    call.hang_up();
    // Its addresses are the next one's.
    drop(call);

    for (roc, heard) in [(1, 10), (0, 0)] {
        let mut call = past_the_wrap();
        let same = call.reoffer(&next.line(1, "")).expect("accepted");
        assert!(same, "the local key stays");
        call.media.send_with(&next, roc);
        assert_eq!(call.media.echoes(10), heard, "it stays, with counter {roc}");
        call.hang_up();
    }
    assert_eq!(pbx.count("Authentication failures"), 0);
}

/// The same with stock: silence, whatever the peer does. Shows that the test above can fail.
#[test]
fn in_stock_it_ends_there() {
    let lab = Lab::new("srtp-rollover-stock");
    let _pbx = srtp_call::stock(&lab);
    assert_eq!(echoes_after(&lab, None), 10, "the same key again");
    assert_eq!(echoes_after(&lab, Some(Peer::KeepsCounter)), 0);
    assert_eq!(echoes_after(&lab, Some(Peer::ResetsCounter)), 0);
}

/// Where a peer's packets are: rollover counter and sequence number.
type Index = (u32, u16);

/// Packets that a second of audio has, twice: after so many a stream is to be heard again.
const TWO_SECONDS: usize = 100;

/// Packets that come back, of 100, when a peer goes on at `next` that was heard last at `last`, with the same key and SSRC:
/// it counted while nothing of it arrived. What comes behind the first one that is heard is heard.
fn echoes_beyond(lab: &Lab, last: Index, next: Index) -> usize {
    let mut call = Call::new(lab);
    let key = Key::new(AES_80, 1);
    // Half a turn before, so that the counter is that of `last`, too.
    call.media.sequence = last.1.wrapping_sub(20_000);
    call.dial("echo", &key);
    assert_eq!(call.media.echoes(5), 5, "the call itself");
    call.media.sequence = last.1 - 5;
    assert_eq!(call.media.echoes(6), 6, "before the silence");
    call.media.sequence = next.1;
    call.media.send_with(&key, next.0);
    let heard: Vec<_> = (0..TWO_SECONDS)
        .map(|_| call.media.echo().is_some())
        .collect();
    call.hang_up();
    let deaf = heard.iter().take_while(|heard| !**heard).count();
    assert!(heard[deaf..].iter().all(|heard| *heard), "{heard:?}");
    heard.len() - deaf
}

#[test]
fn a_peer_that_counts_while_nothing_arrives_is_heard_again() {
    let lab = Lab::new("srtp-gaps");
    let pbx = srtp_call::ours(&lab);
    // Of these the packet's place says that it is none of those heard: nothing is lost.
    assert_eq!(echoes_beyond(&lab, (1, 1000), (1, 46_000)), 100);
    assert_eq!(echoes_beyond(&lab, (0, 60_000), (1, 40_000)), 100);
    assert_eq!(pbx.count("Authentication failures"), 0);
    // A turn, and ten: it looks like the next packet.
    assert_eq!(echoes_beyond(&lab, (0, 30_000), (1, 30_006)), 96);
    assert!(echoes_beyond(&lab, (0, 30_000), (10, 30_006)) >= 74);
    // And further than anybody looks, with its line.
    assert_eq!(echoes_beyond(&lab, (0, 30_000), (48, 30_006)), 0);
    let lines = pbx.all_log_lines("packets in a row do not authenticate");
    assert_eq!(lines.len(), 2, "the ten turns and the 48: {lines:?}");
    assert!(
        lines
            .iter()
            .all(|line| line.ends_with("Reason packets-not-authentic")),
        "{lines:?}"
    );
}

#[test]
fn in_stock_a_peer_that_counts_while_nothing_arrives_is_lost() {
    let lab = Lab::new("srtp-gaps-stock");
    let _pbx = srtp_call::stock(&lab);
    assert_eq!(echoes_beyond(&lab, (1, 1000), (1, 46_000)), 0);
    assert_eq!(echoes_beyond(&lab, (0, 60_000), (1, 40_000)), 0);
    assert_eq!(echoes_beyond(&lab, (0, 30_000), (1, 30_006)), 0);
    // Its detector: without a gap it is heard.
    assert_eq!(echoes_beyond(&lab, (0, 30_000), (0, 30_006)), 100);
}
