//! A plain leg whose packets are duplicated, or reordered where the sequence number wraps, bridged to an SDES leg: stock's
//! engine lets such packets out in clear. Ours does not.

use host_harness::asterisk::{Asterisk, Setup, User};
use host_harness::capture::{Capture, Wire};
use host_harness::lab::Lab;
use host_harness::pjsip::{self, Encryption, UDP};
use host_harness::sipp::{self, Call, Plan};

use crate::world::{self, CARRIER, CARRIER_TONE, OURS};

as_root_and_as_asterisk!(duplicated_packets, reordered_at_the_wrap);

const SIPP: &str = "127.0.0.40";
const TONE: f64 = 425.0;

/// What left for the carrier.
fn bridge(lab: &Lab, setup: Setup, sequence: &[u16]) -> (Wire, Option<(u64, u64)>) {
    let ours = setup
        .pjsip(UDP)
        .pjsip(&pjsip::trunk("sipp", SIPP, Encryption::Plain))
        .pjsip(&pjsip::trunk("carrier", CARRIER, Encryption::Sdes))
        .dialplan("exten => through,1,Dial(PJSIP/say@carrier)\n");
    let bridge = Asterisk::start(lab, &ours);
    let carrier = Asterisk::start(lab, &world::carrier(Encryption::Sdes));
    lab.write("rtp.pcap", sipp::rtp_file(sequence, TONE));
    let capture = Capture::start(lab, "call");
    let caller = Call {
        id: "caller".to_owned(),
        address: SIPP.to_owned(),
        asterisk: OURS.to_owned(),
        media: "m=audio [media_port] RTP/AVP 0\na=rtpmap:0 PCMU/8000".to_owned(),
    };
    let length = u32::try_from(sequence.len() * 20 + 500).expect("some seconds");
    caller.run(
        lab,
        &Plan::Play("through".to_owned(), "rtp.pcap".to_owned(), length),
    );
    carrier.wait_for_tone(TONE, 5);
    let wire = capture.stop();
    let ours = bridge.maps().contains("res_ciphertrunk");
    let counts = ours.then(|| {
        (
            bridge.count("Used indexes dropped"),
            bridge.count("Used indexes encrypted again"),
        )
    });
    (wire, counts)
}

/// The packets to the carrier, and those of them that can be heard.
fn to_carrier(wire: &Wire) -> (usize, usize) {
    let packets = wire.rtp_to(CARRIER);
    let audible = packets
        .iter()
        .filter(|packet| packet.is_audio(&[TONE, CARRIER_TONE]))
        .count();
    (packets.len(), audible)
}

/// 200 packets, every tenth twice. (Between two duplicates the carrier hears the tone undisturbed: stock's engine plays a
/// replayed packet as noise.)
fn duplicated() -> Vec<u16> {
    let times = |number: u16| if number.is_multiple_of(10) { 2 } else { 1 };
    (1000..1200u16)
        .flat_map(|number| vec![number; times(number)])
        .collect()
}

/// 100 packets around the wrap, reordered as in design section 4.
fn reordered() -> Vec<u16> {
    let mut sequence: Vec<u16> = (65480..65534).collect();
    sequence.extend([65534, 2, 1, 65535, 0]);
    sequence.extend(3..45);
    sequence
}

fn assert_silent(lab: &Lab, user: User, sequence: &[u16]) {
    let (wire, counts) = bridge(lab, Setup::ours("ours", OURS).user(user), sequence);
    let (packets, audible) = to_carrier(&wire);
    assert!(packets > 80, "{packets} packets");
    assert_eq!(audible, 0, "packets to the carrier in clear, of {packets}");
    let (dropped, again) = counts.expect("ours is loaded");
    assert!(
        dropped + again > 0,
        "no used index came up, so this shows nothing"
    );
}

fn duplicated_packets(lab: &Lab, user: User) {
    assert_silent(lab, user, &duplicated());
}

fn reordered_at_the_wrap(lab: &Lab, user: User) {
    assert_silent(lab, user, &reordered());
}

/// The twins: the same packets through stock's engine. What this test looks for is there to be found.
#[test]
fn stock_lets_duplicates_out_in_clear() {
    let lab = Lab::new("duplicates/stock-duplicates");
    let (wire, _) = bridge(&lab, Setup::stock("ours", OURS), &duplicated());
    let (packets, audible) = to_carrier(&wire);
    assert_eq!(audible, 20, "every duplicate, of {packets}");
}

#[test]
fn stock_lets_a_reordered_packet_out_in_clear() {
    let lab = Lab::new("duplicates/stock-reordered");
    let (wire, _) = bridge(&lab, Setup::stock("ours", OURS), &reordered());
    let (packets, audible) = to_carrier(&wire);
    assert!(audible >= 1, "{audible} of {packets}");
}
