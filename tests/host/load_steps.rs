//! A load that fails at any of its steps leaves nothing behind; a call that begins during an unload is served; what a
//! console still prints is not freed. With the test build's faults.

use std::fs;

use host_harness::asterisk::{Asterisk, TEST_MODULE, User};
use host_harness::capture::Capture;
use host_harness::certificates::Authority;
use host_harness::host;
use host_harness::lab::Lab;
use host_harness::pjsip::{self, Encryption};
use host_harness::process::Process;
use host_harness::wait;

use crate::world::{self, CARRIER_TONE, OUR_TONE, OURS, assert_encrypted, assert_served_by_us};

as_root_and_as_asterisk!(
    each_step_fails,
    a_call_begins_during_an_unload,
    a_console_prints_during_an_unload
);

const NAME: &str = "res_ciphertrunk.so";

/// The steps of `src/module/registrations.rs`, in their order.
const STEPS: &[&str] = &[
    "load-probe",
    "load-self-test",
    "load-config",
    "load-engine",
    "load-sdes",
    "load-watch",
    "load-demands",
    "load-supplement",
    "load-openssl",
    "load-tls",
    "load-recording",
    "load-native",
    "load-function",
    "load-commands",
    "load-actions",
];

fn assert_tls_is_served(lab: &Lab) {
    let handshake = lab.run(
        "openssl",
        &["s_client", "-connect", &format!("{OURS}:5061"), "-brief"],
    );
    assert!(
        handshake.status.success(),
        "{}",
        String::from_utf8_lossy(&handshake.stderr)
    );
}

/// A call both ways, and its end.
fn call(ours: &Asterisk<'_>, carrier: &Asterisk<'_>) {
    ours.cli("channel originate PJSIP/say@carrier extension say@default");
    ours.wait_for_tone(CARRIER_TONE, 10);
    carrier.wait_for_tone(OUR_TONE, 10);
}

fn end_calls(ours: &Asterisk<'_>, carrier: &Asterisk<'_>) {
    ours.cli("channel request hangup all");
    ours.wait_for_channels(0);
    carrier.wait_for_channels(0);
    for asterisk in [ours, carrier] {
        let _ = fs::remove_file(asterisk.path("rec/heard.wav"));
    }
}

/// Waits until Asterisk counts no use of the module. (A call's session goes some time after its channel.)
fn wait_until_unused(ours: &Asterisk<'_>) {
    ours.wait_until("the end of all uses of the module", |ours| {
        let modules = ours.cli(&format!("module show like {NAME}"));
        let line = modules.lines().find(|line| line.starts_with(NAME))?;
        let mut words = line
            .split_whitespace()
            .rev()
            .skip_while(|word| *word != "Running");
        (words.nth(1)? == "0").then_some(())
    });
}

fn setup(lab: &Lab, user: User) -> host_harness::asterisk::Setup {
    let authority = Authority::new(lab, "authority");
    let certificate = authority.issue("ours", "ours.example", OURS);
    world::ours(user, Encryption::Sdes)
        .module(TEST_MODULE)
        .pjsip(&pjsip::tls(&certificate, &authority.file()))
}

fn each_step_fails(lab: &Lab, user: User) {
    let setup = setup(lab, user).modules_conf(&format!(
        "[modules]\nautoload = yes\nnoload = {NAME}\nnoload = res_srtp.so\n"
    ));
    let ours = Asterisk::start(lab, &setup);
    let carrier = Asterisk::start(lab, &world::carrier(Encryption::Sdes));
    for step in STEPS {
        ours.configure("ciphertrunk.faults", step);
        let answer = ours.cli(&format!("module load {NAME}"));
        assert!(answer.contains("Unable to load"), "{step}: {answer}");
        ours.wait_for_log(&format!("not loaded: the fault {step} is armed"));
        assert!(
            !ours.cli("core show threads").contains("ciphertrunk"),
            "{step}"
        );
        assert!(
            !ours.cli("core show help").contains("ciphertrunk"),
            "{step}: a command is still there"
        );
        assert_tls_is_served(lab);
        // It declined, so this only has Asterisk close the library.
        ours.cli(&format!("module unload {NAME}"));
        let kept = format!("Unload failed, '{NAME}' is not loaded");
        if !ours.all_log_lines(&kept).is_empty() {
            return host::skip(
                "load_steps::each_step_fails",
                "this Asterisk keeps the library of a module that declined to load",
            );
        }
        assert!(!ours.maps().contains(NAME), "{step}: still mapped");
        // Stock's module registers what ours would still hold, and a call would find our supplement.
        let answer = ours.cli("module load res_srtp.so");
        assert!(answer.contains("Loaded"), "{step}: {answer}");
        call(&ours, &carrier);
        end_calls(&ours, &carrier);
        ours.wait_until("stock's unloading", |ours| {
            ours.cli("module unload res_srtp.so")
                .contains("Unloaded")
                .then_some(())
        });
    }
    fs::remove_file(ours.path("etc/ciphertrunk.faults")).expect("it was written");
    let answer = ours.cli(&format!("module load {NAME}"));
    assert!(answer.contains("Loaded"), "{answer}\n{}", ours.log());
    assert!(ours.cli("core show threads").contains("ciphertrunk"));
    assert!(ours.cli("core show help").contains("ciphertrunk"));
    assert_tls_is_served(lab);
    call(&ours, &carrier);
    assert_served_by_us(&ours);
    end_calls(&ours, &carrier);
    unload(&ours);
}

/// Unloads it and looks that it is gone.
fn unload(ours: &Asterisk<'_>) {
    ours.wait_until("the unloading", |ours| {
        ours.cli(&format!("module unload {NAME}"))
            .contains("Unloaded")
            .then_some(())
    });
    assert!(!ours.maps().contains(NAME), "{}", ours.log());
}

/// A command on a console of its own.
fn console(lab: &Lab, name: &str, command: &str) -> Process {
    lab.spawn(
        name,
        "asterisk",
        &["-C", "/srv/ours/etc/asterisk.conf", "-rx", command],
    )
}

/// At its first step and at its last, an unload waits until a call has begun. The call is served, and everything is as it
/// was.
fn a_call_begins_during_an_unload(lab: &Lab, user: User) {
    let ours = Asterisk::start(lab, &setup(lab, user));
    let carrier = Asterisk::start(lab, &world::carrier(Encryption::Sdes));
    for gap in ["unload-early", "unload-late"] {
        wait_until_unused(&ours);
        let capture = Capture::start(lab, gap);
        ours.cli(&format!("ciphertrunk test fault {gap}"));
        let mut unloading = console(lab, gap, &format!("module unload {NAME}"));
        ours.wait_for_log(&format!("{gap}: waiting for a call"));
        call(&ours, &carrier);
        unloading.wait(wait::SOON);
        assert!(
            unloading.output().contains("Unable to unload"),
            "{gap}: {}",
            unloading.output()
        );
        // What was given up is back.
        assert_served_by_us(&ours);
        assert_eq!(ours.status("Engine lost"), "0 times, 0.0 s");
        assert!(
            ours.cli("ciphertrunk show transports")
                .contains("1 TLS transports")
        );
        assert_tls_is_served(lab);
        assert_encrypted(&capture.stop(), OURS);
        end_calls(&ours, &carrier);
        // And calls have their endpoint: the supplement.
        call(&ours, &carrier);
        end_calls(&ours, &carrier);
    }
    assert_eq!(ours.count("Panics caught"), 0);
    unload(&ours);
}

/// Asterisk answers 0 for a command that it could not unregister, because a console runs it.
fn a_console_prints_during_an_unload(lab: &Lab, user: User) {
    let ours = Asterisk::start(lab, &setup(lab, user));
    ours.cli("ciphertrunk test fault console-prints-on");
    let mut printing = console(lab, "printing", "ciphertrunk show status");
    printing.wait_for("Still printing", wait::SOON);
    for command in ["module unload", "module unload -f"] {
        let answer = ours.cli(&format!("{command} {NAME}"));
        assert!(answer.contains("Unable to unload"), "{command}: {answer}");
    }
    ours.wait_for_log("the module stays loaded: a console is running one of its commands");
    // It prints on, and the other commands are there.
    let lines = || printing.output().matches("Still printing").count();
    let before = lines();
    ours.wait_until("more of the console's lines", |_| {
        (lines() > before + 5).then_some(())
    });
    assert_eq!(ours.status("SRTP engine"), "ours");
    assert!(
        ours.cli("ciphertrunk show transports")
            .contains("1 TLS transports")
    );
    ours.cli("ciphertrunk test fault console-ends");
    assert!(printing.wait(wait::SOON).success());
    unload(&ours);
    let answer = ours.cli(&format!("module load {NAME}"));
    assert!(answer.contains("Loaded"), "{answer}");
}
