//! Asterisk's native RTP bridge on an encrypted leg: that it is left where packets could not be encrypted.

use host_harness::asterisk::{Asterisk, Setup};
use host_harness::lab::Lab;
use host_harness::peer::srtp::AES_80;
use host_harness::peer::{Heard, Key};
use host_harness::wait;

use crate::srtp_call::{self, Bridged, PBX, PORT, SDES};

const NATIVE: &str = "native_rtp";
const CORE: &str = "simple_bridge";
const LEFT: &str = "packets of the call's other leg could not be encrypted";
const CHANGED: &str = "Asterisk sends with another one from now on";

fn wait_for_bridge(pbx: &Asterisk<'_>, technology: &str) {
    pbx.wait_until(&format!("the bridge to be {technology}"), |pbx| {
        let shown = pbx.cli("bridge show all");
        let mut bridges = shown.lines().filter(|line| line.contains(" 2 "));
        bridges.any(|line| line.contains(technology)).then_some(())
    });
}

/// A packet from the plain phone, as it comes to the one with SDES; what came meanwhile is no audio in clear.
fn pass(call: &mut Bridged) -> Heard {
    wait::until(
        "audio at the phone with SDES",
        wait::SOON,
        || {
            let audio = call.plain.audio();
            call.plain.send(&audio);
            let heard = call.sdes.try_for(&audio)?;
            assert!(!heard.shows(&audio), "in clear");
            Some(heard)
        },
        String::new,
    )
}

/// A packet that has Asterisk's SSRC, not the plain phone's.
fn pass_with_another_ssrc(call: &mut Bridged, than: &[u32]) -> u32 {
    wait::until(
        "audio at the phone with SDES from another SSRC",
        wait::SOON,
        || {
            // What is refused is refused quickly.
            for _ in 0..20 {
                let audio = call.plain.audio();
                call.plain.send(&audio);
            }
            let audio = call.plain.audio();
            call.plain.send(&audio);
            let heard = call.sdes.try_for(&audio)?;
            assert!(!heard.shows(&audio), "in clear");
            Some(heard.ssrc()).filter(|ssrc| !than.contains(ssrc))
        },
        String::new,
    )
}

/// Another leg that comes back with sequence numbers that were used, or that has Asterisk's own SSRC.
fn what_cannot_be_encrypted(lab: &Lab, pbx: &Asterisk<'_>) {
    let mut call = Bridged::new(lab, &Key::new(AES_80, 1));
    wait_for_bridge(pbx, NATIVE);
    call.plain.sequence = 30_000;
    call.warm_up();
    call.warm_up_back();
    assert_eq!(pass(&mut call).ssrc(), call.plain.ssrc, "its own passes");

    // As if it had sent elsewhere: no receiver of the stream could tell which turn of the numbers it is.
    call.plain.sequence = call.plain.sequence.wrapping_sub(20_000);
    let far = call.plain.ssrc;
    let own = pass_with_another_ssrc(&mut call, &[far]);
    wait_for_bridge(pbx, CORE);
    let left = pbx.all_log_lines(LEFT);
    assert_eq!(left.len(), 1, "{left:?}");
    assert!(left[0].contains(&format!("{SDES}:{PORT}")), "{left:?}");
    for _ in 0..50 {
        assert!(call.pass(), "from the core");
    }
    assert_eq!(pass(&mut call).ssrc(), own);
    assert_eq!(pbx.all_log_lines(CHANGED).len(), 0);
    hang_up(pbx, call);

    // The SSRC that Asterisk sends with, known from the core, on the far leg.
    pbx.configure("ciphertrunk.conf", "[media]\nnative_bridge = no\n");
    pbx.cli("module reload res_ciphertrunk.so");
    let mut call = Bridged::new(lab, &Key::new(AES_80, 2));
    wait_for_bridge(pbx, CORE);
    call.warm_up();
    let heard = pass(&mut call);
    let own = heard.ssrc();
    assert_ne!(own, call.plain.ssrc);
    pbx.configure("ciphertrunk.conf", "[media]\nnative_bridge = yes\n");
    pbx.cli("module reload res_ciphertrunk.so");
    let channel = pbx.cli("core show channels concise");
    let channel = channel.split('!').next().expect("a channel");
    let record = || {
        pbx.cli(&format!(
            "mixmonitor start {channel} /srv/pbx/rec/mixed.wav"
        ))
    };
    record();
    pbx.cli(&format!("mixmonitor stop {channel}"));
    // Asterisk takes a recording that has ended away when it next has audio.
    let far = call.plain.ssrc;
    wait::until(
        "audio by the native bridge",
        wait::SOON,
        || (pass(&mut call).ssrc() == far).then_some(()),
        String::new,
    );
    wait_for_bridge(pbx, NATIVE);
    call.plain.ssrc = own;
    call.plain.sequence = heard.sequence.wrapping_add(5_000);
    call.warm_up();
    assert_eq!(pass(&mut call).ssrc(), own, "the far leg's is the same");
    record();
    wait_for_bridge(pbx, CORE);
    pass_with_another_ssrc(&mut call, &[own]);
    assert_eq!(pbx.all_log_lines(CHANGED).len(), 1);
    for _ in 0..50 {
        assert!(call.pass(), "from the new SSRC");
    }
    hang_up(pbx, call);
}

fn hang_up(pbx: &Asterisk<'_>, call: Bridged) {
    drop(call);
    pbx.cli("channel request hangup all");
    pbx.wait_for_channels(0);
}

#[test]
fn a_native_bridge_is_left_where_packets_could_not_be_encrypted() {
    let lab = Lab::new("native-fallback");
    let setup = srtp_call::with_endpoints(Setup::ours("pbx", PBX));
    let pbx = Asterisk::start(&lab, &setup);
    what_cannot_be_encrypted(&lab, &pbx);
}
