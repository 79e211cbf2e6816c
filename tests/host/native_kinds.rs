//! Which legs may be in a native bridge, and which Asterisk's core keeps: the table of docs/native-bridge.md. Each call has a leg of a kind, and
//! one with SDES.

use host_harness::asterisk::{Asterisk, Setup};
use host_harness::host;
use host_harness::lab::Lab;
use host_harness::peer::srtp::{AES_32, AES_80, AES_256_80, GCM_128, GCM_256};
use host_harness::peer::{Identity, Key, Suite};
use host_harness::pjsip::{self, Encryption, UDP};

use crate::chan_sip;
use crate::native_call::{Leg, Way, hang_up, talk};
use crate::world::{OURS, assert_nothing_failed};

const RIGHT: &str = "127.0.2.1";

/// What the phone of a kind encrypts with.
#[derive(Debug, Clone, Copy)]
enum Keys {
    None,
    Sdes(Suite),
    /// With a master key identifier.
    Mki(Suite),
    Dtls,
}

/// An endpoint, its phone, and which way its packets go. Each has twins that differ from it in one line and go the other way.
struct Kind {
    name: &'static str,
    encryption: Encryption,
    /// More lines of the endpoint.
    lines: &'static str,
    keys: Keys,
    profile: Option<&'static str>,
    /// An `a=` line of the phone's.
    says: Option<&'static str>,
    way: Way,
}

const fn kind(name: &'static str, encryption: Encryption, keys: Keys, way: Way) -> Kind {
    Kind {
        name,
        encryption,
        lines: "",
        keys,
        profile: None,
        says: None,
        way,
    }
}

const OPTIMISTIC: &str = "media_encryption_optimistic = yes\n";

const KINDS: &[Kind] = &[
    kind("sdes", Encryption::Sdes, Keys::Sdes(AES_80), Way::Native),
    Kind {
        lines: "rtp_keepalive = 1\n",
        ..kind("keepalive", Encryption::Sdes, Keys::Sdes(AES_80), Way::Core)
    },
    // chan_pjsip listens for a fax in the core. The right leg is the same as ever: only the encryption kept a plain one there in stock.
    Kind {
        lines: "fax_detect = yes\n",
        ..kind("fax", Encryption::Sdes, Keys::Sdes(AES_80), Way::Core)
    },
    Kind {
        lines: "fax_detect = yes\n",
        ..kind("plain-fax", Encryption::Plain, Keys::None, Way::Core)
    },
    Kind {
        lines: OPTIMISTIC,
        ..kind("taken", Encryption::Sdes, Keys::Sdes(AES_80), Way::Native)
    },
    Kind {
        lines: OPTIMISTIC,
        ..kind("not-taken", Encryption::Sdes, Keys::None, Way::Core)
    },
    Kind {
        profile: Some("UDP/TLS/RTP/SAVP"),
        ..kind("dtls", Encryption::Dtls, Keys::Dtls, Way::Core)
    },
    kind("web", Encryption::Web, Keys::Dtls, Way::Core),
    kind("plain", Encryption::Plain, Keys::None, Way::Native),
    // Its packets would go from phone to phone, if the other one had no keys.
    Kind {
        lines: "direct_media = yes\n",
        ..kind("plain-direct", Encryption::Plain, Keys::None, Way::Native)
    },
    Kind {
        lines: "direct_media = yes\n",
        ..kind("direct", Encryption::Sdes, Keys::Sdes(AES_80), Way::Native)
    },
    Kind {
        lines: "use_avpf = yes\n",
        profile: Some("RTP/SAVPF"),
        ..kind("savpf", Encryption::Sdes, Keys::Sdes(AES_80), Way::Native)
    },
    Kind {
        lines: "rtcp_mux = yes\n",
        says: Some("rtcp-mux"),
        ..kind("muxed", Encryption::Sdes, Keys::Sdes(AES_80), Way::Native)
    },
    kind("mki", Encryption::Sdes, Keys::Mki(AES_80), Way::Native),
    kind("short", Encryption::Sdes, Keys::Sdes(AES_32), Way::Native),
    kind(
        "cm-256",
        Encryption::Sdes,
        Keys::Sdes(AES_256_80),
        Way::Native,
    ),
    kind("gcm", Encryption::Sdes, Keys::Sdes(GCM_128), Way::Native),
    kind(
        "gcm-256",
        Encryption::Sdes,
        Keys::Sdes(GCM_256),
        Way::Native,
    ),
];

fn address(n: usize) -> String {
    format!("127.0.1.{}", n + 1)
}

fn ours(lab: &Lab) -> Asterisk<'_> {
    let right = pjsip::trunk("right", RIGHT, Encryption::Sdes)
        .replace("direct_media = no\n", "direct_media = yes\n");
    let mut setup = Setup::ours("ours", OURS)
        .pjsip(UDP)
        .pjsip(&right)
        .dialplan("exten => right,1,Dial(PJSIP/right)\n");
    for (n, kind) in KINDS.iter().enumerate() {
        let endpoint = pjsip::trunk(kind.name, &address(n), kind.encryption);
        const DIRECT: &str = "direct_media = no\n";
        let lines = match kind.lines.contains("direct_media") {
            true => kind.lines.to_owned(),
            false => format!("{}{DIRECT}", kind.lines),
        };
        let endpoint = endpoint.replace(DIRECT, &lines);
        setup = setup.pjsip(&endpoint);
    }
    Asterisk::start(lab, &setup)
}

fn leg(lab: &Lab, n: usize, kind: &Kind) -> Leg {
    let key = |suite| Key::new(suite, 50);
    let mut leg = Leg::at(
        lab,
        kind.name,
        &address(n),
        match kind.keys {
            Keys::None | Keys::Dtls => None,
            Keys::Sdes(suite) => Some(key(suite)),
            Keys::Mki(suite) => Some(key(suite).with_mki(&[0, 0, 0, 1])),
        },
    );
    leg.identity = matches!(kind.keys, Keys::Dtls).then(Identity::default);
    (leg.says.profile, leg.says.direction) = (kind.profile, kind.says);
    leg.media.ssrc = 0x0a00_0000 + n as u32;
    leg
}

#[test]
fn what_stays_in_the_core() {
    let lab = Lab::new("native/kinds");
    let ours = ours(&lab);
    for (n, kind) in KINDS.iter().enumerate() {
        println!("a leg of the kind {}", kind.name);
        let mut left = leg(&lab, n, kind);
        let mut right = Leg::at(&lab, "right", RIGHT, Some(Key::new(AES_80, 51)));
        right.media.ssrc = 0x0b00_0000;
        left.call(&mut right, "");
        talk(&ours, &mut left, &mut right, kind.way);
        if left.key.is_some() {
            left.rekey(52);
            talk(&ours, &mut left, &mut right, kind.way);
        }
        right.rekey(53);
        talk(&ours, &mut left, &mut right, kind.way);
        // It begins anew under the SSRC that it had: whatever the suites are, no index of the left one's key is used twice.
        if left.key.is_some() && kind.way == Way::Native {
            right.media.sequence = 1000;
            right.rekey(54);
            // Refused, all of them.
            for _ in 0..20 {
                let audio = right.media.audio();
                right.media.send(&audio);
            }
            talk(&ours, &mut right, &mut left, Way::Core);
        }
        hang_up(&ours, left, right);
    }
    for counter in [
        "Authentication failures",
        "Replays dropped",
        "Panics caught",
    ] {
        assert_eq!(ours.count(counter), 0, "{counter}");
    }
}

/// A leg of chan_sip's, plain or encrypted, and one of PJSIP's with SDES. chan_sip always says that its packets have 20 ms, PJSIP only with
/// `use_ptime`: without it Asterisk takes the packets of such two legs for different ones, encrypted or not.
#[test]
fn beside_chan_sip() {
    const SIP: &str = "127.0.0.11";
    const TEST: &str = "native_kinds::beside_chan_sip";
    let Some(lab) = chan_sip::lab(TEST) else {
        return;
    };
    if host::pjproject().is_none() {
        host::skip(TEST, "the module has no half for PJSIP");
        return;
    }
    let peer = |n: usize, encrypted: bool| {
        let name = if encrypted { "encrypted" } else { "open" };
        let peer = chan_sip::peer(name, &address(n), "directmedia = yes\n");
        if encrypted {
            return peer;
        }
        peer.replace("encryption = yes\n", "")
    };
    let sip = chan_sip::sip_conf(SIP, &[peer(0, false), peer(1, true)]);
    let setup = Setup::ours("ours", OURS)
        .pjsip(UDP)
        .pjsip(&pjsip::trunk("right", RIGHT, Encryption::Sdes))
        .pjsip(
            &pjsip::trunk("timed", &address(2), Encryption::Sdes)
                .replace("direct_media", "use_ptime = yes\ndirect_media"),
        )
        .dialplan("exten => right,1,Dial(PJSIP/right)\nexten => timed,1,Dial(PJSIP/timed)\n")
        .also_modules(&["chan_sip"])
        .file("sip.conf", &sip);
    let ours = Asterisk::start(&lab, &setup);
    for (encrypted, right, host, way) in [
        (false, "right", RIGHT, Way::Core),
        (false, "timed", &address(2), Way::Native),
        (true, "timed", &address(2), Way::Core),
    ] {
        println!("a leg of chan_sip's, encrypted: {encrypted}, to {right}");
        let key = encrypted.then(|| Key::new(AES_80, 50));
        let mut left = Leg::beside(&lab, SIP, "left", &address(usize::from(encrypted)), key);
        let mut right = Leg::at(&lab, right, host, Some(Key::new(AES_80, 51)));
        left.media.ssrc = 0x0a00_0000;
        right.media.ssrc = 0x0b00_0000;
        for leg in [&mut left, &mut right] {
            leg.says.digits = true;
            leg.says.direction = Some("ptime:20");
        }
        left.call(&mut right, "");
        talk(&ours, &mut left, &mut right, way);
        hang_up(&ours, left, right);
    }
    assert_nothing_failed(&ours);
}
