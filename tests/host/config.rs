//! A mistake in `ciphertrunk.conf` is one line in the log that names file, line, option and reason, and the last good
//! state stays. Each mistake stands beside the line that it could have been.

use host_harness::asterisk::{Asterisk, Setup, User};
use host_harness::lab::Lab;

use crate::world::OURS;

as_root_and_as_asterisk!(the_last_good_state_stays, at_start_the_defaults_stand);

/// Section, a good line, a bad one.
const TABLE: &[(&str, &str, &str)] = &[
    ("general", "kernel = auto", "kernel = quantum"),
    (
        "srtp",
        "offer = AES_CM_128_HMAC_SHA1_80",
        "offer = AES_CM_128_HMAC_SHA1_81",
    ),
    (
        "srtp",
        "accept = AEAD_AES_128_GCM, AEAD_AES_256_GCM",
        "accept = AEAD_AES_128_GCM, AEAD_AES_128_GCM",
    ),
    ("srtp", "mki = yes", "mki = maybe"),
    ("srtp", "mki = no", "mkis = no"),
    ("srtp", "lifetime = 2^20", "lifetime = 2^19"),
    (
        "srtp",
        "lifetime = 281474976710656",
        "lifetime = 281474976710657",
    ),
    ("srtp", "strict_lifetime = yes", "strict_lifetime = maybe"),
    ("tls", "handshake_timeout = 10", "handshake_timeout = -1"),
    ("srtp", "offer = AEAD_AES_128_GCM", "offer = "),
];

fn file(section: &str, line: &str) -> String {
    // Good lines around it: they must not come into force without it.
    format!("[general]\nkernel = portable\n\n[{section}]\n; a comment\n{line}\n")
}

/// What the log says of the file since `before`.
fn complaints(ours: &Asterisk<'_>, before: usize) -> Vec<String> {
    ours.all_log_lines("ciphertrunk.conf: ").split_off(before)
}

fn the_last_good_state_stays(lab: &Lab, user: User) {
    let ours = Asterisk::start(lab, &Setup::ours("ours", OURS).user(user));
    let fastest = ours.status("Kernel");
    for (section, good, bad) in TABLE {
        let told = ours.log_lines("ciphertrunk.conf: ").len();
        ours.configure("ciphertrunk.conf", &file(section, bad));
        ours.cli("module reload res_ciphertrunk.so");
        let lines = complaints(&ours, told);
        assert_eq!(lines.len(), 1, "{bad}: {lines:#?}");
        let option = bad.split(' ').next().expect("a name");
        let named = ["ERROR", "line 6", &format!("[{section}]"), option];
        assert!(
            named.iter().all(|part| lines[0].contains(part)),
            "{bad}: {}",
            lines[0]
        );
        assert_eq!(
            ours.status("Kernel"),
            fastest,
            "{bad}: half of a bad file is in force"
        );

        ours.configure("ciphertrunk.conf", &file(section, good));
        ours.cli("module reload res_ciphertrunk.so");
        let lines = complaints(&ours, told + 1);
        assert!(lines.is_empty(), "{good}: {lines:#?}");
        let expected = if *section == "general" {
            &fastest
        } else {
            "portable"
        };
        assert_eq!(ours.status("Kernel"), expected, "{good}");

        ours.configure("ciphertrunk.conf", "");
        ours.cli("module reload res_ciphertrunk.so");
        assert_eq!(ours.status("Kernel"), fastest);
    }
}

fn at_start_the_defaults_stand(lab: &Lab, user: User) {
    let conf = "[general]\nkernel = portable\ncolour = blue\n";
    let setup = Setup::ours("ours", OURS)
        .user(user)
        .file("ciphertrunk.conf", conf);
    let ours = Asterisk::start(lab, &setup);
    assert_eq!(complaints(&ours, 0).len(), 1);
    assert_eq!(ours.status("SRTP engine"), "ours");
    assert_ne!(
        ours.status("Kernel"),
        "portable",
        "the bad file is in force"
    );
}
