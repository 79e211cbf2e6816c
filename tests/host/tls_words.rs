//! Every TLS option of a transport with `allow_reload = no`, changed in `pjsip.conf` and reloaded: it is in force for new connections, in
//! both directions, and taken back by the next reload. Stock keeps the old ones until it is restarted.

use host_harness::asterisk::Asterisk;
use host_harness::certificates::{Authority, Certificate};
use host_harness::names::Names;
use host_harness::sip::{Client, Server};
use openssl::ssl::SslVersion;

use crate::tls_world::{PEER, World, assert_serves, carrier};
use crate::world::{CARRIER, OURS};

/// What connects.
enum Peer<'a> {
    /// A client that our Asterisk accepts.
    Comes(Box<dyn Fn() -> Client + 'a>),
    /// A carrier that our Asterisk calls, by the endpoint's name.
    Called(&'a str, &'a Server),
}

impl Peer<'_> {
    fn is_served(&self, world: &World, ours: &Asterisk<'_>) -> bool {
        match self {
            Peer::Comes(client) => world
                .dial(client())
                .is_ok_and(|mut connection| connection.options().is_ok_and(|it| it == 200)),
            Peer::Called(endpoint, server) => {
                ours.cli(&format!("pjsip qualify {endpoint}"));
                let served = server.accept().is_ok_and(|mut connection| {
                    let request = connection.receive();
                    request.is_ok_and(|request| connection.accept_request(&request).is_ok())
                });
                // The next one is to be another connection.
                ours.wait_until("the end of the carrier's connection", |ours| {
                    (ours.count("TLS transports") <= 1).then_some(())
                });
                served
            }
        }
    }
}

#[test]
fn each_word_is_in_force_for_new_connections() {
    let world = World::new("words");
    let lab = &world.lab;
    let stranger = Authority::new(lab, "stranger");
    let good = world.authority().issue("good", "phone.example", OURS);
    let bad = stranger.issue("bad", "phone.example", OURS);
    let wild = ["-days", "2", "-addext", "subjectAltName=DNS:*.example"];
    let wild = world.authority().make("wild", "/CN=wild", &wild);
    let encrypted = format!("{}.encrypted", world.certificate.key);
    let key = &world.certificate.key;
    let arguments = [
        "pkey",
        "-in",
        key,
        "-aes256",
        "-passout",
        "pass:open sesame",
    ];
    lab.must_run("openssl", &[&arguments[..], &["-out", &encrypted]].concat());

    let at = |port: u16| format!("{CARRIER}:{port}");
    let strangers = Server::new(lab, &at(6000), &bad, |_| {});
    let wilds = Server::new(lab, &at(6001), &wild, |_| {});
    let _names = Names::serve(lab, &[("sip.example", CARRIER)]);
    let carriers =
        carrier("stranger", "tls", &at(6000)) + &carrier("wild", "tls", "sip.example:6001");

    let base = world.transport("");
    let with = |lines: &str| world.transport(lines);
    let ours = Asterisk::start(lab, &world.setup("").pjsip(&carriers));
    // The one connection that stays.
    let mut up = world.connect();
    let reload = |transport: &str| {
        let text = format!("{transport}\n{PEER}\n{carriers}").replace("{address}", OURS);
        ours.configure("pjsip.conf", &text);
        let answer = ours.cli("module reload res_pjsip.so");
        assert!(answer.contains("reloaded successfully"), "{answer}");
    };

    let shows = |own: Option<&Certificate>| {
        let own = own.cloned();
        Peer::Comes(Box::new(move || match &own {
            Some(own) => Client::new().certificate(lab, own),
            None => Client::new(),
        }))
    };
    let old = |ciphers: &'static str| {
        Peer::Comes(Box::new(move || {
            let old = Client::new().version(SslVersion::TLS1_2);
            old.ciphers(ciphers)
        }))
    };
    let gcm = "ECDHE-ECDSA-AES128-GCM-SHA256";
    let other_ca = base.replace(&world.authority, &stranger.file());
    // The options, who is served without them and not with them or the other way round, and who is served with both.
    let mut rows: Vec<(&str, String, bool, Peer<'_>, Peer<'_>)> = vec![
        (
            "cipher",
            with("cipher = ECDHE-ECDSA-AES128-SHA\n"),
            true,
            old(gcm),
            old("ECDHE-ECDSA-AES128-SHA"),
        ),
        (
            "verify_client",
            with("verify_client = yes\n"),
            true,
            shows(Some(&bad)),
            shows(Some(&good)),
        ),
        (
            "require_client_cert",
            with("require_client_cert = yes\n"),
            true,
            shows(None),
            shows(Some(&bad)),
        ),
        (
            "ca_list_file",
            other_ca + "verify_client = yes\n",
            true,
            shows(Some(&good)),
            shows(Some(&bad)),
        ),
        (
            "verify_server",
            with("verify_server = yes\n"),
            true,
            Peer::Called("stranger", &strangers),
            shows(None),
        ),
    ];
    let thirteen = base.replace("method = tlsv1_2", "method = tlsv1_3");
    if ours.cli("core show version").contains("Asterisk 16") {
        host_harness::host::skip(
            "tls_words (method = tlsv1_3)",
            "this Asterisk has no such method",
        );
    } else {
        rows.push(("method", thirteen, true, old(gcm), shows(None)));
    }
    let mut told = 0;
    for (word, transport, before, peer, both) in &rows {
        assert_eq!(peer.is_served(&world, &ours), *before, "{word}, before");
        reload(transport);
        assert_eq!(
            peer.is_served(&world, &ours),
            !before,
            "{word}, after\n{}",
            ours.log()
        );
        assert!(both.is_served(&world, &ours), "{word}\n{}", ours.log());
        let shown = ours.cli("ciphertrunk show transports");
        assert!(shown.contains(word), "{word}: {shown}");
        reload(&base);
        assert_eq!(
            peer.is_served(&world, &ours),
            *before,
            "{word}, taken back\n{}",
            ours.log()
        );
        // Those that were up stay, and each change was told.
        assert_serves(&ours, &mut up);
        told += 2;
        let lines = ours.all_log_lines("changed in pjsip.conf and is in force for new connections");
        assert_eq!(lines.len(), told, "{word}: {lines:?}");
    }

    // `allow_wildcard_certs` without and with `verify_server`, which both change at once in the end.
    let called = Peer::Called("wild", &wilds);
    assert!(called.is_served(&world, &ours));
    reload(&with("verify_server = yes\n"));
    assert!(!called.is_served(&world, &ours));
    reload(&with("verify_server = yes\nallow_wildcard_certs = yes\n"));
    assert!(called.is_served(&world, &ours), "{}", ours.log());

    // The key is another file with a password; a word that is wrong keeps all of them, and the right one is in force again.
    let locked = |password: &str| {
        let named = base.replace(
            &format!("priv_key_file = {key}"),
            &format!("priv_key_file = {encrypted}"),
        );
        named + &format!("password = {password}\nrequire_client_cert = yes\n")
    };
    reload(&locked("wrong"));
    ours.wait_for_log("the configured password does not open the private key");
    assert!(
        shows(None).is_served(&world, &ours),
        "half of a reload is in force"
    );
    reload(&locked("open sesame"));
    assert!(!shows(None).is_served(&world, &ours));
    assert!(shows(Some(&bad)).is_served(&world, &ours), "{}", ours.log());
    let shown = ours.cli("ciphertrunk show transports");
    assert!(
        shown.contains("password = ...") && !shown.contains("sesame"),
        "{shown}"
    );

    // A section that Asterisk refuses changes nothing.
    reload(&with("no_such_option = 1\n"));
    assert!(
        !shows(None).is_served(&world, &ours),
        "a refused section is in force"
    );
    reload(&base);
    assert!(shows(None).is_served(&world, &ours), "{}", ours.log());
    assert_serves(&ours, &mut up);
    assert_eq!(ours.count("Panics caught"), 0);
}
