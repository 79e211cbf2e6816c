//! Clients whose handshake fails: one line each, with the peer, the transport, the stage, the reason and the side.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::TcpStream;

use host_harness::asterisk::Asterisk;
use host_harness::certificates::Authority;
use host_harness::sip::Client;
use host_harness::wait::SOON;
use openssl::ssl::SslVersion;

use crate::tls_world::{World, address, assert_serves};
use crate::world::OURS;

/// That one line tells of this client, with all of these in it.
fn assert_told(asterisk: &Asterisk<'_>, client: &str, parts: &[&str]) {
    let key = format!("TLS from {client} failed");
    let line = asterisk.wait_until(&format!("{key:?}"), |asterisk| {
        asterisk.log_lines(&key).pop()
    });
    let about = asterisk.all_log_lines(client);
    assert_eq!(about.len(), 1, "{about:?}");
    for part in parts {
        assert!(line.contains(part), "{part:?} is not in {line}");
    }
}

/// A client that says `hello` in clear.
fn say(world: &World, hello: &[u8]) -> (TcpStream, String) {
    let mut tcp = world.lab.tcp(&address()).expect("it listens");
    tcp.write_all(hello).expect("it listens");
    let local = tcp.local_addr().expect("a socket").to_string();
    (tcp, local)
}

#[test]
fn handshakes_that_fail() {
    let world = World::new("reasons");
    let lab = &world.lab;
    let demanding = world
        .transport("require_client_cert = yes\nverify_client = yes\n")
        .replace("[tls]", "[demanding]")
        .replace("5061", "5062");
    let setup = world.setup("").pjsip(&demanding);
    let ours = Asterisk::start(lab, &setup);
    let mut bystander = world.connect();
    // Asterisk closes who asks for nothing in 32 seconds.
    assert_serves(&ours, &mut bystander);

    // What is not TLS.
    let clients: [(&[u8], &str); 3] = [
        (
            b"OPTIONS sip:a SIP/2.0\r\n\r\n",
            "it speaks SIP without TLS",
        ),
        (b"GET / HTTP/1.1\r\n\r\n", "it speaks HTTP without TLS"),
        (
            b"\x00\x01\x02\x03\x04\x05\x06\x07",
            "what it sent is not TLS",
        ),
    ];
    for (hello, reason) in clients {
        let (tcp, local) = say(&world, hello);
        assert_told(
            &ours,
            &local,
            &[
                "transport 'tls'",
                "at the first TLS message",
                reason,
                "(to change there)",
            ],
        );
        drop(tcp);
    }

    // Who goes away in the middle.
    let (tcp, local) = say(&world, b"\x16\x03\x01\x01\x00\x01\x00\x00\xfc\x03\x03");
    drop(tcp);
    assert_told(
        &ours,
        &local,
        &["closed the connection during the TLS handshake"],
    );

    // Versions and ciphers: openssl's own client tells its port by ours, so the last line counts.
    let refused = |client: Client| {
        let tcp = lab.tcp(&address()).expect("it listens");
        let local = tcp.local_addr().expect("a socket").to_string();
        let error = host_harness::sip::Connection::new(&client.build(), tcp).err();
        assert!(error.is_some(), "it was accepted");
        local
    };
    let local = refused(Client::new().version(SslVersion::TLS1_1));
    assert_told(
        &ours,
        &local,
        &[
            "the newest TLS version that it speaks is TLS 1.1",
            "min_version = tls1.1",
            "(here or there)",
        ],
    );
    let local = refused(
        Client::new()
            .version(SslVersion::TLS1_2)
            .ciphers("ECDHE-RSA-AES128-GCM-SHA256"),
    );
    assert_told(
        &ours,
        &local,
        &[
            "no cipher that both sides allow",
            "cipher",
            "(here or there)",
        ],
    );

    // Client certificates.
    let stranger = Authority::new(lab, "stranger").issue("stranger-client", "phone.example", OURS);
    let expired = world.authority().make(
        "expired-client",
        "/CN=phone.example",
        &[
            "-not_before",
            "20200101000000Z",
            "-not_after",
            "20210101000000Z",
        ],
    );
    let good = world.authority().issue("client", "phone.example", OURS);
    let twelve = || Client::new().version(SslVersion::TLS1_2);
    for (client, reason) in [
        (twelve(), "it sent no client certificate"),
        (
            twelve().certificate(lab, &stranger),
            "does not lead to a CA we trust",
        ),
        (twelve().certificate(lab, &expired), "has expired"),
    ] {
        let tcp = lab.tcp(&format!("{OURS}:5062")).expect("it listens");
        let local = tcp.local_addr().expect("a socket").to_string();
        assert!(
            host_harness::sip::Connection::new(&client.build(), tcp).is_err(),
            "it was accepted: {reason}"
        );
        assert_told(&ours, &local, &["transport 'demanding'", reason]);
    }
    let mut connection = Client::new()
        .certificate(lab, &good)
        .connect(lab, &format!("{OURS}:5062"))
        .expect("the good one is accepted");
    assert_serves(&ours, &mut connection);
    assert_serves(&ours, &mut bystander);
}

/// Who says nothing, or stops in the middle, is thrown out.
#[test]
fn handshakes_that_do_not_end_in_time() {
    let world = World::new("reasons_in_time");
    let setup = world
        .setup("")
        .file("ciphertrunk.conf", "[tls]\nhandshake_timeout = 2\n");
    let ours = Asterisk::start(&world.lab, &setup);
    let (mut silent, silent_local) = say(&world, b"");
    let (mut half, half_local) = say(&world, b"\x16\x03\x01\x01\x00\x01\x00\x00\xfc\x03\x03");
    for tcp in [&mut silent, &mut half] {
        tcp.set_read_timeout(Some(SOON)).expect("a socket");
        let end = tcp.read_to_end(&mut Vec::new());
        let late = end.err().map(|error| error.kind());
        assert_ne!(late, Some(ErrorKind::WouldBlock), "it is still connected");
    }
    assert_told(
        &ours,
        &silent_local,
        &[
            "at the first TLS message",
            "sent nothing in time",
            "(to change there)",
        ],
    );
    assert_told(
        &ours,
        &half_local,
        &["in the handshake", "did not finish in time"],
    );
}

#[test]
fn a_client_that_does_not_trust_us() {
    let world = World::new("untrusting");
    let lab = &world.lab;
    let ours = Asterisk::start(lab, &world.setup(""));
    let stranger = Authority::new(lab, "stranger").file();
    let client = |authority: &str| {
        lab.run(
            "openssl",
            &[
                "s_client",
                "-connect",
                &address(),
                "-CAfile",
                authority,
                "-verify_return_error",
                "-verify_hostname",
                "ours.example",
            ],
        )
    };
    assert!(!client(&stranger).status.success());
    ours.wait_for_log("alert 48 unknown_ca: it does not trust our certificate");
    assert_eq!(ours.all_log_lines("TLS from ").len(), 1);
    let output = client(&world.authority);
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert_eq!(ours.all_log_lines("TLS from ").len(), 1);
}
