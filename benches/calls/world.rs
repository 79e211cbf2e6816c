//! The Asterisk under test and the one that calls it, on cores of their own.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;

use host_harness::asterisk::{Asterisk, Setup};
use host_harness::lab::Lab;
use host_harness::pjsip::{self, Encryption, UDP};

use crate::cores::{Cores, pin};

/// The Asterisk under test.
pub const UNDER_TEST: &str = "127.0.0.10";
/// The one that calls it.
pub const CALLER: &str = "127.0.0.20";
/// The far legs' phone.
pub const FAR: &str = "127.0.0.30";
/// The probes' phone.
pub const PROBE: &str = "127.0.0.40";

/// One way to carry the calls.
#[derive(Debug, Clone, Copy)]
pub struct Kind {
    pub name: &'static str,
    pub ours: bool,
    pub encryption: Encryption,
    /// With `bridge_native_rtp`: `res_rtp_asterisk` then passes packets from leg to leg itself, and Asterisk's core never
    /// sees them. Stock does so for plain RTP alone.
    pub native: bool,
    /// With `[general] cdr = yes`: Ciphertrunk writes its proof into each leg's record. Every kind writes records.
    pub proof: bool,
}

/// What is compared, plain RTP first.
pub const KINDS: [Kind; 4] = [
    Kind {
        name: "plain RTP",
        ours: false,
        encryption: Encryption::Plain,
        native: false,
        proof: false,
    },
    Kind {
        name: "stock res_srtp",
        ours: false,
        encryption: Encryption::Sdes,
        native: false,
        proof: false,
    },
    Kind {
        name: "Ciphertrunk",
        ours: true,
        encryption: Encryption::Sdes,
        native: false,
        proof: false,
    },
    Kind {
        name: "Ciphertrunk, cdr = yes",
        ours: true,
        encryption: Encryption::Sdes,
        native: false,
        proof: true,
    },
];

/// The same bridged natively: plain RTP, which is what others are compared with, and ours.
pub const NATIVE: [Kind; 2] = [
    Kind {
        name: "plain RTP, native bridge",
        native: true,
        ..KINDS[0]
    },
    Kind {
        name: "Ciphertrunk, native bridge",
        native: true,
        ..KINDS[2]
    },
];

/// The records that every kind writes; without `cdr = yes` the proof's fields are empty.
const RECORDS: &str =
    "[mappings]\nproof.csv => ${CDR(channel)},${CDR(ciphertrunk)},${CDR(ciphertrunk_peer)}\n";

/// Both Asterisks.
#[derive(Debug)]
pub struct World<'lab> {
    pub under_test: Asterisk<'lab>,
    pub caller: Asterisk<'lab>,
    native: bool,
}

impl<'lab> World<'lab> {
    /// Starts them. This thread may use the others' cores alone, before and after.
    pub fn start(lab: &'lab Lab, kind: &Kind, cores: &Cores) -> Self {
        Self::with(lab, kind, cores, |setup| setup)
    }

    /// The same, with whatever else the Asterisk under test is to have.
    pub fn with(
        lab: &'lab Lab,
        kind: &Kind,
        cores: &Cores,
        also: impl FnOnce(Setup) -> Setup,
    ) -> Self {
        let rtp = "[general]\nrtpstart = 20000\nrtpend = 36000\nicesupport = no\n";
        let encryption = kind.encryption;
        let under_test = setup(kind.ours, "under-test", UNDER_TEST)
            .pjsip(UDP)
            .pjsip(&pjsip::trunk("caller", CALLER, encryption))
            .pjsip(&pjsip::trunk("far", FAR, encryption))
            .pjsip(&pjsip::trunk("probe", PROBE, encryption))
            .file("rtp.conf", rtp)
            .also_modules(&["cdr_custom", "func_cdr", "func_strings", "res_cdrel_custom"])
            .file("cdr.conf", "[general]\nenable = yes\n")
            .file("cdr_custom.conf", RECORDS)
            .dialplan(pjsip::ECHO)
            .dialplan("exten => bridge,1,Dial(PJSIP/echo@caller)\n")
            .dialplan("exten => far,1,Dial(PJSIP/far@far)\n");
        let under_test = if kind.proof {
            under_test.file("ciphertrunk.conf", "[general]\ncdr = yes\n")
        } else {
            under_test
        };
        // The caller is the same for both encrypted kinds.
        let caller = setup(encryption != Encryption::Plain, "caller", CALLER)
            .pjsip(UDP)
            .pjsip(&pjsip::trunk("under-test", UNDER_TEST, encryption))
            .file("rtp.conf", rtp)
            .dialplan(pjsip::ECHO)
            .dialplan(
                "exten => tone,1,Answer()\n same => n,Playtones(700)\n same => n,Wait(600)\n",
            );
        pin(&[cores.under_test]);
        let under_test = Asterisk::start(lab, &also(under_test));
        pin(&cores.others);
        let caller = Asterisk::start(lab, &caller);
        if !kind.native {
            under_test.cli("module unload bridge_native_rtp.so");
        }
        Self {
            under_test,
            caller,
            native: kind.native,
        }
    }

    /// The caller calls an extension of the Asterisk under test, and is served by `application`, or by an extension.
    pub fn originate(&self, extension: &str, then: &str) {
        let command = format!("channel originate PJSIP/{extension}@under-test {then}");
        console(&self.caller, &command);
    }

    /// Ends all calls, and waits until each has its record, with a proof or without one.
    pub fn hang_up(&self, calls: u32, proof: bool) {
        self.under_test.cli("channel request hangup all");
        self.under_test.wait_for_channels(0);
        let file = self.under_test.path("log/cdr-custom/proof.csv");
        self.under_test.wait_until("the calls' records", |_| {
            let text = std::fs::read_to_string(&file).ok()?;
            (text.lines().count() >= calls as usize).then_some(())
        });
        let text = std::fs::read_to_string(&file).unwrap_or_default();
        let proven = text.lines().filter(|line| line.contains("never-in-clear"));
        assert_eq!(proven.count(), if proof { calls as usize } else { 0 });
    }

    /// Waits until so many calls are up, and bridged as they should be.
    pub fn wait_for_bridges(&self, calls: u32) {
        self.under_test.wait_for_channels((calls * 2) as usize);
        let bridged = if self.native {
            ["2", "basic", "native_rtp"]
        } else {
            ["2", "basic", "simple_bridge"]
        };
        let what = format!("{calls} bridges {bridged:?}");
        self.under_test.wait_until(&what, |under_test| {
            let bridges = under_test.cli("bridge show all");
            let count = bridges
                .lines()
                .filter(|line| {
                    let words: Vec<&str> = line.split_whitespace().collect();
                    words.windows(3).any(|three| three == bridged)
                })
                .count();
            (count == calls as usize).then_some(())
        });
    }
}

/// What a console command says. As `asterisk -rx` does, but without a program for every command.
pub fn console(asterisk: &Asterisk<'_>, command: &str) -> String {
    let path = asterisk.path("run/asterisk.ctl");
    let answer = UnixStream::connect(&path).and_then(|mut console| {
        console.write_all(format!("cli quit after {command}\0").as_bytes())?;
        let mut answer = String::new();
        console.read_to_string(&mut answer)?;
        Ok(answer)
    });
    answer.unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn setup(ours: bool, name: &str, address: &str) -> Setup {
    if ours {
        Setup::ours(name, address)
    } else {
        Setup::stock(name, address)
    }
}
