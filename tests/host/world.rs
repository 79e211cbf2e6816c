//! What most tests begin with: our Asterisk, a stock one as the carrier, a tone each.

use host_harness::asterisk::{Asterisk, Setup, User};
use host_harness::capture::{Datagram, Wire};
use host_harness::pjsip::{self, Encryption, UDP};

/// Our Asterisk's address.
pub const OURS: &str = "127.0.0.10";
/// The stock Asterisk's.
pub const CARRIER: &str = "127.0.0.20";
/// The phone's.
pub const PHONE: &str = "127.0.0.30";
/// What our Asterisk says.
pub const OUR_TONE: f64 = 700.0;
/// What the carrier says.
pub const CARRIER_TONE: f64 = 1100.0;
/// What the phone says.
pub const PHONE_TONE: f64 = 425.0;
/// All of them.
pub const TONES: [f64; 3] = [OUR_TONE, CARRIER_TONE, PHONE_TONE];

/// Makes a test of each function, with Asterisk as `root` and as `asterisk`, each in a lab of its own.
macro_rules! as_root_and_as_asterisk {
    ($($test:ident),+ $(,)?) => {
        as_root_and_as_asterisk!(@user as_root, Root, $($test),+);
        as_root_and_as_asterisk!(@user as_asterisk, Asterisk, $($test),+);
    };
    (@user $module:ident, $user:ident, $($test:ident),+) => {
        mod $module {
            $(#[test]
            fn $test() {
                let name = concat!(module_path!(), "::", stringify!($test)).replace("::", "/");
                let lab = host_harness::lab::Lab::new(name.trim_start_matches("host/"));
                if host_harness::asterisk::User::$user == host_harness::asterisk::User::Asterisk
                    && !lab.host().has_user("asterisk")
                {
                    return host_harness::host::skip(&name, "this machine has no user asterisk");
                }
                super::$test(&lab, host_harness::asterisk::User::$user);
            })+
        }
    };
}

/// Whether this Asterisk shows documents: its own too, unless it was built without them (`--disable-xmldoc`, `--without-libxml2`).
/// If not, `part` of a test is noted as skipped.
pub fn is_documented(asterisk: &Asterisk<'_>, part: &str) -> bool {
    let is = asterisk
        .cli("core show application Wait")
        .contains("Waits for some time");
    if !is {
        host_harness::host::skip(part, "this Asterisk was built without documents");
    }
    is
}

/// Whether this Asterisk sends no RTP before the handshake of DTLS-SRTP has ended, as 20 and later ("Don't send RTP if DTLS hasn't
/// finished yet"). If not, `part` of a test is noted as skipped.
pub fn waits_for_dtls(asterisk: &Asterisk<'_>, part: &str) -> bool {
    let version = asterisk.cli("core show version");
    let waits = !["Asterisk 16.", "Asterisk 18."]
        .iter()
        .any(|branch| version.starts_with(branch));
    if !waits {
        host_harness::host::skip(part, "this Asterisk sends before the handshake has ended");
    }
    waits
}

/// Our Asterisk, which says its tone to whoever calls `say`, and an endpoint `carrier` of it.
pub fn ours(user: User, encryption: Encryption) -> Setup {
    Setup::ours("ours", OURS)
        .user(user)
        .pjsip(UDP)
        .pjsip(&pjsip::trunk("carrier", CARRIER, encryption))
        .dialplan(&pjsip::say(OUR_TONE))
}

/// The stock Asterisk, which says its tone to whoever calls `say`, and an endpoint `ours` of it.
pub fn carrier(encryption: Encryption) -> Setup {
    Setup::stock("carrier", CARRIER)
        .pjsip(UDP)
        .pjsip(&pjsip::trunk("ours", OURS, encryption))
        .dialplan(&pjsip::say(CARRIER_TONE))
}

/// That the module under test is the engine and has carried what a test is about.
pub fn assert_served_by_us(asterisk: &Asterisk<'_>) {
    assert_eq!(asterisk.status("SRTP engine"), "ours");
    for counter in ["RTP protected", "RTP unprotected"] {
        assert!(
            asterisk.count(counter) > 20,
            "{}",
            asterisk.cli("ciphertrunk show status")
        );
    }
    assert_nothing_failed(asterisk);
}

/// That no packet was dropped. (Malformed ones are not among these: baresip opens a path with an RTCP APP packet in clear,
/// and that is refused.)
pub fn assert_nothing_failed(asterisk: &Asterisk<'_>) {
    for counter in [
        "Authentication failures",
        "Replays dropped",
        "Used indexes dropped",
        "Panics caught",
    ] {
        assert_eq!(
            asterisk.count(counter),
            0,
            "{}",
            asterisk.cli("ciphertrunk show status")
        );
    }
}

/// That the call goes on from now: our Asterisk hears `tone` for a while that began after this. (MixMonitor writes two
/// seconds at a time, so one second more in its file may be of before.)
pub fn assert_goes_on(asterisk: &Asterisk<'_>, tone: f64) {
    let heard = asterisk.wait_for_tone(tone, 1).tenths;
    asterisk.wait_for_tone(tone, heard + 30);
}

/// That packets went from and to a host, and that none of them, nor any other on the wire, can be heard.
pub fn assert_encrypted(wire: &Wire, host: &str) {
    assert_sends_encrypted(wire, host);
    assert_inaudible(&wire.audible(&TONES));
}

/// That packets went from and to a host, and that none of those that it sent can be heard.
pub fn assert_sends_encrypted(wire: &Wire, host: &str) {
    let (mut sent, received) = (wire.rtp_from(host), wire.rtp_to(host).len());
    let count = sent.len();
    assert!(
        count > 20 && received > 20,
        "RTP packets of {host}: {count} sent, {received} received"
    );
    sent.retain(|packet| packet.is_audio(&TONES));
    assert_inaudible(&sent);
}

fn assert_inaudible(audible: &[&Datagram]) {
    assert!(
        audible.is_empty(),
        "{} packets can be heard, the first is {:?}",
        audible.len(),
        audible[0]
    );
}
