//! `ciphertrunk drain`: nothing new comes in, what is up goes on, and in the end the module can be unloaded.

use host_harness::asterisk::{Asterisk, Setup, TEST_MODULE, User};
use host_harness::lab::Lab;
use host_harness::peer::srtp::AES_80;
use host_harness::peer::{Description, Key, Phone};
use host_harness::pjsip::{self, Encryption, TLS_PORT};
use host_harness::sip::{Connection, Server};
use host_harness::wait;

use crate::srtp_call::{self, Call, PLAIN};
use crate::tls_world::{World, assert_serves, is_ours, unload};
use crate::world::{
    self, CARRIER_TONE, OUR_TONE, OURS, assert_goes_on, assert_nothing_failed, assert_served_by_us,
};

/// The carrier's address. (The phone of [`srtp_call`] is where other tests have theirs.)
const CARRIER: &str = "127.0.0.40";

/// The endpoint of [`World::connect`]'s clients.
const CLIENT: &str = "[client]\ntype = endpoint\ncontext = default\ndisallow = all\nallow = ulaw\n\n\
     [client]\ntype = identify\nendpoint = client\nmatch = 127.0.0.1\n";

/// What the log says when nothing is left.
const DONE: &str = "the drain is done";

/// Our Asterisk: `sdes` and `plain` by UDP, `carrier` and `client` by TLS.
fn ours(world: &World) -> Setup {
    srtp_call::with_endpoints(Setup::ours("ours", OURS))
        .module(TEST_MODULE)
        .pjsip(&world.transport(""))
        .pjsip(CLIENT)
        .pjsip(&pjsip::tls_trunk("carrier", CARRIER, Encryption::Sdes))
        .dialplan(&pjsip::say(OUR_TONE))
}

/// The stock Asterisk that calls ours by TLS.
fn carrier(world: &World) -> Setup {
    let own = world
        .authority()
        .issue("carrier", "carrier.example", CARRIER);
    Setup::stock("carrier", CARRIER)
        .pjsip(&pjsip::tls(&own, &world.authority))
        .pjsip(&pjsip::tls_trunk("ours", OURS, Encryption::Sdes))
        .dialplan(&pjsip::say(CARRIER_TONE))
}

/// That the transport is pjproject's, and that a new connection is served: by that.
fn assert_stock_serves(ours: &Asterisk<'_>, connection: &mut Connection) {
    let handshakes = |ours: &Asterisk<'_>| ours.count("TLS handshakes in");
    let messages = |ours: &Asterisk<'_>| ours.count("SIP messages in");
    let before = (handshakes(ours), messages(ours));
    assert!(!is_ours(ours, "tls"));
    assert_eq!(connection.options().expect("an answer"), 200);
    assert_eq!(
        (handshakes(ours), messages(ours)),
        before,
        "it was we who answered"
    );
}

/// That a call in clear is taken, and does not count.
fn assert_takes_calls_in_clear(ours: &Asterisk<'_>, lab: &Lab) {
    let before = ours.status("Draining");
    let mut phone = Phone::new(lab, PLAIN, OURS);
    phone
        .call("echo", &Description::new(7100, &[]))
        .expect("a call in clear is accepted");
    assert_eq!(ours.status("Draining"), before);
    phone.hang_up();
}

#[test]
fn a_call_goes_on_and_then_the_module_can_be_unloaded() {
    let world = World::new("drain");
    let ours = Asterisk::start(&world.lab, &ours(&world));
    let carrier = Asterisk::start(&world.lab, &carrier(&world));
    let mut idle = world.connect();
    assert_serves(&ours, &mut idle);
    carrier.cli("channel originate PJSIP/say@ours extension say@default");
    ours.wait_for_tone(CARRIER_TONE, 5);
    carrier.wait_for_tone(OUR_TONE, 5);
    assert_served_by_us(&ours);
    let connections = (
        ours.count("TLS handshakes in"),
        ours.count("TLS connections"),
    );
    assert_eq!(connections, (2, 2));

    let answer = ours.cli("ciphertrunk drain");
    assert!(
        answer.contains("Draining: yes, 1 calls, 1 SRTP sessions, "),
        "{answer}"
    );
    assert!(idle.ends(wait::SOON), "the idle connection is up");
    ours.wait_until("the idle connection's end", |ours| {
        (ours.status("Draining") == "yes, 1 calls, 1 SRTP sessions, 1 connections left")
            .then_some(())
    });
    // The same client comes back, to pjproject, and a reload changes nothing of that.
    let mut again = world.connect();
    assert_stock_serves(&ours, &mut again);
    for module in ["res_pjsip.so", "res_ciphertrunk.so"] {
        ours.cli(&format!("module reload {module}"));
        assert_stock_serves(&ours, &mut again);
        assert_stock_serves(&ours, &mut world.connect());
    }

    // A new call is refused, one in clear is not.
    let (mut call, key) = (Call::new(&world.lab), Key::new(AES_80, 1));
    let refused = call.dial_with("echo", &key, &key.line(1, ""));
    assert_eq!(refused.err(), Some(488), "{}", ours.log());
    assert_eq!(ours.count("Refused draining"), 1);
    ours.wait_for_log("reason draining: the module is being drained");
    let told = ours.all_log_lines("reason draining").pop().expect("one");
    assert!(
        told.contains("of a new call (its peer is not known before it has a channel) refused"),
        "{told}"
    );
    assert_takes_calls_in_clear(&ours, &world.lab);

    // The call that was up goes on, both ways, and it keeps the module.
    assert_goes_on(&ours, CARRIER_TONE);
    assert_goes_on(&carrier, OUR_TONE);
    assert_eq!(ours.all_log_lines(DONE), [] as [String; 0]);
    let answer = ours.cli("module unload res_ciphertrunk.so");
    assert!(answer.contains("Unable to unload"), "{answer}");
    assert_eq!(ours.status("SRTP engine"), "ours");
    assert_nothing_failed(&ours);

    carrier.cli("channel request hangup all");
    ours.wait_for_log(DONE);
    assert_eq!(ours.all_log_lines(DONE).len(), 1);
    unload(&ours);
    assert_eq!(again.options().expect("pjproject is still there"), 200);

    // Loaded again everything is ours.
    let answer = ours.cli("module load res_ciphertrunk.so");
    assert!(answer.contains("Loaded"), "{answer}");
    assert!(!ours.cli("ciphertrunk show status").contains("Draining"));
    assert!(is_ours(&ours, "tls"), "{}", ours.log());
    assert_serves(&ours, &mut world.connect());
    call.dial("echo", &key);
    assert_eq!(ours.count("Sessions"), 1);
    assert!(ours.stop().success());
}

#[test]
fn a_drain_that_is_called_off_leaves_everything_ours() {
    let world = World::new("drain-cancel");
    let own = world
        .authority()
        .issue("carrier", "carrier.example", CARRIER);
    let trunk = Server::new(&world.lab, &format!("{CARRIER}:{TLS_PORT}"), &own, |_| {});
    let ours = Asterisk::start(&world.lab, &ours(&world));
    // A trunk that nobody calls by.
    let asks = || {
        ours.cli("pjsip qualify carrier");
        let mut connection = trunk.accept().expect("we connect");
        let request = connection.receive().expect("a request");
        assert!(request.starts_with("OPTIONS "), "{request}");
        connection.accept_request(&request).expect("it is up");
        connection
    };
    let mut to_trunk = asks();
    let mut idle = world.connect();
    assert_serves(&ours, &mut idle);
    assert_eq!(ours.count("TLS handshakes out"), 1);

    ours.cli("ciphertrunk drain");
    assert!(idle.ends(wait::SOON), "the client's connection is up");
    assert!(to_trunk.ends(wait::SOON), "the trunk's connection is up");
    ours.wait_for_log(DONE);
    assert_eq!(
        ours.status("Draining"),
        "yes, 0 calls, 0 SRTP sessions, 0 connections left"
    );
    assert_stock_serves(&ours, &mut world.connect());
    let to_trunk = asks();
    assert_eq!(
        ours.count("TLS handshakes out"),
        1,
        "it was we who connected"
    );
    drop(to_trunk);
    let (mut call, key) = (Call::new(&world.lab), Key::new(AES_80, 1));
    let refused = call.dial_with("echo", &key, &key.line(1, ""));
    assert_eq!(refused.err(), Some(488), "{}", ours.log());

    let answer = ours.cli("ciphertrunk drain cancel");
    assert!(answer.contains("Draining: no"), "{answer}");
    assert!(!ours.cli("ciphertrunk show status").contains("Draining"));
    assert!(is_ours(&ours, "tls"), "{}", ours.log());
    assert_serves(&ours, &mut world.connect());
    call.dial("echo", &key);
    assert_eq!(ours.count("Sessions"), 1);
    // The call is known again, and not only its session.
    let refusal = ours.cli("module unload res_ciphertrunk.so");
    assert!(refusal.contains("Unable to unload"), "{refusal}");
    // Twice is once.
    for _ in 0..2 {
        let answer = ours.cli("ciphertrunk drain");
        assert!(
            answer.contains("Draining: yes, 1 calls, 1 SRTP sessions, "),
            "{answer}"
        );
    }
    call.phone.hang_up();
    ours.wait_until("the end of the second drain", |ours| {
        (ours.log_lines(DONE).len() == 2).then_some(())
    });
    unload(&ours);
    assert!(ours.stop().success());
}

#[test]
fn a_call_that_is_up_takes_new_keys() {
    let lab = Lab::new("drain-rekey");
    let ours = srtp_call::ours(&lab);
    let (mut call, key) = (Call::new(&lab), Key::new(AES_80, 1));
    call.dial("echo", &key);
    ours.cli("ciphertrunk drain");
    assert_eq!(call.media.echoes(10), 10);
    let next = Key::new(AES_80, 2);
    call.reoffer(&next.line(1, "")).expect("accepted");
    call.media.send_with(&next, 0);
    wait::until(
        "an echo with the new key",
        wait::SOON,
        || call.media.echo(),
        || ours.log(),
    );
    assert_eq!(call.media.echoes(10), 10, "with the new key");
    assert_served_by_us(&ours);
    // The twin: a new call has no keys at all.
    let mut other = Phone::new(&lab, PLAIN, OURS);
    let offer = Description::new(7100, &[next.line(1, "")]);
    assert!(other.call("echo", &offer).is_err());
    assert_eq!(ours.count("Sessions"), 1);
    call.phone.hang_up();
    ours.wait_for_log(DONE);
    unload(&ours);
    assert!(ours.stop().success());
}

/// We call, with each kind of keys: the first call goes on, a second one has no session.
fn our_calls(name: &str, encryption: Encryption) {
    let lab = Lab::new(name);
    let ours = Asterisk::start(&lab, &world::ours(User::Root, encryption));
    let carrier = Asterisk::start(&lab, &world::carrier(encryption));
    let call = || ours.cli("channel originate PJSIP/say@carrier extension say@default");
    call();
    ours.wait_for_tone(CARRIER_TONE, 5);
    carrier.wait_for_tone(OUR_TONE, 5);
    assert_served_by_us(&ours);
    // RTCP has one of its own under DTLS-SRTP.
    let sessions = ours.count("Sessions");
    ours.cli("ciphertrunk drain");
    call();
    ours.wait_until("the refusal", |ours| {
        ours.cli("ciphertrunk show status")
            .contains("Refused draining: ")
            .then_some(())
    });
    assert_eq!(ours.count("Sessions"), sessions);
    ours.wait_for_log("reason draining");
    // (The second call may have begun its recording over the first one's.)
    let carried = |ours: &Asterisk<'_>| {
        ["RTP protected", "RTP unprotected"].map(|counter| ours.count(counter))
    };
    let before = carried(&ours);
    ours.wait_until("the first call to go on", |ours| {
        let now = carried(ours);
        (now[0] > before[0] + 50 && now[1] > before[1] + 50).then_some(())
    });
    ours.cli("channel request hangup all");
    ours.wait_for_log(DONE);
    unload(&ours);
    assert!(ours.stop().success());
}

#[test]
fn no_offer_is_made() {
    our_calls("drain-offer", Encryption::Sdes);
}

#[test]
fn no_keys_of_dtls_are_taken() {
    our_calls("drain-dtls", Encryption::Dtls);
}
