//! Registrations over TLS: phones with us, and we with a carrier.

use host_harness::asterisk::{Asterisk, Setup};
use host_harness::baresip::{Baresip, Media, Phone};
use host_harness::pjsip::{self, Encryption, TLS_PORT};

use crate::tls_world::{World, address, ours};
use crate::world::{CARRIER, CARRIER_TONE, OUR_TONE, OURS, PHONE, PHONE_TONE};

const PASSWORD: &str = "correct-horse";

#[test]
fn a_phone_is_called_over_its_own_connection() {
    let world = World::new("phone");
    let setup = ours()
        .pjsip(&world.transport(""))
        .pjsip(&pjsip::phone("alice", PASSWORD, "tls", Encryption::Plain))
        .dialplan(&pjsip::say(OUR_TONE));
    let ours = Asterisk::start(&world.lab, &setup);
    let phone = |name: &str, authority: &str| Phone {
        name: name.to_owned(),
        address: PHONE.to_owned(),
        server: (address(), "tls".to_owned()),
        password: Some(PASSWORD.to_owned()),
        media: Media::Plain,
        tone: PHONE_TONE,
        authority: Some(authority.to_owned()),
    };
    let alice = Baresip::start(&world.lab, &phone("alice", &world.authority));
    assert_eq!(ours.count("TLS handshakes in"), 1);
    ours.cli("channel originate PJSIP/alice extension say@default");
    alice.wait_for_tone(OUR_TONE, 10);
    ours.wait_for_tone(PHONE_TONE, 10);
    ours.cli("channel request hangup all");
    ours.wait_for_channels(0);
    // Nobody has connected but the phone, once.
    assert_eq!(
        (
            ours.count("TLS handshakes in"),
            ours.count("TLS handshakes out")
        ),
        (1, 0)
    );
    assert_eq!(ours.count("Panics caught"), 0);
    // When it is gone, so is its registration's connection.
    drop(alice);
    ours.wait_until("its end", |ours| {
        (ours.count("TLS connections") == 0).then_some(())
    });
}

/// The stock Asterisk that we register with.
fn carrier(world: &World, name: &str) -> Setup {
    let certificate = world
        .authority()
        .issue("carrier", "carrier.example", CARRIER);
    Setup::stock(name, CARRIER)
        .pjsip(&pjsip::tls(&certificate, &world.authority))
        .pjsip(&pjsip::phone("trunk", PASSWORD, "tls", Encryption::Plain))
        .pjsip(&format!(
            "[trunk]\ntype = identify\nendpoint = trunk\nmatch = {OURS}\n"
        ))
        .dialplan(&pjsip::say(CARRIER_TONE))
}

#[test]
fn we_register_with_a_carrier_and_again_when_it_was_restarted() {
    let world = World::new("carrier");
    let setup = ours()
        .pjsip(&world.transport("verify_server = yes\n"))
        .pjsip(&pjsip::tls_trunk("carrier", CARRIER, Encryption::Plain).replace("aors = carrier\n", "aors = carrier\noutbound_auth = login\n").replace(
            "type = aor\n",
            "type = aor\nqualify_frequency = 1\nqualify_timeout = 30\n",
        ))
        .pjsip(&format!(
            "[login]\ntype = auth\nauth_type = userpass\nusername = trunk\npassword = {PASSWORD}\n\n\
             [to_carrier]\ntype = registration\ntransport = tls\noutbound_auth = login\nretry_interval = 1\n\
             auth_rejection_permanent = no\nforbidden_retry_interval = 1\nfatal_retry_interval = 1\nmax_retries = 1000\n\
             server_uri = sip:{CARRIER}:{TLS_PORT}\\;transport=tls\nclient_uri = sip:trunk@{CARRIER}:{TLS_PORT}\\;transport=tls\n\
             contact_user = say\n"
        ))
        .dialplan(&pjsip::say(OUR_TONE));
    let first = Asterisk::start(&world.lab, &carrier(&world, "carrier"));
    let ours = Asterisk::start(&world.lab, &setup);
    let registered = |carrier: &Asterisk<'_>| {
        carrier.wait_until("our registration", |carrier| {
            carrier
                .cli("pjsip show aor trunk")
                .contains(&format!("say@{OURS}"))
                .then_some(())
        });
        ours.wait_until(
            "the carrier to be reachable and to have accepted us",
            |ours| {
                let registered = ours.cli("pjsip show registrations").contains("Registered");
                (registered && ours.cli("pjsip show aor carrier").contains("Avail")).then_some(())
            },
        );
    };
    registered(&first);
    // Registration and qualify share a connection, and so does a call from the carrier.
    assert_eq!(ours.count("TLS handshakes out"), 1);
    first.cli("channel originate PJSIP/trunk extension say@default");
    first.wait_for_tone(OUR_TONE, 10);
    assert_eq!(
        (
            ours.count("TLS handshakes out"),
            ours.count("TLS handshakes in")
        ),
        (1, 0)
    );

    drop(first);
    ours.wait_until("the carrier to be away", |ours| {
        ours.cli("pjsip show aor carrier")
            .contains("Unavail")
            .then_some(())
    });
    let second = Asterisk::start(&world.lab, &carrier(&world, "carrier-again"));
    registered(&second);
    assert!(ours.count("TLS handshakes out") >= 2);
    ours.cli("channel originate PJSIP/say@carrier extension say@default");
    second.wait_for_tone(OUR_TONE, 10);
    assert_eq!(ours.count("Panics caught"), 0);
    assert!(ours.stop().success());
}
