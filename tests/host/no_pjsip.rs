//! Where `res_pjsip` is not loaded or did not start, the module is the SRTP engine alone; SIP over TLS comes with it.

use host_harness::asterisk::{Asterisk, Setup};
use host_harness::lab::{self, Lab};

use crate::world::OURS;

const NAME: &str = "res_ciphertrunk.so";

fn modules(noload: &str) -> String {
    let sample = lab::repository().join("conf/modules.conf.sample");
    let sample = std::fs::read_to_string(&sample).expect("the sample");
    format!("{sample}\n{noload}\n")
}

#[test]
fn the_engine_is_ours() {
    // The last one: res_pjsip is in memory, and did not start without it.
    let cases = [
        ("res_pjsip.so", "res_pjsip.so"),
        ("res_pjsip_session.so", "res_pjsip_session.so"),
        ("chan_pjsip.so", "chan_pjsip.so"),
        ("res_sorcery_memory.so", "res_pjsip.so"),
    ];
    for (absent, not_running) in cases {
        let lab = Lab::new("no_pjsip/the_engine_is_ours");
        let setup = Setup::ours("ours", OURS).modules_conf(&modules(&format!("noload = {absent}")));
        let ours = Asterisk::start(&lab, &setup);
        // By the console too: the second time nothing of the first is left.
        for round in 1..=2 {
            assert_eq!(ours.status("SRTP engine"), "ours");
            let told = ours.all_log_lines("Ciphertrunk is the SRTP engine alone");
            assert_eq!(told.len(), round, "{told:#?}");
            let reasons = [
                format!("{not_running} is not running"),
                "the module was built without PJSIP".to_owned(),
            ];
            assert!(
                reasons
                    .iter()
                    .any(|reason| told[round - 1].contains(reason)),
                "{told:#?}"
            );
            if !told[0].contains("built without PJSIP") {
                ours.cli("ciphertrunk show transports");
            }
            ours.cli("ciphertrunk show refusals");
            ours.cli(&format!("module reload {NAME}"));
            ours.cli(&format!("module unload {NAME}"));
            assert!(!ours.maps().contains(NAME));
            ours.cli(&format!("module load {NAME}"));
        }
        assert!(ours.stop().success());
    }
}

/// The twin: with it the same Asterisk's TLS is ours, and its going away is refused.
#[test]
fn with_it_pjsip_stays_while_we_do() {
    let lab = Lab::new("no_pjsip/with_it");
    let ours = Asterisk::start(&lab, &Setup::ours("ours", OURS));
    assert!(
        ours.all_log_lines("is not running: Ciphertrunk is")
            .is_empty()
    );
    let answer = ours.cli("module unload res_pjsip_session.so");
    assert!(answer.contains("Unable to unload"), "{answer}");
    assert!(ours.maps().contains("res_pjsip_session.so"));
}
