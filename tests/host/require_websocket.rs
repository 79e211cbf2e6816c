//! WebSockets in clear are no encrypted transport, though Asterisk gives them the same type as those over TLS.

use host_harness::asterisk::{Asterisk, Setup};
use host_harness::certificates::{Authority, Certificate};
use host_harness::lab::Lab;
use host_harness::pjsip::{self, Encryption};
use host_harness::websocket::WebSocket;

use crate::world::OURS;

const WS: &str = "127.0.0.10:8088";
const WSS: &str = "127.0.0.10:8089";

/// A browser's phone, but with SDES, so that its media need nobody else.
fn ours(certificate: &Certificate) -> Setup {
    let endpoint = pjsip::trunk("phone", "127.0.0.1", Encryption::Sdes)
        .replace("transport = udp\n", "rewrite_contact = yes\n")
        .replace("contact = sip:127.0.0.1:5060", "max_contacts = 5");
    Setup::ours("ours", OURS)
        .also_modules(&["res_http_websocket", "res_pjsip_transport_websocket"])
        .pjsip(
            "[ws]\ntype = transport\nprotocol = ws\nbind = {address}\n\n\
             [wss]\ntype = transport\nprotocol = wss\nbind = {address}\n",
        )
        .pjsip(&endpoint)
        .file(
            "http.conf",
            &format!(
                "[general]\nenabled = yes\nbindaddr = {OURS}\nbindport = 8088\ntlsenable = yes\n\
                 tlsbindaddr = {WSS}\ntlscertfile = {}\ntlsprivatekey = {}\n",
                certificate.certificate, certificate.key
            ),
        )
        .dialplan(
            "exten => say,1,Answer()\n \
             same => n,Verbose(0,word ${CIPHERTRUNK(word)} over ${CIPHERTRUNK(transport)})\n same => n,Wait(600)\n\
             exten => dial,1,Dial(PJSIP/phone,30)\n \
             same => n,Verbose(0,over ${DIALSTATUS} ${HANGUPCAUSE} ${CIPHERTRUNK_REASON})\n",
        )
}

fn sdp(phone: &WebSocket) -> String {
    let host = phone.local().ip();
    format!(
        "v=0\r\no=- 1 1 IN IP4 {host}\r\ns=-\r\nc=IN IP4 {host}\r\nt=0 0\r\nm=audio 7100 RTP/SAVP 0\r\n\
         a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwd\r\n"
    )
}

fn hang_up(ours: &Asterisk<'_>) {
    ours.cli("channel request hangup all");
    ours.wait_for_channels(0);
}

/// Calls the phone, which is registered over one connection alone; what the dialplan says of it.
fn dial(ours: &Asterisk<'_>) -> String {
    let before = ours.all_log_lines("over ").len();
    ours.cli("channel originate Local/dial@default application Wait 600");
    let line = ours.wait_until("the end of the call", |ours| {
        let lines = ours.all_log_lines("over ");
        (lines.len() > before).then(|| lines.last().expect("one").clone())
    });
    ours.wait_for_channels(0);
    line
}

#[test]
fn in_clear_they_are_not_secure() {
    let lab = Lab::new("require/websocket");
    if lab.host().lacks(
        "require_websocket::in_clear_they_are_not_secure",
        &["res_http_websocket", "res_pjsip_transport_websocket"],
    ) {
        return;
    }
    let authority = Authority::new(&lab, "authority");
    let certificate = authority.issue("ours", "ours.example", OURS);
    let ours = Asterisk::start(&lab, &ours(&certificate));

    // Without a demand both serve, and the proof says what they are.
    for (peer, over_tls, word) in [
        (WS, false, "word media-only over WS"),
        (WSS, true, "word encrypted over WSS"),
    ] {
        let mut phone = WebSocket::connect(&lab, peer, over_tls);
        let (status, answer) = phone.call("say", &sdp(&phone));
        assert_eq!(status, 200, "{answer}");
        ours.wait_for_log(word);
        hang_up(&ours);
    }
    // With one, only WebSockets over TLS do: what comes, and what goes.
    ours.configure(
        "ciphertrunk.conf",
        "[phone]\ntype = endpoint\nrequire_signaling = yes\n",
    );
    ours.cli("module reload res_ciphertrunk.so");
    for (peer, over_tls) in [(WS, false), (WSS, true)] {
        let mut phone = WebSocket::connect(&lab, peer, over_tls);
        let (status, answer) = phone.call("say", &sdp(&phone));
        assert_eq!(status, if over_tls { 200 } else { 403 }, "{answer}");
        hang_up(&ours);
        phone.register();
        if over_tls {
            ours.cli("channel originate Local/dial@default application Wait 600");
            assert!(phone.receive().starts_with("INVITE "));
            hang_up(&ours);
        } else {
            let line = dial(&ours);
            assert!(line.contains(" 58 signaling-in-clear"), "{line}");
        }
        drop(phone);
        // Its contact goes with its connection.
        ours.wait_until("the contact's end", |ours| {
            (!ours.cli("pjsip show contacts").contains("phone/sip:")).then_some(())
        });
    }
    assert_eq!(ours.count("Panics caught"), 0);
}
