//! Load, unload, load again, reload: at start and by the console, with and without `ciphertrunk.conf`.

use std::fs;

use host_harness::asterisk::{Asterisk, Setup, User};
use host_harness::capture::Capture;
use host_harness::certificates::Authority;
use host_harness::lab::Lab;
use host_harness::pjsip::{self, Encryption};

use crate::world::{
    self, CARRIER_TONE, OUR_TONE, OURS, assert_encrypted, assert_goes_on, assert_served_by_us,
};

as_root_and_as_asterisk!(
    at_start,
    with_the_sample_configuration,
    unload_and_load_again,
    by_the_console,
    reload
);

const NAME: &str = "res_ciphertrunk.so";

fn assert_is_loaded(ours: &Asterisk<'_>) {
    assert_eq!(ours.status("SRTP engine"), "ours");
    assert!(!ours.status("Kernel").is_empty());
    assert_eq!(ours.status("Version"), env!("CARGO_PKG_VERSION"));
    assert!(
        ours.cli(&format!("module show like {NAME}"))
            .contains("1 modules loaded")
    );
    assert!(ours.maps().contains(NAME));
}

fn assert_no_complaint(ours: &Asterisk<'_>) {
    let lines = [ours.all_log_lines("ERROR"), ours.all_log_lines("WARNING")].concat();
    assert!(lines.is_empty(), "{lines:#?}");
}

fn at_start(lab: &Lab, user: User) {
    let ours = Asterisk::start(lab, &Setup::ours("ours", OURS).user(user));
    assert_is_loaded(&ours);
    assert_no_complaint(&ours);
    assert!(ours.stop().success());
}

/// Every section and option of the sample that has a value there, in force.
fn with_the_sample_configuration(lab: &Lab, user: User) {
    let file = host_harness::lab::repository().join("conf/ciphertrunk.conf.sample");
    let sample = fs::read_to_string(file).expect("the sample");
    let (mut all, mut options) = (String::new(), 0);
    for line in sample.lines() {
        let shown = line.strip_prefix(';').unwrap_or(line);
        let value = shown
            .split(';')
            .next()
            .and_then(|text| text.split_once(" = "))
            .map_or("", |(_, value)| value.trim());
        let is_option = shown.starts_with(char::is_alphabetic) && !value.is_empty();
        options += usize::from(is_option);
        all += if shown.starts_with('[') || is_option {
            shown
        } else {
            ""
        };
        all.push('\n');
    }
    assert!(options >= 5, "{options} options in the sample");
    let ours = Asterisk::start(
        lab,
        // Its endpoint `carrier` is one of Asterisk's, and its peer is in chan_sip's file.
        &world::ours(user, Encryption::Sdes)
            .file("ciphertrunk.conf", &all)
            .file("sip.conf", "[oldcarrier]\ntype = peer\n"),
    );
    assert_is_loaded(&ours);
    // Where the module has no half for PJSIP, that section is used for no call, and this is said.
    if ours.status("PJSIP") == "found" {
        assert_no_complaint(&ours);
    } else {
        assert_eq!(ours.all_log_lines("WARNING").len(), 1, "{}", ours.log());
        assert_eq!(
            ours.all_log_lines("[carrier] is the section of an endpoint")
                .len(),
            1
        );
    }
}

/// A call each way, with the module as it is now.
fn call(ours: &Asterisk<'_>, carrier: &Asterisk<'_>) {
    ours.cli("channel originate PJSIP/say@carrier extension say@default");
    ours.wait_for_tone(CARRIER_TONE, 10);
    carrier.wait_for_tone(OUR_TONE, 10);
    assert_served_by_us(ours);
    ours.cli("channel request hangup all");
    ours.wait_for_channels(0);
    carrier.wait_for_channels(0);
    fs::remove_file(ours.path("rec/heard.wav")).expect("it was recorded");
    fs::remove_file(carrier.path("rec/heard.wav")).expect("it was recorded");
}

/// Each round uses the module: what a call leaves behind (a thread-local, a thread) must not keep the library.
fn unload_and_load_again(lab: &Lab, user: User) {
    let authority = Authority::new(lab, "authority");
    let certificate = authority.issue("ours", "ours.example", OURS);
    let setup =
        world::ours(user, Encryption::Sdes).pjsip(&pjsip::tls(&certificate, &authority.file()));
    let ours = Asterisk::start(lab, &setup);
    let carrier = Asterisk::start(lab, &world::carrier(Encryption::Sdes));
    let capture = Capture::start(lab, "calls");
    for _ in 0..3 {
        assert_is_loaded(&ours);
        call(&ours, &carrier);
        let handshake = lab.run(
            "openssl",
            &["s_client", "-connect", &format!("{OURS}:5061"), "-brief"],
        );
        assert!(
            handshake.status.success(),
            "{}",
            String::from_utf8_lossy(&handshake.stderr)
        );
        ours.wait_until("the unloading", |ours| {
            ours.cli(&format!("module unload {NAME}"))
                .contains("Unloaded")
                .then_some(())
        });
        assert!(!ours.maps().contains(NAME), "the library is still mapped");
        assert!(
            ours.cli(&format!("module show like {NAME}"))
                .contains("0 modules loaded")
        );
        let answer = ours.cli(&format!("module load {NAME}"));
        assert!(answer.contains("Loaded"), "{answer}");
    }
    assert_is_loaded(&ours);
    assert_encrypted(&capture.stop(), OURS);
}

/// Into an Asterisk that came up with stock's engine and has not used it yet.
fn by_the_console(lab: &Lab, user: User) {
    let setup = world::ours(user, Encryption::Sdes)
        .modules_conf(&format!("[modules]\nautoload = yes\nnoload = {NAME}\n"));
    let ours = Asterisk::start(lab, &setup);
    let carrier = Asterisk::start(lab, &world::carrier(Encryption::Sdes));
    assert!(!ours.maps().contains(NAME));
    assert!(
        ours.cli("module show like res_srtp.so")
            .contains("1 modules loaded")
    );
    let answer = ours.cli(&format!("module load {NAME}"));
    assert!(answer.contains("Loaded"), "{answer}");
    assert!(
        ours.cli("module show like res_srtp.so")
            .contains("0 modules loaded")
    );
    assert_is_loaded(&ours);
    call(&ours, &carrier);
}

/// A reload during a call leaves it alone.
fn reload(lab: &Lab, user: User) {
    let ours = Asterisk::start(lab, &world::ours(user, Encryption::Sdes));
    let carrier = Asterisk::start(lab, &world::carrier(Encryption::Sdes));
    let capture = Capture::start(lab, "call");
    ours.cli("channel originate PJSIP/say@carrier extension say@default");
    ours.wait_for_tone(CARRIER_TONE, 5);
    for conf in ["[srtp]\noffer = AEAD_AES_128_GCM\n", ""] {
        ours.configure("ciphertrunk.conf", conf);
        let answer = ours.cli(&format!("module reload {NAME}"));
        assert!(answer.contains("reloaded successfully"), "{answer}");
    }
    fs::remove_file(ours.path("etc/ciphertrunk.conf")).expect("it was written");
    ours.cli(&format!("module reload {NAME}"));
    assert_goes_on(&ours, CARRIER_TONE);
    carrier.wait_for_tone(OUR_TONE, 20);
    assert_served_by_us(&ours);
    assert_encrypted(&capture.stop(), OURS);
}
