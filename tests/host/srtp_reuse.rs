//! A plain leg bridged to one with SDES: what must leave under an index that was used.

use host_harness::asterisk::{Asterisk, Setup};
use host_harness::lab::Lab;
use host_harness::peer::srtp::{AES_80, GCM_256};
use host_harness::peer::{Heard, Key};

use crate::srtp_call::{self, Bridged, PBX};

const DUPLICATES: usize = 50;

/// Asterisk's core has the call from its beginning to its end. (A native bridge gives it to the core in the midst of duplicates, and a pair
/// between which that happens is two packets: native_network.)
const CORE: &str = "[media]\nnative_bridge = no\n";

/// What the SDES side got of audio that the plain side sent.
struct Seen {
    /// Packets in which some of it lies open.
    clear: usize,
    /// Pieces of audio that could be decrypted.
    heard: usize,
}

fn seen(heard: &[Heard], sent: &[Vec<u8>]) -> Seen {
    let shows = |heard: &&Heard| sent.iter().any(|audio| heard.shows(audio));
    let arrived = |audio: &&Vec<u8>| {
        heard
            .iter()
            .any(|heard| !heard.shows(audio) && heard.payload.as_ref() == Some(*audio))
    };
    Seen {
        clear: heard.iter().filter(shows).count(),
        heard: sent.iter().filter(arrived).count(),
    }
}

/// What the SDES side gets until audio comes that the plain side sends now.
fn behind(call: &mut Bridged) -> Vec<Heard> {
    let audio = call.plain.audio();
    call.plain.send(&audio);
    call.sdes.hear_until(&audio)
}

/// Sends packets from the plain side, each of them twice.
fn duplicates(lab: &Lab, key: &Key) -> Seen {
    let mut call = Bridged::new(lab, key);
    call.warm_up();
    let mut sent = Vec::new();
    let mut heard = Vec::new();
    for _ in 0..DUPLICATES {
        let audio = call.plain.audio();
        let wire = call.plain.sealed(&audio);
        call.plain.send_raw(&wire);
        call.plain.send_raw(&wire);
        heard.extend(call.sdes.hear_until(&audio));
        sent.push(audio);
    }
    heard.extend(behind(&mut call));
    seen(&heard, &sent)
}

/// Sends sequence numbers around the wrap in another order: 65534, 2, 1, 65535, 0.
fn reordered_at_the_wrap(lab: &Lab) -> Seen {
    let mut call = Bridged::new(lab, &Key::new(AES_80, 1));
    call.plain.sequence = u16::MAX - 60;
    call.warm_up();
    while call.plain.sequence != 65534 {
        assert!(call.pass(), "up to the wrap");
    }
    let mut sent = Vec::new();
    for sequence in [65534, 2, 1, 65535, 0, 3, 4, 5] {
        call.plain.sequence = sequence;
        let audio = call.plain.audio();
        call.plain.send(&audio);
        sent.push(audio);
    }
    let heard = behind(&mut call);
    seen(&heard, &sent)
}

#[test]
fn duplicates_of_a_plain_leg_never_leave_in_clear() {
    let lab = Lab::new("srtp-duplicates");
    let setup = srtp_call::with_endpoints(Setup::ours("pbx", PBX)).file("ciphertrunk.conf", CORE);
    let pbx = Asterisk::start(&lab, &setup);
    let seen = duplicates(&lab, &Key::new(AES_80, 1));
    assert_eq!((seen.clear, seen.heard), (0, DUPLICATES));
    let again = pbx.count("Used indexes encrypted again") + pbx.count("Used indexes dropped");
    assert_eq!(again, DUPLICATES as u64, "the core handed them over");
}

/// An AEAD's nonce is used once, whatever the payload.
#[test]
fn under_an_aead_duplicates_are_dropped() {
    let lab = Lab::new("srtp-duplicates-gcm");
    let setup = srtp_call::with_endpoints(Setup::ours("pbx", PBX)).file(
        "ciphertrunk.conf",
        &format!("{CORE}[sdes]\ntype = endpoint\noffer = AEAD_AES_256_GCM\n"),
    );
    let pbx = Asterisk::start(&lab, &setup);
    let seen = duplicates(&lab, &Key::new(GCM_256, 1));
    assert_eq!((seen.clear, seen.heard), (0, DUPLICATES));
    assert_eq!(pbx.count("Used indexes dropped"), DUPLICATES as u64);
    assert_eq!(pbx.count("Used indexes encrypted again"), 0);
}

#[test]
fn reordering_at_the_wrap_lets_nothing_out_in_clear() {
    let lab = Lab::new("srtp-wrap");
    let _pbx = srtp_call::ours(&lab);
    let seen = reordered_at_the_wrap(&lab);
    assert_eq!(seen.clear, 0);
    assert!(seen.heard >= 5, "only {} of 8 arrived", seen.heard);
}

/// The same two with stock: audio on the wire. Shows that the tests above find it.
#[test]
fn stock_lets_them_out_in_clear() {
    let lab = Lab::new("srtp-duplicates-stock");
    let _pbx = srtp_call::stock(&lab);
    let seen = duplicates(&lab, &Key::new(AES_80, 1));
    assert_eq!((seen.clear, seen.heard), (DUPLICATES, DUPLICATES));
    let seen = reordered_at_the_wrap(&lab);
    assert!(seen.clear >= 1);
}
