//! A call that the SRTP crate encrypts, in captures of every kind, decrypted to files.

use std::f64::consts::TAU;
use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use decrypt::{Error, decrypt};
use etherparse::PacketBuilder;
use policy::keylog::{Direction, KeyLine};
use srtp::{LocalSsrc, MasterKey, Policy, Session, Suite};

const CALLER: &str = "192.0.2.1:30000";
const CALLED: &str = "192.0.2.2:20000";

fn folder(name: &str) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).expect("a folder");
    folder
}

fn policy(suite: Suite, octet: u8) -> Policy {
    let key = MasterKey::new(suite, &vec![octet; suite.key_salt_len()]).expect("its length");
    Policy::new(suite, key, None).expect("a policy")
}

fn line(policy: &Policy) -> String {
    let line = KeyLine {
        time: 1,
        direction: Direction::In,
        peer: CALLER.to_owned(),
        endpoint: "alice".to_owned(),
        channel: "1.1".to_owned(),
        call: "call-1".to_owned(),
        roc: 0,
        policy: policy.clone(),
    };
    line.to_text().to_string() + "\n"
}

/// µ-law by search: slow, and nothing of the crate's.
fn ulaw(sample: f64) -> u8 {
    let value = |code: u8| {
        let code = !code;
        let magnitude = ((i32::from(code & 0x0f) << 3) + 0x84) << ((code & 0x70) >> 4);
        let sample = f64::from(magnitude - 0x84) / 32768.0;
        if code & 0x80 == 0 { sample } else { -sample }
    };
    (0..=255)
        .min_by(|a, b| {
            let far = |code: &u8| (value(*code) - sample).abs();
            far(a).total_cmp(&far(b))
        })
        .expect("256 codes")
}

/// RTP with a tone of 440 Hz from sequence number `first` on.
fn tone(first: u32, count: u32, ssrc: u32) -> Vec<Vec<u8>> {
    let packet = |n: u32| {
        let mut packet = vec![0x80, 0];
        packet.extend(((first + n) as u16).to_be_bytes());
        packet.extend((n * 160).to_be_bytes());
        packet.extend(ssrc.to_be_bytes());
        packet.extend(
            (0..160).map(|at| ulaw(0.3 * (TAU * 440.0 * f64::from(n * 160 + at) / 8000.0).sin())),
        );
        packet
    };
    (0..count).map(packet).collect()
}

fn protect(policy: &Policy, packets: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let mut session = Session::new(srtp::kernels());
    session.set_local(LocalSsrc::Any, policy).expect("a key");
    packets
        .iter()
        .map(|packet| {
            let mut out = vec![0; packet.len() + srtp::MAX_TRAILER];
            let length = session.protect_rtp(packet, &mut out).expect("protected");
            out.truncate(length);
            out
        })
        .collect()
}

fn ip(from: &str, to: &str, payload: &[u8]) -> Vec<u8> {
    let port = |address: &str| address.parse::<SocketAddr>().expect("an address").port();
    let octets = |address: &str| match address.parse().expect("an address") {
        SocketAddr::V4(address) => address.ip().octets(),
        SocketAddr::V6(_) => unreachable!(),
    };
    let udp = PacketBuilder::ipv4(octets(from), octets(to), 64).udp(port(from), port(to));
    let mut packet = Vec::new();
    udp.write(&mut packet, payload).expect("written");
    packet
}

/// A capture in the classic format.
fn pcap(link: u32, packets: &[Vec<u8>]) -> Vec<u8> {
    let mut file = Vec::new();
    file.extend(0xa1b2_c3d4_u32.to_le_bytes());
    file.extend([2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0]);
    file.extend(link.to_le_bytes());
    for (n, packet) in (0..).zip(packets) {
        let at: u32 = n * 20_000;
        file.extend((1_795_772_400 + at / 1_000_000).to_le_bytes());
        file.extend((at % 1_000_000).to_le_bytes());
        file.extend((packet.len() as u32).to_le_bytes());
        file.extend((packet.len() as u32).to_le_bytes());
        file.extend(packet);
    }
    file
}

/// The same as pcapng, of an Ethernet.
fn pcapng(packets: &[Vec<u8>]) -> Vec<u8> {
    let block = |kind: u32, body: &[u8]| {
        let mut block = kind.to_le_bytes().to_vec();
        let length = (body.len().next_multiple_of(4) + 12) as u32;
        block.extend(length.to_le_bytes());
        block.extend(body);
        block.resize(length as usize - 4, 0);
        block.extend(length.to_le_bytes());
        block
    };
    let mut section = 0x1a2b_3c4d_u32.to_le_bytes().to_vec();
    section.extend([1, 0, 0, 0]);
    section.extend([0xff; 8]);
    let mut file = block(0x0a0d_0d0a, &section);
    file.extend(block(1, &[1, 0, 0, 0, 0, 0, 4, 0]));
    for (n, packet) in (0_u64..).zip(packets) {
        let ticks = 1_795_772_400_000_000 + n * 20_000;
        let mut body = vec![0; 4];
        body.extend(((ticks >> 32) as u32).to_le_bytes());
        body.extend((ticks as u32).to_le_bytes());
        body.extend((packet.len() as u32).to_le_bytes());
        body.extend((packet.len() as u32).to_le_bytes());
        body.extend(packet);
        file.extend(block(6, &body));
    }
    file
}

fn ethernet(packet: &[u8]) -> Vec<u8> {
    [&[2; 12][..], &[0x08, 0x00], packet].concat()
}

fn cooked(packet: &[u8]) -> Vec<u8> {
    [&[0; 14][..], &[0x08, 0x00], packet].concat()
}

/// The share of the energy at 440 Hz in the samples of a WAV file, and how many there are.
fn tone_in(path: &PathBuf) -> (f64, usize) {
    let bytes = fs::read(path).expect("a recording");
    assert_eq!(&bytes[..4], b"RIFF");
    let samples: Vec<f64> = bytes[44..]
        .chunks_exact(2)
        .map(|pair| f64::from(i16::from_le_bytes([pair[0], pair[1]])) / 32768.0)
        .collect();
    let (mut sin, mut cos, mut energy) = (0.0, 0.0, 0.0);
    for (n, sample) in samples.iter().enumerate() {
        let angle = TAU * 440.0 * n as f64 / 8000.0;
        sin += sample * angle.sin();
        cos += sample * angle.cos();
        energy += sample * sample;
    }
    let share = 2.0 * (sin * sin + cos * cos) / (energy * samples.len() as f64);
    (share, samples.len())
}

#[test]
fn every_kind_of_capture_gives_the_tone() {
    let folder = folder("every_kind");
    let ours = policy(Suite::AesCm128HmacSha1_80, 7);
    let clear = tone(100, 100, 0xabcd);
    let packets: Vec<Vec<u8>> = protect(&ours, &clear)
        .iter()
        .map(|packet| ip(CALLER, CALLED, packet))
        .collect();
    let framed = |frame: fn(&[u8]) -> Vec<u8>| -> Vec<Vec<u8>> {
        packets.iter().map(|packet| frame(packet)).collect()
    };
    let captures = [
        ("ethernet", pcap(1, &framed(ethernet))),
        ("raw", pcap(101, &packets)),
        ("cooked", pcap(113, &framed(cooked))),
        ("ng", pcapng(&framed(ethernet))),
    ];
    let keys = folder.join("keys");
    let other = policy(Suite::AesCm128HmacSha1_80, 8);
    fs::write(
        &keys,
        format!("CLIENT_RANDOM 00 11\n{}{}", line(&other), line(&ours)),
    )
    .expect("written");
    for (name, capture) in captures {
        let file = folder.join(name);
        fs::write(&file, capture).expect("written");
        let out = folder.join(format!("{name}.out"));
        let report = decrypt(&file, &keys, &out).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(
            (report.opened, report.packets),
            (100, 100),
            "{name}: {report}"
        );
        let (share, samples) = tone_in(&report.files[1]);
        assert_eq!(samples, 16_000, "{name}");
        assert!(share > 0.98, "{name}: {share}");
        let mode = |path| fs::metadata(path).expect("there").permissions().mode() & 0o777;
        assert_eq!((mode(&out), mode(&report.files[0])), (0o700, 0o600));
        // What is written is a capture, of the packets as they were.
        let mut written = Vec::new();
        let made = fs::read(&report.files[0]).expect("a capture");
        decrypt::capture::read(&made[..], |datagram| written.push(datagram)).expect("read");
        let octets: Vec<&Vec<u8>> = written.iter().map(|datagram| &datagram.payload).collect();
        assert_eq!(octets, clear.iter().collect::<Vec<_>>(), "{name}");
        assert_eq!(written[0].source.to_string(), CALLER);
        assert_eq!(written[1].time.subsec_micros(), 20_000);
        let again = decrypt(&file, &keys, &out).expect_err("the folder is there");
        assert!(matches!(again, Error::Unwritten(..)), "{again}");
    }
}

#[test]
fn the_keys_of_another_call_open_nothing_and_it_says_why() {
    let folder = folder("another_call");
    let ours = policy(Suite::AesCm128HmacSha1_80, 7);
    let packets: Vec<Vec<u8>> = protect(&ours, &tone(1, 50, 1))
        .iter()
        .map(|packet| ip(CALLER, CALLED, packet))
        .collect();
    let capture = folder.join("capture");
    fs::write(&capture, pcap(101, &packets)).expect("written");
    let keys = folder.join("keys");
    fs::write(&keys, line(&policy(Suite::AesCm128HmacSha1_80, 9))).expect("written");
    let out = folder.join("out");
    let report = decrypt(&capture, &keys, &out).expect("read");
    assert!(report.is_empty() && report.files.is_empty() && !out.exists());
    let told = report.to_string();
    for part in [
        "0 of 50 packets opened",
        "no key in the file opens it",
        "Nothing is written: none of the 50 packets authenticates under one of the 1 keys",
        "endpoint alice Call-ID call-1",
    ] {
        assert!(told.contains(part), "{part}\n{told}");
    }
    // Without SRTP keys at all.
    fs::write(&keys, "CLIENT_RANDOM 00 11\n").expect("written");
    let error = decrypt(&capture, &keys, &out).expect_err("no keys");
    assert!(error.to_string().contains("has no SRTP keys"), "{error}");
    fs::write(&keys, "# x\n#SRTP dir=in crypto=1 X inline:AA\n").expect("written");
    let error = decrypt(&capture, &keys, &out).expect_err("a spoilt line");
    assert!(
        error.to_string().contains("keys line 2: its key:"),
        "{error}"
    );
    fs::write(&keys, line(&ours)).expect("written");
    fs::write(&capture, "no capture").expect("written");
    let error = decrypt(&capture, &keys, &out).expect_err("no capture");
    assert!(
        error.to_string().contains("neither pcap nor pcapng"),
        "{error}"
    );
}

/// The capture begins in the third turn of the sequence number, has each packet twice, and the key changes.
#[test]
fn late_repeated_and_rekeyed() {
    let folder = folder("late");
    let suite = Suite::AeadAes256Gcm;
    let (before, after) = (policy(suite, 1), policy(suite, 2));
    let first = 2 * 65_536 + 65_500;
    // The counter of the session goes there first.
    let all: Vec<Vec<u8>> = (0..=first / 20_000)
        .map(|n| tone(n * 20_000, 1, 5).remove(0))
        .chain(tone(first, 100, 5))
        .collect();
    let protected = protect(&before, &all);
    let mut packets: Vec<Vec<u8>> = protected[protected.len() - 100..].to_vec();
    packets.extend(protect(&after, &tone(500, 100, 5)));
    let twice: Vec<Vec<u8>> = packets
        .iter()
        .flat_map(|packet| {
            let packet = ip(CALLED, CALLER, packet);
            [packet.clone(), packet]
        })
        .collect();
    let (capture, keys) = (folder.join("capture"), folder.join("keys"));
    fs::write(&capture, pcap(101, &twice)).expect("written");
    fs::write(&keys, line(&before) + &line(&after)).expect("written");
    let report = decrypt(&capture, &keys, &folder.join("out")).expect("read");
    assert_eq!((report.opened, report.packets), (200, 400), "{report}");
    assert!(report.to_string().contains("200 of them twice"), "{report}");
}
