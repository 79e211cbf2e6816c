//! Other people's modules beside ours: another SRTP engine, another user of libsrtp, and stock's module that was refused.

use std::process::Command;

use host_harness::asterisk::{Asterisk, Setup, User};
use host_harness::capture::Capture;
use host_harness::host;
use host_harness::lab::{Lab, repository};
use host_harness::pjsip::Encryption;
use host_harness::wait;

use crate::world::{self, CARRIER_TONE, OUR_TONE, OURS, assert_encrypted, assert_served_by_us};

as_root_and_as_asterisk!(
    another_engine_takes_over,
    another_user_of_libsrtp_after_us,
    another_user_of_libsrtp_before_us,
    stock_was_refused_and_we_go
);

const NAME: &str = "res_ciphertrunk.so";

/// Compiles `tests/host/modules/NAME.c` for the Asterisk of this run, into the modules of `asterisk`.
fn add_module(asterisk: &Asterisk<'_>, name: &str, libraries: &[&str]) {
    let headers = std::env::var_os("CIPHERTRUNK_HEADERS").map_or_else(
        || repository().join("asterisk-headers/fetched"),
        std::path::PathBuf::from,
    );
    let compiled = Command::new("cc")
        .args(["-shared", "-fPIC", "-O1", "-D_GNU_SOURCE"])
        .arg(format!("-DAST_MODULE=\"{name}\""))
        .arg(format!("-DAST_MODULE_SELF_SYM=__internal_{name}_self"))
        .arg("-isystem")
        .arg(headers.join("asterisk"))
        .arg(repository().join(format!("tests/host/modules/{name}.c")))
        .arg("-o")
        .arg(asterisk.path(&format!("modules/{name}.so")))
        .args(libraries)
        .status()
        .expect("cc starts");
    assert!(compiled.success(), "{name}.c is not compiled");
}

/// Unloads our module on a console of its own, which a deadlock would hold for ever.
fn unload(lab: &Lab, ours: &Asterisk<'_>) {
    let mut console = lab.spawn(
        "unload",
        "asterisk",
        &[
            "-C",
            "/srv/ours/etc/asterisk.conf",
            "-rx",
            &format!("module unload {NAME}"),
        ],
    );
    console.wait(wait::SOON);
    assert!(
        console.output().contains("Unloaded"),
        "{}\n{}",
        console.output(),
        ours.log()
    );
}

fn load(ours: &Asterisk<'_>, module: &str) {
    let answer = ours.cli(&format!("module load {module}"));
    assert!(answer.contains("Loaded"), "{answer}\n{}", ours.log());
}

fn call(ours: &Asterisk<'_>, carrier: &Asterisk<'_>) {
    ours.cli("channel originate PJSIP/say@carrier extension say@default");
    ours.wait_for_tone(CARRIER_TONE, 10);
    carrier.wait_for_tone(OUR_TONE, 10);
}

/// The watch says so once and asks the loader for nothing: unloading ours, which waits for the watch, comes back.
fn another_engine_takes_over(lab: &Lab, user: User) {
    let ours = Asterisk::start(lab, &Setup::ours("ours", OURS).user(user));
    add_module(&ours, "foreign_engine", &[]);
    let told = || ours.all_log_lines("another module has made itself Asterisk's SRTP engine");
    for round in 1..=2 {
        load(&ours, "foreign_engine.so");
        ours.wait_until("the watch", |_| (told().len() == round).then_some(()));
        assert_eq!(ours.status("SRTP engine"), "NOT ours (another module's)");
        ours.cli("module unload foreign_engine.so");
        // The twin: taken back when it is free.
        ours.wait_until("the engine", |ours| {
            (ours.status("SRTP engine") == "ours").then_some(())
        });
    }
    load(&ours, "foreign_engine.so");
    ours.wait_until("the watch", |_| (told().len() == 3).then_some(()));
    // Time for twenty more looks of the watch, in which nothing may be said.
    std::thread::sleep(std::time::Duration::from_secs(2));
    unload(lab, &ours);
    assert_eq!(told().len(), 3, "{:#?}", told());
    let warnings = ours.all_log_lines("WARNING");
    assert!(warnings.is_empty(), "{warnings:#?}");
    assert!(!ours.maps().contains(NAME));
    ours.cli("module unload foreign_engine.so");
    load(&ours, NAME);
    assert_eq!(ours.status("SRTP engine"), "ours");
}

/// How often the other module said that it encrypted.
fn encrypted(ours: &Asterisk<'_>, times: usize) {
    ours.wait_until("libsrtp's encryption", |ours| {
        (ours.log_lines("libsrtp encrypts: 182 octets").len() == times).then_some(())
    });
    let failures = ours.all_log_lines("libsrtp does not start");
    assert!(failures.is_empty(), "{failures:#?}");
}

fn stock_is_refused(ours: &Asterisk<'_>, times: usize) {
    ours.cli("module load res_srtp.so");
    ours.wait_until("the refusal", |ours| {
        (ours.log_lines("res_srtp.so was asked to start").len() == times).then_some(())
    });
    assert_eq!(ours.status("SRTP engine"), "ours");
    assert_eq!(ours.status("Engine lost"), "0 times, 0.0 s");
}

fn another_user_of_libsrtp_after_us(lab: &Lab, user: User) {
    let ours = Asterisk::start(lab, &world::ours(user, Encryption::Sdes));
    let carrier = Asterisk::start(lab, &world::carrier(Encryption::Sdes));
    let capture = Capture::start(lab, "call");
    add_module(&ours, "libsrtp_user", &["-lsrtp2"]);
    stock_is_refused(&ours, 1);
    load(&ours, "libsrtp_user.so");
    encrypted(&ours, 1);
    stock_is_refused(&ours, 2);
    call(&ours, &carrier);
    ours.cli("module reload libsrtp_user.so");
    encrypted(&ours, 2);
    assert_served_by_us(&ours);
    assert_encrypted(&capture.stop(), OURS);
}

fn another_user_of_libsrtp_before_us(lab: &Lab, user: User) {
    let setup = world::ours(user, Encryption::Sdes).modules_conf(&format!(
        "[modules]\nautoload = yes\nnoload = {NAME}\nnoload = res_srtp.so\n"
    ));
    let ours = Asterisk::start(lab, &setup);
    let carrier = Asterisk::start(lab, &world::carrier(Encryption::Sdes));
    add_module(&ours, "libsrtp_user", &["-lsrtp2"]);
    load(&ours, "libsrtp_user.so");
    encrypted(&ours, 1);
    load(&ours, NAME);
    ours.cli("module reload libsrtp_user.so");
    encrypted(&ours, 2);
    stock_is_refused(&ours, 1);
    call(&ours, &carrier);
    assert_served_by_us(&ours);
}

/// Stock's library stays in memory when its start was refused, bound to ours: an unload of ours takes it out, so that ours
/// is unmapped too. Then stock's may start.
fn stock_was_refused_and_we_go(lab: &Lab, user: User) {
    let ours = Asterisk::start(lab, &world::ours(user, Encryption::Sdes));
    let carrier = Asterisk::start(lab, &world::carrier(Encryption::Sdes));
    for round in 1..=3 {
        stock_is_refused(&ours, round);
        unload(lab, &ours);
        if !ours
            .all_log_lines("Unload failed, 'res_srtp.so' is not loaded")
            .is_empty()
        {
            return host::skip(
                "other_modules::stock_was_refused_and_we_go",
                "this Asterisk keeps the library of a module that declined to load",
            );
        }
        assert!(!ours.maps().contains(NAME), "{}", ours.log());
        load(&ours, NAME);
    }
    call(&ours, &carrier);
    assert_served_by_us(&ours);
    ours.cli("channel request hangup all");
    ours.wait_for_channels(0);
    ours.wait_until("the unloading", |ours| {
        ours.cli(&format!("module unload {NAME}"))
            .contains("Unloaded")
            .then_some(())
    });
    load(&ours, "res_srtp.so");
    let complaints = ours.all_log_lines("dlclose");
    assert!(complaints.is_empty(), "{complaints:#?}");
    let complaints = ours.all_log_lines("could not be completely unloaded");
    assert!(complaints.is_empty(), "{complaints:#?}");
}
