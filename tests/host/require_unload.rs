//! A demand that a channel has inherited is a use of the module: Asterisk counts none for it, and calls our code when it frees it.

use host_harness::asterisk::{Asterisk, Setup, TEST_MODULE};
use host_harness::lab::Lab;
use host_harness::pjsip::{self, Encryption, UDP};

use crate::world::{CARRIER, CARRIER_TONE, OURS};

const DEMAND: &str = "Set(CIPHERTRUNK_REQUIRE(media)=yes)";

/// The channels whose names have `part`.
fn channels(asterisk: &Asterisk<'_>, part: &str) -> Vec<String> {
    let text = asterisk.cli("core show channels concise");
    let names = text.lines().filter_map(|line| line.split('!').next());
    names
        .filter(|name| name.contains(part))
        .map(str::to_owned)
        .collect()
}

#[test]
fn an_heir_of_a_demand_keeps_the_module() {
    let lab = Lab::new("require/heir");
    let mut ours = Asterisk::start(
        &lab,
        &Setup::ours("ours", OURS).pjsip(UDP).dialplan(&format!(
            "exten => made,1,{DEMAND}\n same => n,Dial(Local/heir@default/n)\n\
             exten => heir,1,Answer()\n same => n,Wait(600)\n\
             exten => rest,1,Wait(600)\n"
        )),
    );
    ours.cli("channel originate Local/made@default application Wait 600");
    // The half of the heir that was dialled, and has nobody but a channel of the core's from then on.
    let heir = ours.wait_until("the call to the heir", |ours| {
        ours.cli("core show channels concise")
            .lines()
            .any(|line| line.contains("!heir!"))
            .then(|| channels(ours, "Local/heir@"))?
            .into_iter()
            .find(|name| name.ends_with(";1"))
    });
    ours.cli(&format!("channel redirect {heir} default,rest,1"));
    ours.wait_until("the redirect", |ours| {
        ours.cli("core show channels concise")
            .lines()
            .any(|line| line.contains("!rest!"))
            .then_some(())
    });
    // Who made the demand, and the rest of the call, are gone.
    for name in channels(&ours, "Local/made@") {
        ours.cli(&format!("channel request hangup {name}"));
    }
    // Both halves of the heir.
    ours.wait_for_channels(2);
    let answer = ours.cli("module unload res_ciphertrunk.so");
    assert!(answer.contains("Unable to unload"), "{answer}");
    // By Asterisk's own count, and by ours, which one by force does not pass either.
    ours.wait_for_log("'res_ciphertrunk.so' has use count 2");
    let answer = ours.cli("module unload -f res_ciphertrunk.so");
    assert!(answer.contains("Unable to unload"), "{answer}");
    ours.wait_for_log("2 demands of channels are kept");
    ours.cli("channel request hangup all");
    ours.wait_for_channels(0);
    assert!(ours.is_up());
    // The twin: the same without the heir.
    ours.wait_until("the unloading", |ours| {
        ours.cli("module unload res_ciphertrunk.so")
            .contains("Unloaded")
            .then_some(())
    });
    assert!(!ours.maps().contains("res_ciphertrunk"));
    assert!(ours.is_up());
}

#[test]
fn a_demand_that_could_not_be_inherited_is_one_that_nothing_meets() {
    let lab = Lab::new("require/lost-heir");
    let _carrier = Asterisk::start(
        &lab,
        &Setup::stock("carrier", CARRIER)
            .pjsip(UDP)
            .pjsip(&pjsip::trunk("ours", OURS, Encryption::Sdes))
            .dialplan(&pjsip::say(CARRIER_TONE)),
    );
    let ours = Asterisk::start(
        &lab,
        &Setup::ours("ours", OURS)
            .module(TEST_MODULE)
            .pjsip(UDP)
            .pjsip(&pjsip::trunk("carrier", CARRIER, Encryption::Sdes))
            .dialplan(&format!(
                "exten => made,1,{DEMAND}\n same => n,Dial(Local/onward@default/n,60,gS(1))\n \
                 same => n,Verbose(0,over ${{DIALSTATUS}} ${{CIPHERTRUNK_REASON}})\n\
                 exten => onward,1,Dial(PJSIP/say@carrier,60)\n\
                 exten => wait,1,Answer()\n same => n,Wait(600)\n"
            )),
    );
    let call = || {
        let before = ours.all_log_lines("app_verbose.c: over ").len();
        ours.cli("channel originate Local/made@default extension wait@default");
        let line = ours.wait_until("the end of the call", |ours| {
            let mut lines = ours.all_log_lines("app_verbose.c: over ");
            (lines.len() > before).then(|| lines.pop().expect("one"))
        });
        ours.wait_for_channels(0);
        line
    };
    let line = call();
    assert!(line.contains("over ANSWER"), "{line}");
    ours.cli("ciphertrunk test fault datastore_duplicate");
    let line = call();
    assert!(
        !line.contains("ANSWER") && line.contains(" bad-demand"),
        "{line}"
    );
    assert_eq!(ours.count("Panics caught"), 1);
    let line = call();
    assert!(line.contains("over ANSWER"), "{line}");
}
