//! SIP over TLS between chan_sip, whose TLS is Asterisk's own, and a carrier whose TLS is ours.

use std::fmt::Write as _;

use host_harness::asterisk::{Asterisk, Setup};
use host_harness::host;
use host_harness::pjsip::{self, Encryption};

use crate::tls_world::{World, ours};
use crate::world::{CARRIER, CARRIER_TONE, OURS};

/// Each has a connection of its own.
const CONNECTIONS: u16 = 20;

/// `sip.conf`, with a peer for each of the carrier's ports.
fn sip_conf(world: &World) -> String {
    let mut text = format!(
        "[general]\nudpbindaddr = {OURS}:5070\nmedia_address = {OURS}\ntlsenable = yes\ntlsbindaddr = {OURS}:5071\n\
         tlscertfile = {}\ntlsprivatekey = {}\ntlscafile = {}\ntlsdontverifyserver = yes\ncontext = default\n\
         directmedia = no\nallowguest = no\n\n",
        world.certificate.certificate, world.certificate.key, world.authority
    );
    for number in 0..CONNECTIONS {
        writeln!(
            text,
            "[carrier{number}]\ntype = peer\nhost = {CARRIER}\nport = {}\ntransport = tls\nencryption = yes\ncontext = default\n\
             disallow = all\nallow = ulaw\ninsecure = port,invite\n",
            pjsip::TLS_PORT + number
        )
        .expect("a String takes it");
    }
    text
}

/// chan_sip sends the request that began a connection when its handshake is done, but not while it reads: and it reads until a message
/// has come, if anything has. A session ticket of TLS 1.3 is none.
#[test]
fn the_call_that_begins_a_connection_is_answered() {
    let test = "chan_sip_tls::the_call_that_begins_a_connection_is_answered";
    let world = World::new("chan_sip");
    if !world.lab.host().has_module("chan_sip") {
        return host::skip(test, "this Asterisk has no chan_sip");
    }
    let setup = ours()
        .also_modules(&["chan_sip"])
        .file("sip.conf", &sip_conf(&world))
        .pjsip(pjsip::UDP)
        .dialplan(&pjsip::say(CARRIER_TONE));
    let mut carrier = Setup::ours("carrier", CARRIER)
        .pjsip(pjsip::UDP)
        .pjsip(&pjsip::tls_trunk("ours", OURS, Encryption::Sdes))
        .dialplan("exten => stay,1,Answer()\n same => n,Wait(600)\n");
    let transport = pjsip::tls(&world.certificate, &world.authority);
    for number in 0..CONNECTIONS {
        let name = match number {
            0 => "[tls]".to_owned(),
            _ => format!("[tls{number}]"),
        };
        carrier = carrier.pjsip(&transport.replace("[tls]", &name).replace(
            &format!(":{}\n", pjsip::TLS_PORT),
            &format!(":{}\n", pjsip::TLS_PORT + number),
        ));
    }
    let ours = Asterisk::start(&world.lab, &setup);
    let carrier = Asterisk::start(&world.lab, &carrier);
    if carrier.status("PJSIP") != "found" {
        return host::skip(test, "the module has no half for PJSIP");
    }
    for number in 0..CONNECTIONS {
        ours.cli(&format!(
            "channel originate SIP/carrier{number}/stay application Wait 600"
        ));
    }
    // Each has been answered: the channel of one that has not is not up.
    ours.wait_until("each of the calls to be up", |ours| {
        let channels = ours.cli("core show channels concise");
        let up = channels.lines().filter(|line| line.contains("!Up!"));
        (up.count() == usize::from(CONNECTIONS)).then_some(())
    });
    assert_eq!(carrier.count("TLS handshakes in"), u64::from(CONNECTIONS));
    assert_eq!(carrier.count("Sessions"), u64::from(CONNECTIONS));
}
