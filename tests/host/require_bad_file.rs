//! A `ciphertrunk.conf` that is wrong when Asterisk starts does not take its demands with it.

use host_harness::asterisk::{Asterisk, Setup};
use host_harness::lab::Lab;
use host_harness::peer::{Description, Phone};
use host_harness::pjsip::{self, Encryption, UDP};

use crate::srtp_call::{PBX, PLAIN, PORT};

const DEMANDS: &str = "[plain]\ntype = endpoint\nrequire_media = yes\n";

/// What becomes of a call in clear under this file.
fn call(lab: &Lab, pbx: &Asterisk<'_>) -> Option<u16> {
    let mut phone = Phone::new(lab, PLAIN, PBX);
    let refused = phone.call("echo", &Description::new(PORT, &[])).err();
    if refused.is_none() {
        phone.hang_up();
    }
    pbx.wait_for_channels(0);
    refused
}

#[test]
fn at_the_start() {
    for (name, file, refused, told) in [
        ("good", "[plain]\ntype = endpoint\n".to_owned(), None, None),
        (
            "typo_elsewhere",
            format!("[srtp]\noffer = nonsense\n{DEMANDS}"),
            Some(488),
            Some("media-in-clear"),
        ),
        (
            "typo_in_it",
            DEMANDS.replace("require_", "requier_"),
            Some(403),
            Some("bad-demand"),
        ),
        (
            "typo_in_another",
            DEMANDS
                .replace("plain", "other")
                .replace("require_", "requier_"),
            None,
            None,
        ),
        (
            "no_file",
            "[plain\n".to_owned(),
            Some(403),
            Some("bad-demand"),
        ),
    ] {
        let lab = Lab::new(&format!("require/bad_file_{name}"));
        let setup = Setup::ours("pbx", PBX)
            .pjsip(UDP)
            .pjsip(&pjsip::trunk("plain", PLAIN, Encryption::Plain))
            .file("ciphertrunk.conf", &file)
            .dialplan(pjsip::ECHO);
        let pbx = Asterisk::start(&lab, &setup);
        assert_eq!(call(&lab, &pbx), refused, "{name}");
        if let Some(told) = told {
            assert!(!pbx.all_log_lines(told).is_empty(), "{name}: {}", pbx.log());
        }
        // With a good file all is as it says.
        pbx.configure("ciphertrunk.conf", "[plain]\ntype = endpoint\n");
        pbx.cli("module reload res_ciphertrunk.so");
        assert_eq!(call(&lab, &pbx), None, "{name}");
    }
}
