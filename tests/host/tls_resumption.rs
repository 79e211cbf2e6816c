//! Sessions that are resumed: on another node with the same ticket keys, and with a carrier.

use host_harness::asterisk::Asterisk;
use host_harness::setup::Setup;
use host_harness::sip::{Client, Connection, Server};
use openssl::ssl::SslVersion;

use crate::tls_world::{PEER, World, address, assert_serves, carrier, is_ours};
use crate::world::{CARRIER, PHONE};

/// A key of session tickets in `ticket_keys`.
fn key(number: u8) -> String {
    format!("{number:02x}").repeat(80) + "\n"
}

#[test]
fn on_another_node_and_with_a_carrier() {
    let world = World::new("resumption");
    let lab = &world.lab;
    let file = |name: &str, text: &str| {
        lab.write(&format!("tls/{name}"), text);
        format!("[tls]\nticket_keys = /srv/tls/{name}\n")
    };
    let certificate = world
        .authority()
        .issue("carrier", "carrier.example", CARRIER);
    // As a carrier's of TLS 1.2: its ticket is there when the handshake is done.
    let server = Server::new(lab, &format!("{CARRIER}:6000"), &certificate, |context| {
        let twelve = Some(SslVersion::TLS1_2);
        context.set_max_proto_version(twelve).expect("a version");
    });
    let one = world
        .setup("verify_server = yes\n")
        .pjsip(&carrier("carrier", "tls", &format!("{CARRIER}:6000")))
        .file("ciphertrunk.conf", &file("one", &(key(2) + &key(1))));
    let two = Setup::ours("two", PHONE)
        .module(host_harness::asterisk::TEST_MODULE)
        .pjsip(&world.transport("verify_server = yes\n"))
        .pjsip(PEER)
        .file("ciphertrunk.conf", &file("two", &key(2)));
    // Its file is not good when it starts: it serves, with keys of its own, and says so.
    lab.write("tls/two", "no key\n");
    let (one, two) = (Asterisk::start(lab, &one), Asterisk::start(lab, &two));
    assert!(is_ours(&two, "tls"), "{}", two.log());
    let warned = |two: &Asterisk<'_>| {
        two.cli("ciphertrunk show transports")
            .contains("line 1 is not a key")
    };
    assert!(warned(&two));

    let context = Client::new().version(SslVersion::TLS1_2).build();
    let node_two = format!("{PHONE}:5061");
    let mut phone =
        Connection::new(&context, lab.tcp(&address()).expect("it listens")).expect("a handshake");
    assert_serves(&one, &mut phone);
    let resumes = |at: &str, earlier: &Connection| {
        let tcp = lab.tcp(at).expect("it listens");
        let mut phone = Connection::resuming(&context, tcp, earlier).expect("a handshake");
        assert_eq!(phone.options().expect("an answer"), 200);
        let resumed = phone.stream.ssl().session_reused();
        // OpenSSL would not offer the session of a connection that is lost again.
        let _ = phone.stream.shutdown();
        resumed
    };
    assert!(resumes(&address(), &phone), "{}", one.log());
    assert!(!resumes(&node_two, &phone), "it has no such key yet");
    // The file is made good, and the next node resumes the session; without a reload.
    lab.write("tls/two", key(2));
    two.wait_until("the keys of the file", |_| {
        resumes(&node_two, &phone).then_some(())
    });
    assert!(!warned(&two));
    // A new key signs, and the old one opens until it is gone.
    lab.write("tls/two", &(key(3) + &key(2)));
    two.wait_until("the new key", |_| {
        let tcp = lab.tcp(&node_two).expect("it listens");
        let phone = Connection::new(&context, tcp).expect("a handshake");
        (!resumes(&address(), &phone)).then_some(())
    });
    assert!(resumes(&node_two, &phone));
    lab.write("tls/two", key(3));
    two.wait_until("the end of the old key", |_| {
        (!resumes(&node_two, &phone)).then_some(())
    });

    // With a carrier: the second connection resumes what the first began, until other CAs are trusted.
    let call = |resumed: bool| {
        one.cli("pjsip qualify carrier");
        let mut connection = server.accept().expect("a handshake");
        let request = connection.receive().expect("a request");
        connection.accept_request(&request).expect("it is up");
        assert_eq!(
            connection.stream.ssl().session_reused(),
            resumed,
            "{}",
            one.log()
        );
        drop(connection);
        one.wait_until("the end of the carrier's connection", |one| {
            (!one.cli("ciphertrunk show connections").contains(CARRIER)).then_some(())
        });
    };
    call(false);
    call(true);
    call(true);
    let also = format!("cat {} >> {}", certificate.certificate, world.authority);
    lab.must_run("sh", &["-c", &also]);
    one.wait_for_log("its files have changed and are in force for new connections");
    call(false);
    call(true);
    assert!(
        !resumes(&address(), &phone),
        "a session from before others were trusted"
    );

    // Both have the same files. Where they are not watched the other one's change says that ours did not come.
    one.configure("ciphertrunk.conf", "[tls]\nwatch_files = no\n");
    one.cli("module reload res_ciphertrunk.so");
    let served = |at: &str| {
        let connection = Client::new().connect(lab, at).expect("a handshake");
        connection.server_sha256()
    };
    let before = served(&address());
    assert_eq!(served(&node_two), before);
    world.replace_certificate(&world.authority().issue("next", "ours.example", PHONE));
    two.wait_until("the next certificate", |_| {
        (served(&node_two) != before).then_some(())
    });
    assert_eq!(served(&address()), before);
    for asterisk in [&one, &two] {
        assert_eq!(asterisk.count("Panics caught"), 0);
    }
}
