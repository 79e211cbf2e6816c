//! The calls, and what is found out about each.

use host_harness::audio;
use host_harness::capture::{Capture, Datagram};
use host_harness::lab::Lab;

use crate::legs::Leg;
use crate::report::Report;
use crate::tls;
use crate::world::{
    CARRIER, CARRIER_NAME, CDR_FILE, LEGS_FILE, OTHER_NAME, OURS, PHONE, PLAIN_CARRIER, TONE, World,
};

/// For how long the phone must hear itself, in tenths of a second, in the encrypted call and in the plain one.
const ENCRYPTED_TENTHS: usize = 50;
const PLAIN_TENTHS: usize = 20;
/// Fewer packets than this each way are no call of five seconds (50 a second).
const PACKETS: u64 = 225;

pub fn who_takes_part(report: &mut Report, world: &World<'_>) {
    let version = world.ours.cli("core show version");
    println!(
        "phone (baresip) -> our Asterisk with Ciphertrunk -> carrier (stock Asterisk, libsrtp): an echo\n"
    );
    println!(
        "  Asterisk {}",
        version.split_whitespace().nth(1).unwrap_or("?")
    );
    println!(
        "  Ciphertrunk {}, kernel: {}\n",
        world.ours.status("Version"),
        world.ours.status("Kernel")
    );
    report.check(
        "the SRTP engine of our Asterisk is Ciphertrunk",
        world.ours.status("SRTP engine") == "ours",
    );
}

/// The call to the carrier.
pub fn encrypted(report: &mut Report, lab: &Lab, world: &mut World<'_>) {
    println!("\nCall 1, encrypted: phone -> ours -> {CARRIER_NAME} -> echo");
    world.dial("echo");
    let tone = world.phone.wait_for_tone(TONE, ENCRYPTED_TENTHS);
    let legs = [("phone", PHONE), ("carrier", CARRIER)]
        .map(|(name, address)| (name, Leg::of(&world.ours, address, name)));
    world.phone.hang_up();
    world.ours.wait_for_channels(0);
    let wire = world.capture.take().expect("the first call").stop();

    // The phone connects to us, and we connect to the carrier.
    for ((name, leg), server) in legs.iter().zip([OURS, CARRIER]) {
        let Some(chosen) = tls::chosen(lab, "call.pcap", server) else {
            report.check(
                &format!("{name} leg: a TLS handshake is on the wire"),
                false,
            );
            continue;
        };
        println!("  {name} leg");
        println!("    SIP     {}, {}", chosen.version, chosen.cipher);
        println!("    media   {}", leg.suites.1);
        println!(
            "    RTP     {} packets received, {} sent; lost {} and {}; authentication failures {}; dropped {}",
            leg.packets.0, leg.packets.1, leg.lost.0, leg.lost.1, leg.auth_failures, leg.dropped
        );
        if *name == "phone" && leg.dropped > 0 {
            println!(
                "            (baresip opens a path with an RTCP packet in clear; it is refused)"
            );
        }
        report.check(
            &format!("{name} leg: TLS 1.2 or 1.3, and one SRTP suite both ways"),
            chosen.version.starts_with("TLS 1.")
                && leg.suites.0 == leg.suites.1
                && leg.suites.0 != "-",
        );
        report.check(
            &format!("{name} leg: packets each way, none lost, none that did not authenticate"),
            leg.packets.0.min(leg.packets.1) >= PACKETS
                && leg.lost == (0, 0)
                && leg.auth_failures == 0,
        );
    }

    println!(
        "  the phone said {TONE} Hz at {:.1} dB and heard it for {:.1} s at {:.1} dB",
        said(),
        seconds(tone.tenths),
        tone.level
    );
    report.check(
        "the tone came back, as loud as it was",
        (tone.level - said()).abs() < 1.0,
    );
    let media: Vec<&Datagram> = wire
        .datagrams
        .iter()
        .filter(|datagram| datagram.rtp().is_some())
        .collect();
    let audible = audible(&media);
    println!(
        "  plaintext audio on the wire: {}",
        if audible == 0 {
            format!("none ({} packets looked at)", media.len())
        } else {
            format!("{audible} of {} packets", media.len())
        }
    );
    report.check(
        "no packet of the encrypted call can be heard",
        audible == 0 && media.len() as u64 > 4 * PACKETS,
    );
    let (with_keys, without) = tls::sip_messages(lab, "call.pcap");
    println!(
        "  SIP messages that tshark finds: {with_keys} with the TLS key log, {without} without it"
    );
    report.check(
        "the signalling is readable with the key log alone",
        with_keys >= 10 && without == 0,
    );
}

/// The call to the carrier that can neither TLS nor SRTP.
pub fn plain(report: &mut Report, lab: &Lab, world: &mut World<'_>) {
    println!(
        "\nCall 2, to show the difference: phone -> ours -> a carrier without TLS or SRTP -> echo"
    );
    let capture = Capture::start(lab, "plain");
    world.dial("plain");
    world.phone.wait_for_tone(TONE, PLAIN_TENTHS);
    world.phone.hang_up();
    world.ours.wait_for_channels(0);
    let wire = capture.stop();
    let hop: Vec<&Datagram> = wire
        .rtp_to(PLAIN_CARRIER)
        .into_iter()
        .chain(wire.rtp_from(PLAIN_CARRIER))
        .collect();
    let rest: Vec<&Datagram> = wire
        .datagrams
        .iter()
        .filter(|datagram| {
            datagram.rtp().is_some() && !hop.iter().any(|other| std::ptr::eq(*other, *datagram))
        })
        .collect();
    let (on_hop, elsewhere) = (audible(&hop), audible(&rest));
    println!(
        "  carrier hop: SIP over UDP and RTP, both PLAIN: {on_hop} of {} packets can be heard",
        hop.len()
    );
    println!(
        "  phone leg:   TLS and SRTP as before: {elsewhere} of {} packets can be heard",
        rest.len()
    );
    report.check(
        "what looks for audio in clear finds it on the plain hop",
        hop.len() > 150 && on_hop == hop.len(),
    );
    report.check(
        "and not on the phone's leg of the same call",
        rest.len() > 150 && elsewhere == 0,
    );
}

/// The carrier by a name that its certificate is not for.
pub fn misnamed(report: &mut Report, world: &World<'_>) {
    println!(
        "\nCall 3, to {OTHER_NAME}: the carrier's address, but its certificate is for {CARRIER_NAME}"
    );
    world
        .ours
        .cli("channel originate PJSIP/echo@misnamed application Echo");
    world.ours.wait_for_channels(0);
    let reasons = world.ours.all_log_lines(OTHER_NAME);
    let reason = reasons.iter().find(|line| line.contains("Ciphertrunk: "));
    println!(
        "  {}",
        reason.map_or("no reason was logged", |line| line.as_str())
    );
    report.check(
        "a carrier under another name is refused, with a reason",
        reason.is_some(),
    );
}

pub fn afterwards(report: &mut Report, world: &World<'_>) {
    println!();
    let zero = |key| world.ours.count(key) == 0;
    report.check("the SRTP engine was never lost, and nothing panicked", {
        world.ours.status("Engine lost").starts_with("0 times") && zero("Panics caught")
    });
}

/// What CDRs and CEL say of the calls.
pub fn records(report: &mut Report, world: &World<'_>) {
    println!("\nThe CDRs of the phone's calls, with `cdr = yes` and no dialplan work:");
    let cdrs = lines(world, "cdr-custom", CDR_FILE, "PJSIP/phone-", 2);
    for cdr in &cdrs {
        println!("  {cdr}");
    }
    report.check(
        "the CDR of each says that the phone's leg was encrypted, and never in clear",
        cdrs.len() == 2
            && cdrs.iter().all(|cdr| {
                let own = cdr.split(',').nth(2).unwrap_or_default();
                own.starts_with("\"encrypted sip=TLS ") && own.ends_with(" never-in-clear\"")
            }),
    );
    println!("and with `cel = yes` an event for each leg to a carrier:");
    for (channel, what, in_clear) in [
        (
            "PJSIP/carrier-",
            "\"encrypted sip=TLS ",
            " never-in-clear\"",
        ),
        ("PJSIP/plain-", "\"plain sip=UDP ", " in-clear\""),
    ] {
        let legs = lines(world, "cel-custom", LEGS_FILE, channel, 1);
        println!("  {}", legs[0]);
        report.check(
            &format!("the leg {channel}* was what CEL says"),
            legs.len() == 1 && legs[0].contains(what) && legs[0].contains(in_clear),
        );
    }
}

/// The lines of a file of records that name a channel, once there are so many.
fn lines(world: &World<'_>, folder: &str, file: &str, channel: &str, count: usize) -> Vec<String> {
    let path = world.ours.path("log").join(folder).join(file);
    world
        .ours
        .wait_until(&format!("{count} records of {channel}*"), |_| {
            let text = std::fs::read_to_string(&path).ok()?;
            let found = text
                .lines()
                .filter(|line| line.starts_with(&format!("\"{channel}")));
            let found: Vec<String> = found.map(str::to_owned).collect();
            (found.len() >= count).then_some(found)
        })
}

fn audible(packets: &[&Datagram]) -> usize {
    packets
        .iter()
        .filter(|packet| packet.is_audio(&[TONE]))
        .count()
}

/// The level of what the phone says: a sine of 0.3 of full scale.
fn said() -> f64 {
    audio::level(&[0.3 / std::f64::consts::SQRT_2])
}

fn seconds(tenths: usize) -> f64 {
    f64::from(u32::try_from(tenths).unwrap_or(u32::MAX)) / 10.0
}
