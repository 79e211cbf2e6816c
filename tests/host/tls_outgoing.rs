//! Connections to carriers: whose certificates are accepted, and what is said of those that are not.

use host_harness::asterisk::Asterisk;
use host_harness::certificates::{Authority, Certificate};
use host_harness::host;
use host_harness::names::Names;
use host_harness::sip::{self, Connection, Server};
use openssl::ssl::{SslVerifyMode, SslVersion};

use crate::tls_world::{World, carrier, ours};
use crate::world::{CARRIER, OURS};

/// What a carrier is to us.
struct Case {
    /// Its name in our configuration.
    host: &'static str,
    /// Our transport to it.
    transport: &'static str,
    certificate: Certificate,
    /// What the log says; `None`: it is accepted.
    refused: Option<&'static str>,
}

/// Sends a request to the carrier, who answers it.
fn assert_accepted(asterisk: &Asterisk<'_>, name: &str, server: &Server) -> Connection {
    let before = asterisk.count("TLS handshakes out");
    let messages = asterisk.count("SIP messages in");
    asterisk.cli(&format!("pjsip qualify {name}"));
    let mut connection = server
        .accept()
        .unwrap_or_else(|error| panic!("{name}: {error}\n{}", asterisk.log()));
    let request = connection
        .receive()
        .unwrap_or_else(|error| panic!("{name}: {error}\n{}", asterisk.log()));
    assert!(request.starts_with("OPTIONS "), "{request}");
    connection.accept_request(&request).expect("it is up");
    asterisk.wait_until(&format!("the answer of {name}"), |asterisk| {
        (asterisk.count("SIP messages in") > messages).then_some(())
    });
    assert_eq!(asterisk.count("TLS handshakes out"), before + 1);
    connection
}

/// Sends a request to the carrier, which fails; the one line that says why.
fn assert_refused(asterisk: &Asterisk<'_>, name: &str, host: &str, server: &Server) -> String {
    let before = asterisk.all_log_lines(&format!("TLS to {host} ")).len();
    asterisk.cli(&format!("pjsip qualify {name}"));
    // The server may think that all is well until it reads (a client certificate in TLS 1.3).
    if let Ok(mut connection) = server.accept() {
        assert!(connection.receive().is_err(), "{name}: a request was sent");
    }
    let lines = asterisk.wait_until(&format!("the line about {host}"), |asterisk| {
        let lines = asterisk.log_lines(&format!("TLS to {host} "));
        (lines.len() > before).then_some(lines)
    });
    assert_eq!(
        asterisk.all_log_lines(&format!("TLS to {host} ")).len(),
        before + 1,
        "{lines:?}"
    );
    lines.last().expect("one").clone()
}

#[test]
fn certificates_and_names() {
    let world = World::new("certificates");
    let lab = &world.lab;
    let authority = world.authority();
    let stranger = Authority::new(lab, "stranger");
    let long_ago = [
        "-not_before",
        "20200101000000Z",
        "-not_after",
        "20210101000000Z",
    ];
    let dns = |name: &str, san: &str| {
        authority.make(
            name,
            "/CN=carrier",
            &["-days", "2", "-addext", &format!("subjectAltName={san}")],
        )
    };
    let expired = {
        let mut options = long_ago.to_vec();
        options.extend(["-addext", "subjectAltName=DNS:c3.example"]);
        authority.make("c3", "/CN=c3.example", &options)
    };
    let case = |host, transport, certificate, refused| Case {
        host,
        transport,
        certificate,
        refused,
    };
    let cases = [
        case("c0.example", "verifies", dns("c0", "DNS:c0.example"), None),
        case(
            "c1.example",
            "verifies",
            dns("c1", "DNS:other.example"),
            Some("another name"),
        ),
        case(
            "c2.example",
            "verifies",
            stranger.issue("c2", "c2.example", CARRIER),
            Some("does not lead to a CA we trust"),
        ),
        case(
            "c3.example",
            "verifies",
            expired.clone(),
            Some("has expired"),
        ),
        // The address would match, but a name was asked for.
        case(
            "c4.example",
            "verifies",
            dns("c4", &format!("IP:{CARRIER}")),
            Some("another name"),
        ),
        case(
            "c5.example",
            "verifies",
            dns("c5", "URI:sip:c5.example"),
            None,
        ),
        case(
            "c6.example",
            "verifies",
            dns("c6", "DNS:*.example"),
            Some("another name"),
        ),
        case("c7.example", "wildcards", dns("c7", "DNS:*.example"), None),
        case(
            "c8.a.example",
            "wildcards",
            dns("c8", "DNS:*.example"),
            Some("another name"),
        ),
        // Asterisk's own tests use such certificates.
        case(
            "c9.example",
            "verifies",
            authority.make("c9", "/CN=c9.example", &["-days", "2", "-x509v1"]),
            None,
        ),
        case(
            "d0.example",
            "verifies",
            authority.make("d0", "/CN=c9.example", &["-days", "2", "-x509v1"]),
            Some("another name"),
        ),
        // Without verify_server all of them are taken.
        case(
            "d1.example",
            "trusts",
            stranger.issue("d1", "other.example", CARRIER),
            None,
        ),
        case("d2.example", "trusts", expired, None),
    ];
    let transport = |name: &str, port: &str, lines: &str| {
        world
            .transport(lines)
            .replace("[tls]", &format!("[{name}]"))
            .replace("5061", port)
    };
    let mut setup = ours()
        .pjsip(&transport("verifies", "5061", "verify_server = yes\n"))
        .pjsip(&transport(
            "wildcards",
            "5062",
            "verify_server = yes\nallow_wildcard_certs = yes\n",
        ))
        .pjsip(&transport("trusts", "5063", ""));
    let mut servers = Vec::new();
    for (number, case) in cases.iter().enumerate() {
        let port = 6000 + number;
        setup = setup.pjsip(&carrier(
            &format!("case{number}"),
            case.transport,
            &format!("{}:{port}", case.host),
        ));
        servers.push(Server::new(
            lab,
            &format!("{CARRIER}:{port}"),
            &case.certificate,
            |_| {},
        ));
    }
    let names: Vec<_> = cases.iter().map(|case| (case.host, CARRIER)).collect();
    let _names = Names::serve(lab, &names);
    let ours = Asterisk::start(lab, &setup);
    for (number, (case, server)) in cases.iter().zip(&servers).enumerate() {
        let name = format!("case{number}");
        let Some(reason) = case.refused else {
            let connection = assert_accepted(&ours, &name, server);
            assert_eq!(connection.sni(), Some(case.host));
            continue;
        };
        let line = assert_refused(&ours, &name, case.host, server);
        for part in [
            reason,
            case.transport,
            CARRIER,
            "when ",
            "(to change there)|(here or there)",
        ] {
            assert!(
                part.split('|').any(|part| line.contains(part)),
                "{part:?} is not in {line}"
            );
        }
    }
    assert_eq!(ours.count("Panics caught"), 0);
}

/// A carrier is called by its name, which the certificate has. It calls by a connection of its own, and its Contact has an address, which the
/// certificate does not have: what we send in that dialog goes over the connection whose peer is known. (Stock connects to the
/// address, and refuses the certificate.)
#[test]
fn a_contact_with_an_address_is_the_peer_that_was_verified() {
    let world = World::new("contact");
    let lab = &world.lab;
    let certificate = world.authority().make(
        "carrier",
        "/CN=carrier",
        &["-days", "2", "-addext", "subjectAltName=DNS:c.example"],
    );
    let server = |port| Server::new(lab, &format!("{CARRIER}:{port}"), &certificate, |_| {});
    let (named, other) = (server(6000), server(6001));
    let setup = world
        .setup("verify_server = yes\n")
        .pjsip(&carrier("carrier", "tls", "c.example:6000"))
        .dialplan("exten => wait,1,Answer()\n same => n,Wait(600)\n");
    let _names = Names::serve(lab, &[("c.example", CARRIER)]);
    let ours = Asterisk::start(lab, &setup);
    let mut known = assert_accepted(&ours, "carrier", &named);

    // Its call, with a Contact at this port of its address, which we end.
    let call = |port: u16| {
        let mut connection = world.connect();
        let own = connection.local();
        let sdp = format!(
            "v=0\r\no=- 1 1 IN IP4 {CARRIER}\r\ns=-\r\nc=IN IP4 {CARRIER}\r\nt=0 0\r\nm=audio 7000 RTP/AVP 0\r\n"
        );
        let request = |method: &str, to: &str, rest: &str| {
            format!(
                "{method} sip:wait@{OURS} SIP/2.0\r\nVia: SIP/2.0/TLS {own};branch=z9hG4bK{method}{port}\r\nMax-Forwards: 70\r\n\
                 From: <sip:c.example>;tag=a{port}\r\nTo: {to}\r\nCall-ID: contact{port}\r\nCSeq: 1 {method}\r\n\
                 Contact: <sip:{CARRIER}:{port};transport=tls>\r\n{rest}"
            )
        };
        let body = format!(
            "Content-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{sdp}",
            sdp.len()
        );
        let invite = request("INVITE", &format!("<sip:wait@{OURS}>"), &body);
        connection.send(invite.as_bytes()).expect("it is up");
        let answer = loop {
            let answer = connection.receive().expect("an answer");
            if sip::status(&answer) >= 200 {
                break answer;
            }
        };
        assert_eq!(sip::status(&answer), 200, "{answer}");
        let to = sip::header(&answer, "To").expect("a To").to_owned();
        let ack = request("ACK", &to, "Content-Length: 0\r\n\r\n");
        connection.send(ack.as_bytes()).expect("it is up");
        ours.cli("channel request hangup all");
        connection
    };
    let _call = call(6000);
    let bye = known.receive().expect("a request");
    assert!(bye.starts_with(&format!("BYE sip:{CARRIER}:6000")), "{bye}");
    known.accept_request(&bye).expect("it is up");
    ours.wait_for_channels(0);
    assert_eq!(ours.count("TLS handshakes out"), 1);

    // The twin: another port is another peer, of whom nothing is known but the address.
    let _call = call(6001);
    if let Ok(mut connection) = other.accept() {
        assert!(
            connection.receive().is_err(),
            "its certificate has another name"
        );
    }
    let line = ours.wait_until("the line", |ours| {
        ours.log_lines(&format!(" ({CARRIER}:6001) failed")).pop()
    });
    assert!(line.contains("another name"), "{line}");
    assert_eq!(ours.count("Panics caught"), 0);
}

#[test]
fn an_address_is_no_server_name() {
    let world = World::new("address");
    let certificate = world
        .authority()
        .issue("carrier", "carrier.example", CARRIER);
    let setup = world
        .setup("verify_server = yes\n")
        .pjsip(&carrier("good", "tls", &format!("{CARRIER}:6000")))
        .pjsip(&carrier("bad", "tls", "127.0.0.21:6000"));
    let server = Server::new(&world.lab, &format!("{CARRIER}:6000"), &certificate, |_| {});
    let other = Server::new(&world.lab, "127.0.0.21:6000", &certificate, |_| {});
    let ours = Asterisk::start(&world.lab, &setup);
    assert_eq!(assert_accepted(&ours, "good", &server).sni(), None);
    assert!(assert_refused(&ours, "bad", "127.0.0.21", &other).contains("another name"));
}

#[test]
fn our_client_certificate() {
    let world = World::new("client_certificate");
    let authority = world.lab.read(&world.authority);
    let demanding = |port: u16| {
        Server::new(
            &world.lab,
            &format!("{CARRIER}:{port}"),
            &world.certificate,
            |context| {
                let authority = openssl::x509::X509::from_pem(&authority).expect("a certificate");
                context
                    .cert_store_mut()
                    .add_cert(authority)
                    .expect("a store");
                context.set_verify(SslVerifyMode::PEER | SslVerifyMode::FAIL_IF_NO_PEER_CERT);
            },
        )
    };
    let (one, two) = (demanding(6000), demanding(6001));
    // Without cert_file there is nothing to listen with, but connecting out works.
    let bare = format!(
        "[bare]\ntype = transport\nprotocol = tls\nbind = {{address}}:5062\nca_list_file = {}\n",
        world.authority
    );
    let setup = world
        .setup("")
        .pjsip(&bare)
        .pjsip(&carrier("with", "tls", &format!("{CARRIER}:6000")))
        .pjsip(&carrier("without", "bare", &format!("{CARRIER}:6001")));
    let ours = Asterisk::start(&world.lab, &setup);
    let connection = assert_accepted(&ours, "with", &one);
    assert!(connection.stream.ssl().peer_certificate().is_some());
    let line = assert_refused(&ours, "without", CARRIER, &two);
    assert!(
        line.contains("demands a client certificate") && line.contains("(to change here)"),
        "{line}"
    );
}

#[test]
fn versions_and_where_nobody_listens() {
    let world = World::new("versions");
    let only = |port: u16, version: SslVersion| {
        Server::new(
            &world.lab,
            &format!("{CARRIER}:{port}"),
            &world.certificate,
            |context| {
                context
                    .set_min_proto_version(Some(version))
                    .expect("a version");
                context
                    .set_max_proto_version(Some(version))
                    .expect("a version");
            },
        )
    };
    let old = only(6000, SslVersion::TLS1_2);
    let too_old = only(6001, SslVersion::TLS1_1);
    let new = only(6002, SslVersion::TLS1_3);
    let setup = world
        .setup("")
        .pjsip(
            &world
                .transport("method = tlsv1_3\n")
                .replace("[tls]", "[new]")
                .replace("5061", "5062"),
        )
        .pjsip(&carrier("old", "tls", &format!("{CARRIER}:6000")))
        .pjsip(&carrier("too_old", "tls", &format!("{CARRIER}:6001")))
        .pjsip(&carrier("new", "new", &format!("{CARRIER}:6002")))
        .pjsip(&carrier("old_by_new", "new", &format!("{CARRIER}:6000")))
        .pjsip(&carrier("nobody", "tls", "127.0.0.22:6000"));
    let ours = Asterisk::start(&world.lab, &setup);
    let version = |connection: &Connection| connection.stream.ssl().version_str();
    let first = assert_accepted(&ours, "old", &old);
    assert_eq!(version(&first), "TLSv1.2");
    assert!(assert_refused(&ours, "too_old", CARRIER, &too_old).contains("TLS version"));
    if ours
        .all_log_lines("Error parsing method=tlsv1_3")
        .is_empty()
    {
        assert_eq!(version(&assert_accepted(&ours, "new", &new)), "TLSv1.3");
        assert!(assert_refused(&ours, "old_by_new", CARRIER, &old).contains("TLS version"));
    } else {
        host::skip(
            "tls_outgoing::versions_and_where_nobody_listens (method = tlsv1_3)",
            "this Asterisk has no such method",
        );
    }
    ours.cli("pjsip qualify nobody");
    ours.wait_for_log(
        "TLS to 127.0.0.22 (127.0.0.22:6000) failed when connecting: nothing listens",
    );
}

#[test]
fn who_does_not_answer_in_time() {
    let world = World::new("in_time");
    let setup = world
        .setup("")
        .pjsip(&carrier("silent", "tls", "127.0.0.23:6000"))
        .file("ciphertrunk.conf", "[tls]\nhandshake_timeout = 2\n");
    let silent = world.lab.listen("127.0.0.23:6000");
    let ours = Asterisk::start(&world.lab, &setup);
    ours.cli("pjsip qualify silent");
    ours.wait_for_log("TLS to 127.0.0.23 (127.0.0.23:6000) failed at the first TLS message: it took the TCP connection and did not answer our first TLS message in time");
    drop(silent);
}
