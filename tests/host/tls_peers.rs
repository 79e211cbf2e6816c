//! What real peers do on a TLS connection: renegotiate, leave without a word, say hello at length. Beside stock.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread::JoinHandle;

use host_harness::asterisk::{Asterisk, TEST_MODULE};
use host_harness::certificates::Certificate;
use host_harness::host;
use host_harness::lab::Lab;
use host_harness::pjsip;
use host_harness::setup::Setup;
use host_harness::sip::{Client, Connection, Server};
use host_harness::wait::SOON;
use openssl::ssl::{SslOptions, SslSessionCacheMode, SslVersion};

use crate::tls_world::{PEER, World, address, assert_serves, carrier, ours};
use crate::world::{CARRIER, OURS};

/// A carrier that speaks this version alone.
fn server(lab: &Lab, port: u16, own: &Certificate, version: SslVersion) -> Server {
    Server::new(lab, &format!("{CARRIER}:{port}"), own, |context| {
        context
            .set_max_proto_version(Some(version))
            .expect("a version");
    })
}

/// What we have said of somebody. Asterisk's own lines are not among it.
fn said(asterisk: &Asterisk<'_>, of: &str) -> Vec<String> {
    let mut lines = asterisk.all_log_lines(of);
    lines.retain(|line| line.contains("Ciphertrunk: "));
    lines
}

/// Our Asterisk, or stock's in its place, with [`World::transport`], these further lines of it, and these carriers.
fn start<'lab>(world: &'lab World, is_stock: bool, lines: &str, carriers: &str) -> Asterisk<'lab> {
    let setup = if is_stock {
        Setup::stock("stock", OURS)
    } else {
        ours()
    };
    let setup = setup
        .pjsip(&world.transport(lines))
        .pjsip(PEER)
        .pjsip(carriers);
    Asterisk::start(&world.lab, &setup)
}

/// Has `name` asked on this connection, and answers.
fn asked(asterisk: &Asterisk<'_>, name: &str, connection: &mut Connection) {
    asterisk.cli(&format!("pjsip qualify {name}"));
    let request = connection
        .receive()
        .unwrap_or_else(|error| panic!("{name}: {error}\n{}", asterisk.log()));
    assert!(request.starts_with("OPTIONS "), "{request}");
    connection.accept_request(&request).expect("it is up");
}

/// The connection that `pjsip qualify` makes.
fn called(asterisk: &Asterisk<'_>, name: &str, server: &Server) -> Connection {
    asterisk.cli(&format!("pjsip qualify {name}"));
    let mut connection = server
        .accept()
        .unwrap_or_else(|error| panic!("{name}: {error}\n{}", asterisk.log()));
    let request = connection.receive().expect("a request");
    connection.accept_request(&request).expect("it is up");
    connection
}

/// A carrier that renegotiates goes on on the same connection, with us as with stock.
#[test]
fn a_carrier_renegotiates() {
    let world = World::new("renegotiating");
    let own = world.authority().issue("carrier", "carrier", CARRIER);
    let server = server(&world.lab, 6000, &own, SslVersion::TLS1_2);
    let to = carrier("to", "tls", &format!("{CARRIER}:6000"));
    for is_stock in [false, true] {
        let asterisk = start(&world, is_stock, "verify_server = yes\n", &to);
        let mut connection = called(&asterisk, "to", &server);
        for _ in 0..3 {
            connection.renegotiate().expect("HelloRequest goes out");
            asked(&asterisk, "to", &mut connection);
            assert!(connection.stream.ssl().is_init_finished());
            asked(&asterisk, "to", &mut connection);
        }
        if !is_stock {
            assert_eq!(asterisk.count("TLS handshakes out"), 1);
            assert_eq!(
                said(&asterisk, &format!("{CARRIER}:6000")),
                Vec::<String>::new()
            );
        }
        drop(connection);
        assert!(asterisk.stop().success());
    }
}

/// One that shows another name's certificate when it renegotiates is not the carrier that was asked for: nothing more goes there.
#[test]
fn a_carrier_becomes_another() {
    let world = World::new("renegotiating_name");
    let authority = world.authority();
    let (own, other) = (
        authority.issue("carrier", "carrier", CARRIER),
        authority.issue("other", "other", "127.0.0.77"),
    );
    // Without tickets, for a session that is resumed is the first handshake's, with its certificate.
    let server = |port: u16, own: &Certificate| {
        Server::new(&world.lab, &format!("{CARRIER}:{port}"), own, |context| {
            context.set_options(SslOptions::NO_TICKET);
            context.set_session_cache_mode(SslSessionCacheMode::OFF);
            context
                .set_max_proto_version(Some(SslVersion::TLS1_2))
                .expect("a version");
        })
    };
    let (first, second) = (server(6000, &own), server(6001, &other));
    let to = carrier("to", "tls", &format!("{CARRIER}:6000"));
    let ours = start(&world, false, "verify_server = yes\n", &to);
    let mut connection = called(&ours, "to", &first);
    connection.become_other(&second);
    connection.renegotiate().expect("HelloRequest goes out");
    assert!(connection.receive().is_err(), "it went on");
    let line = ours.wait_until("the line", |ours| {
        ours.log_lines(&format!("connection with {CARRIER}:6000"))
            .pop()
    });
    for part in [
        "closed when it was renegotiated: ",
        "for another name than the one we asked for",
        "(here or there)",
    ] {
        assert!(line.contains(part), "{part:?} is not in {line}");
    }
}

/// A client of ours may not renegotiate. With stock it may, from pjproject 2.17 on; before, OpenSSL 3 refuses it by itself.
#[test]
fn a_client_renegotiates() {
    let world = World::new("renegotiating_client");
    for is_stock in [false, true] {
        let asterisk = start(&world, is_stock, "", "");
        let mut bystander = world.connect();
        let client = Client::new().version(SslVersion::TLS1_2);
        let mut connection = world.dial(client).expect("a connection");
        assert_eq!(connection.options().expect("an answer"), 200);
        let local = connection.local();
        let outcome = connection.renegotiate();
        let may = is_stock && host::pjproject().is_some_and(|version| version >= (2, 17));
        assert_eq!(outcome.is_ok(), may, "{outcome:?}");
        drop(connection);
        if !is_stock {
            let key = format!("connection with {local} closed");
            let line = asterisk.wait_until("the line", |it| it.log_lines(&key).pop());
            for part in [
                "closed while it was up: ",
                "it wanted to renegotiate the connection, which no client may here",
                "(to change there)",
            ] {
                assert!(line.contains(part), "{part:?} is not in {line}");
            }
            assert_serves(&asterisk, &mut bystander);
        }
        assert!(asterisk.stop().success());
    }
}

/// A server without RFC 5746: its ServerHello, of TLS 1.2, has no renegotiation_info.
#[test]
fn a_carrier_without_secure_renegotiation() {
    let world = World::new("unsafe_renegotiation");
    let mut hello = vec![22, 3, 3, 0, 42, 2, 0, 0, 38, 3, 3];
    hello.extend([7; 32]);
    // No session, TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, no compression.
    hello.extend([0, 0xC0, 0x2B, 0]);
    let to = carrier("to", "tls", &format!("{CARRIER}:6000"));
    let listener = world.lab.listen(&format!("{CARRIER}:6000"));
    for is_stock in [false, true] {
        let asterisk = start(&world, is_stock, "", &to);
        asterisk.cli("pjsip qualify to");
        let (mut tcp, _) = listener.accept().expect("it connects");
        tcp.set_read_timeout(Some(SOON)).expect("a socket");
        let mut heard = [0; 4096];
        assert!(tcp.read(&mut heard).expect("a ClientHello") > 0);
        tcp.write_all(&hello).expect("it is there");
        // Both refuse it, by a fatal alert (handshake_failure).
        let mut alert = [0; 7];
        tcp.read_exact(&mut alert).expect("an alert");
        assert_eq!(alert, [21, 3, 3, 0, 2, 2, 40]);
        if is_stock {
            continue;
        }
        asterisk.wait_for_log(&format!("TLS to {CARRIER} "));
        let lines = asterisk.all_log_lines(&format!("TLS to {CARRIER} "));
        assert_eq!(lines.len(), 1, "{lines:?}");
        for part in [
            "at the first TLS message: it has no secure renegotiation (RFC 5746)",
            "(to change there)",
        ] {
            assert!(lines[0].contains(part), "{part:?} is not in {}", lines[0]);
        }
        drop(tcp);
        assert!(asterisk.stop().success());
    }
}

/// A carrier that leaves after each answer: with close_notify, without, and by a reset. Each next request makes a new connection, and
/// nothing is said.
#[test]
fn a_carrier_that_closes_after_each_answer() {
    for (name, version) in [
        ("closing_carrier_1_2", SslVersion::TLS1_2),
        ("closing_carrier_1_3", SslVersion::TLS1_3),
    ] {
        let world = World::new(name);
        let to = carrier("to", "tls", &format!("{CARRIER}:6000"));
        let server = server(&world.lab, 6000, &world.certificate, version);
        let ours = start(&world, false, "", &to);
        for round in 0..6 {
            let mut connection = called(&ours, "to", &server);
            // A reset takes back what has not been read.
            ours.wait_until("the answer", |ours| {
                (ours.count("SIP messages in") == round + 1).then_some(())
            });
            match round % 3 {
                0 => {
                    connection.stream.shutdown().expect("it is up");
                    drop(connection);
                }
                1 => drop(connection),
                _ => connection.reset(),
            }
            ours.wait_until("the end of the connection", |ours| {
                (ours.count("TLS connections") == 0).then_some(())
            });
        }
        assert_eq!(ours.count("TLS handshakes out"), 6);
        let said = said(&ours, &format!("{CARRIER}:6000"));
        assert_eq!(said, Vec::<String>::new());
        assert!(ours.stop().success());
    }
}

/// Passes TLS 1.2 on between a client and a server, and turns a bit of the first record with data (23, RFC 5246 6.2.1) after `good` in
/// one direction.
fn relay(
    listener: TcpListener,
    to: TcpStream,
    damage_answers: bool,
    good: usize,
) -> JoinHandle<()> {
    const DATA: u8 = 23;
    let pass = move |mut from: TcpStream, mut to: TcpStream, damage: bool| {
        std::thread::spawn(move || {
            let mut seen = 0;
            let mut header = [0; 5];
            while from.read_exact(&mut header).is_ok() {
                let length = usize::from(u16::from_be_bytes([header[3], header[4]]));
                let mut record = header.to_vec();
                record.resize(5 + length, 0);
                if from.read_exact(&mut record[5..]).is_err() {
                    break;
                }
                if header[0] == DATA {
                    seen += 1;
                    if damage && seen == good + 1 {
                        record[5 + length / 2] ^= 1;
                    }
                }
                if to.write_all(&record).is_err() {
                    break;
                }
            }
            let _ = to.shutdown(std::net::Shutdown::Write);
        })
    };
    std::thread::spawn(move || {
        let (client, _) = listener.accept().expect("a connection");
        let twin = |tcp: &TcpStream| tcp.try_clone().expect("a socket");
        let there = pass(twin(&client), twin(&to), !damage_answers);
        let back = pass(to, client, damage_answers);
        there.join().expect("it does not panic");
        back.join().expect("it does not panic");
    })
}

/// Damage on the way: the carrier says so by a fatal alert on a connection that was up, or we see it ourselves. The line speaks of the
/// connection, not of its first message.
#[test]
fn a_fatal_alert_after_the_handshake() {
    for (name, damage_answers, reason) in [
        (
            "late_alert",
            false,
            "the peer closed with alert 20 bad_record_mac: it ended the connection by a fatal alert; its own log should tell why",
        ),
        (
            "late_damage",
            true,
            "breaks the TLS protocol or was damaged on the way",
        ),
    ] {
        let world = World::new(name);
        let real = server(&world.lab, 6001, &world.certificate, SslVersion::TLS1_2);
        let listener = world.lab.listen(&format!("{CARRIER}:6000"));
        let to = carrier("to", "tls", &format!("{CARRIER}:6000"));
        let ours = start(&world, false, "", &to);
        let tcp = world
            .lab
            .tcp(&format!("{CARRIER}:6001"))
            .expect("it listens");
        let relay = relay(listener, tcp, damage_answers, 1);
        let mut connection = called(&ours, "to", &real);
        ours.wait_until("the answer", |ours| {
            (ours.count("SIP messages in") == 1).then_some(())
        });
        ours.cli("pjsip qualify to");
        if let Ok(request) = connection.receive() {
            let _ = connection.accept_request(&request);
            assert!(connection.receive().is_err());
        }
        drop(connection);
        let key = format!("connection with {CARRIER}:6000 closed");
        let line = ours.wait_until("the line", |ours| ours.log_lines(&key).pop());
        for part in ["closed while it was up: ", reason, "(to change there)"] {
            assert!(line.contains(part), "{part:?} is not in {line}");
        }
        assert!(ours.stop().success());
        relay.join().expect("it does not panic");
    }
}

/// A client that leaves without close_notify is nothing to speak of.
#[test]
fn a_client_that_leaves_without_a_word() {
    let world = World::new("no_close_notify");
    let ours = start(&world, false, "", "");
    for version in [SslVersion::TLS1_2, SslVersion::TLS1_3] {
        let client = Client::new().version(version);
        let mut connection = world.dial(client).expect("a connection");
        assert_serves(&ours, &mut connection);
        let local = connection.local().to_string();
        drop(connection);
        ours.wait_until("the end of the connection", |ours| {
            (ours.count("TLS connections") == 0).then_some(())
        });
        assert_eq!(said(&ours, &local), Vec::<String>::new());
    }
}

/// A session ticket from before a restart is no reason to refuse anybody: a full handshake follows.
#[test]
fn tickets_from_before_a_restart() {
    let world = World::new("old_tickets");
    let lab = &world.lab;
    // One request and its answer; what openssl says of the session, and how it was answered.
    let client = |version: &str, session: &str| {
        // Its input ends when the answer is there, and the program with it. A hang ends it too.
        let command = format!(
            "cd /srv; rm -f heard; touch heard; {{ printf 'OPTIONS sip:a SIP/2.0\r\nVia: SIP/2.0/TLS {OURS}:9;branch=z9hG4bK1\r\n\
             From: <sip:a@b>;tag=1\r\nTo: <sip:a>\r\nCall-ID: 1\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n'; \
             for i in $(seq 900); do grep -q 200.OK heard && break; sleep 0.1; done; }} | \
             openssl s_client -{version} -connect {} {session} > heard 2>&1; cat heard",
            address()
        );
        let output = lab.run("sh", &["-c", &command]);
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let is_answered = text.contains("SIP/2.0 200 OK");
        assert!(is_answered, "{version} {session}: {text}");
        text.contains("Reused, ")
    };
    for is_stock in [false, true] {
        let setup = |name: &str| {
            let setup = if is_stock {
                Setup::stock(&format!("stock_{name}"), OURS)
            } else {
                Setup::ours(name, OURS).module(TEST_MODULE)
            };
            setup.pjsip(&world.transport("")).pjsip(PEER)
        };
        // Stock's `method = tlsv1_2` is TLS 1.2 alone.
        let versions: &[&str] = if is_stock {
            &["tls1_2"]
        } else {
            &["tls1_2", "tls1_3"]
        };
        let file = |version: &str| format!("/srv/{version}.{is_stock}");
        let asterisk = Asterisk::start(lab, &setup("before"));
        for version in versions {
            let file = file(version);
            assert!(!client(version, &format!("-sess_out {file}")));
            // The session is good while it runs.
            assert!(client(version, &format!("-sess_in {file}")), "{version}");
        }
        assert!(asterisk.stop().success());
        let asterisk = Asterisk::start(lab, &setup("after"));
        for version in versions {
            let file = file(version);
            assert!(!client(version, &format!("-sess_in {file}")), "{version}");
        }
        if !is_stock {
            assert_eq!(said(&asterisk, "TLS from"), Vec::<String>::new());
        }
        assert!(asterisk.stop().success());
    }
}

/// Hellos of 1.5 kB (with the post-quantum key share of today's OpenSSL) and of more than 16 kB, and certificates of 10 kB on both sides, in
/// and out.
#[test]
fn long_hellos_and_long_certificates() {
    let world = World::new("long");
    let lab = &world.lab;
    let comment = format!("nsComment={}", "x".repeat(10_000));
    let names = format!("subjectAltName=DNS:ours.example,IP:{OURS},IP:{CARRIER}");
    let long = world.authority().make(
        "long",
        "/CN=ours.example",
        &["-days", "2", "-addext", &names, "-addext", &comment],
    );
    assert!(lab.read(&long.certificate).len() > 13_000, "PEM of 10 kB");
    let verifies = format!(
        "{}verify_client = yes\nrequire_client_cert = yes\nverify_server = yes\n",
        pjsip::tls(&long, &world.authority)
    );
    let to = carrier("to", "tls", &format!("{CARRIER}:6000"));
    let setup = ours().pjsip(&verifies).pjsip(PEER).pjsip(&to);
    let ours = Asterisk::start(lab, &setup);
    let protocols: Vec<String> = (0..64).map(|number| format!("{number:0>254}")).collect();
    let protocols = protocols.join(",");
    for version in ["-tls1_2", "-tls1_3"] {
        for more in [&[][..], &["-alpn", &protocols]] {
            let before = ours.count("TLS handshakes in");
            let peer = address();
            let mut words = vec![
                "s_client",
                version,
                "-connect",
                &peer,
                "-cert",
                &long.certificate,
                "-key",
                &long.key,
                "-CAfile",
                &world.authority,
                "-verify_return_error",
            ];
            words.extend(more);
            let output = lab.run("openssl", &words);
            assert!(
                output.status.success(),
                "{version}: {}\n{}",
                String::from_utf8_lossy(&output.stderr),
                ours.log()
            );
            ours.wait_until("the handshake", |ours| {
                (ours.count("TLS handshakes in") > before).then_some(())
            });
        }
    }
    let server = server(lab, 6000, &long, SslVersion::TLS1_3);
    let mut connection = called(&ours, "to", &server);
    asked(&ours, "to", &mut connection);
    assert_eq!(said(&ours, " failed "), Vec::<String>::new());
}
