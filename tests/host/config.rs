//! A mistake in `ciphertrunk.conf` is one line in the log that names file, line, option and reason, and the last good
//! state stays. Each mistake stands beside the line that it could have been.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

use host_harness::asterisk::{Asterisk, Setup, User};
use host_harness::lab::Lab;
use host_harness::pjsip::Encryption;

use crate::world::{self, OURS};

as_root_and_as_asterisk!(
    the_last_good_state_stays,
    at_start_the_defaults_stand,
    what_is_doubtful_is_a_warning,
    a_file_of_somebody_else
);

const MODULE: &str = "res_ciphertrunk.so";

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
        "accept = AEAD_AES_128_GCM, AES_CM_128_HMAC_SHA1_80",
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
        let told = ours.all_log_lines("ciphertrunk.conf: ").len();
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

/// A good file can say what does not fit together: a WARNING each, at load and at reload.
fn what_is_doubtful_is_a_warning(lab: &Lab, user: User) {
    const DOUBTFUL: &str = "[srtp]\noffer = AES_CM_128_HMAC_SHA1_80, AEAD_AES_128_GCM\naccept = AES_CM_128_HMAC_SHA1_80\n\
         [nobody]\ntype = endpoint\n[carrier]\ntype = endpoint\n[tls]\nkey_log = /nowhere/keys\n";
    let setup = world::ours(user, Encryption::Sdes).file("ciphertrunk.conf", DOUBTFUL);
    let ours = Asterisk::start(lab, &setup);
    if ours.status("PJSIP") != "found" {
        return host_harness::host::skip(
            "config::what_is_doubtful_is_a_warning",
            "the module has no half for PJSIP",
        );
    }
    let expected = [
        (
            "WARNING",
            "[srtp] offer has AEAD_AES_128_GCM, which accept does not have",
        ),
        (
            "WARNING",
            "[nobody] is the section of an endpoint that pjsip.conf does not have",
        ),
        ("ERROR", "[tls] key_log: /nowhere/keys cannot be written"),
    ];
    for times in 1..=2 {
        for (level, text) in expected {
            ours.wait_until(text, |ours| {
                (ours.log_lines(text).len() == times).then_some(())
            });
            assert!(ours.all_log_lines(text)[0].contains(level));
        }
        assert_eq!(complaints(&ours, 0).len(), times * expected.len());
        ours.cli(&format!("module reload {MODULE}"));
    }
    assert_eq!(ours.status("SRTP engine"), "ours");
    // The twin: what fits together is no word.
    let told = complaints(&ours, 0).len();
    let good = DOUBTFUL
        .replace("accept = ", "accept = AEAD_AES_128_GCM, ")
        .replace("[nobody]\ntype = endpoint\n", "")
        .replace("/nowhere/keys", "/srv/ours/log/keys");
    ours.configure("ciphertrunk.conf", &good);
    ours.cli(&format!("module reload {MODULE}"));
    ours.wait_for_log("the keys of TLS connections are written to /srv/ours/log/keys");
    assert_eq!(complaints(&ours, told), [] as [String; 0]);
}

/// A file that Asterisk may not read is not a file that is not there. (Root may read everything: its twin.)
fn a_file_of_somebody_else(lab: &Lab, user: User) {
    let ours = Asterisk::start(lab, &Setup::ours("ours", OURS).user(user));
    let fastest = ours.status("Kernel");
    let strict = |mode| {
        ours.configure("ciphertrunk.conf", "[general]\nkernel = portable\n");
        fs::set_permissions(
            ours.path("etc/ciphertrunk.conf"),
            Permissions::from_mode(mode),
        )
        .expect("root may do that");
    };
    let reload = || ours.cli(&format!("module reload {MODULE}"));
    let unreadable = || ours.all_log_lines("ciphertrunk.conf: it cannot be read: ");
    let wait_for = |times| {
        ours.wait_until("the error", |_| (unreadable().len() == times).then_some(()));
        let line = unreadable().pop().expect("one");
        for part in [
            "ERROR",
            "Permission denied",
            "belongs to user 0, group 0, and has mode 0600",
        ] {
            assert!(line.contains(part), "{line}");
        }
    };

    // At load: the defaults, and an error.
    strict(0o600);
    ours.cli(&format!("module unload {MODULE}"));
    let answer = ours.cli(&format!("module load {MODULE}"));
    assert!(answer.contains("Loaded"), "{answer}");
    if user == User::Root {
        assert_eq!(ours.status("Kernel"), "portable");
        assert_eq!(unreadable(), [] as [String; 0]);
        return;
    }
    wait_for(1);
    assert_eq!(ours.status("Kernel"), fastest);
    // At reload: what was in force stays.
    strict(0o644);
    reload();
    assert_eq!(ours.status("Kernel"), "portable");
    strict(0o600);
    reload();
    wait_for(2);
    assert_eq!(ours.status("Kernel"), "portable");
    // The twin: one that is not there is the defaults.
    fs::remove_file(ours.path("etc/ciphertrunk.conf")).expect("it is there");
    reload();
    assert_eq!(ours.status("Kernel"), fastest);
    assert_eq!(unreadable().len(), 2);
}
