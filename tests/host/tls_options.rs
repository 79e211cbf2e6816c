//! What the options of a `protocol=tls` transport do. Each is tried beside a transport that lacks it.

use std::net::SocketAddr;

use host_harness::asterisk::Asterisk;
use host_harness::certificates::Authority;
use host_harness::host;
use host_harness::process;
use host_harness::sip::{self, Client, Server};
use openssl::ssl::SslVersion;

use crate::tls_world::{World, assert_serves, carrier, is_ours, ours};
use crate::world::{CARRIER, OURS};

/// Transports by name, each on the next port from 5061 on.
fn transports(world: &World, list: &[(&str, &str)]) -> String {
    let authority = format!("ca_list_file = {}\n", world.authority);
    let transport = |(number, (name, lines)): (usize, &(&str, &str))| {
        // Those that say whom they trust do not trust our authority too.
        let common = world.transport("");
        let common = if lines.contains("ca_list_") {
            assert!(common.contains(&authority), "{common}");
            common.replace(&authority, "")
        } else {
            common
        };
        let text = format!("{common}{lines}\n").replace("[tls]", &format!("[{name}]"));
        text.replace("5061", &(5061 + number).to_string())
    };
    list.iter().enumerate().map(transport).collect()
}

/// That this client is accepted on a port and served, or is not.
fn assert_takes(
    asterisk: &Asterisk<'_>,
    world: &World,
    port: u16,
    client: Client,
    good: bool,
    what: &str,
) {
    // Under TLS 1.3 a client hears only later that it is refused.
    let connected = client.connect(&world.lab, &format!("{OURS}:{port}"));
    let answered = connected
        .map_err(std::io::Error::other)
        .and_then(|mut it| it.options());
    assert_eq!(
        answered.is_ok(),
        good,
        "{what}: {answered:?}\n{}",
        asterisk.log()
    );
    assert_eq!(
        answered.ok().is_some_and(|status| status == 200),
        good,
        "{what}"
    );
}

#[test]
fn certificates_of_clients() {
    let world = World::new("options_clients");
    let lab = &world.lab;
    let stranger = Authority::new(lab, "stranger");
    // A hashed folder with our authority in it.
    lab.must_run(
        "sh",
        &[
            "-c",
            &format!(
                "mkdir /srv/hashed && cp {} /srv/hashed/ca.pem && openssl rehash /srv/hashed",
                world.authority
            ),
        ],
    );
    let folder = "require_client_cert = yes\nverify_client = yes\nca_list_path = /srv/hashed\n";
    let other = format!(
        "require_client_cert = yes\nverify_client = yes\nca_list_file = {}\n",
        stranger.file()
    );
    let text = transports(
        &world,
        &[
            ("anyone", ""),
            ("verifies", "verify_client = yes\n"),
            ("requires", "require_client_cert = yes\n"),
            ("both", "verify_client = yes\nrequire_client_cert = yes\n"),
            ("folder", folder),
            ("other", &other),
        ],
    );
    let ours = Asterisk::start(lab, &ours().pjsip(&text).pjsip(crate::tls_world::PEER));
    let good = world.authority().issue("good", "phone.example", OURS);
    let bad = stranger.issue("bad", "phone.example", OURS);
    // Without a certificate, with a good one, with one from a stranger.
    for (number, (name, takes)) in [
        ("anyone", [true, true, true]),
        ("verifies", [true, true, false]),
        ("requires", [false, true, true]),
        ("both", [false, true, false]),
        ("folder", [false, true, false]),
        ("other", [false, false, true]),
    ]
    .into_iter()
    .enumerate()
    {
        assert!(is_ours(&ours, name), "{}", ours.log());
        let port = 5061 + u16::try_from(number).expect("a few");
        let clients = [
            Client::new(),
            Client::new().certificate(lab, &good),
            Client::new().certificate(lab, &bad),
        ];
        for (client, (good, who)) in
            clients
                .into_iter()
                .zip(takes.into_iter().zip(["none", "good", "stranger's"]))
        {
            assert_takes(&ours, &world, port, client, good, &format!("{name}, {who}"));
        }
    }
    assert_eq!(ours.count("Panics caught"), 0);
}

#[test]
fn versions_ciphers_and_a_password() {
    let world = World::new("options_versions");
    let lab = &world.lab;
    let encrypted = format!("{}.encrypted", world.certificate.key);
    lab.must_run(
        "openssl",
        &[
            "pkey",
            "-in",
            &world.certificate.key,
            "-aes256",
            "-passout",
            "pass:open sesame",
            "-out",
            &encrypted,
        ],
    );
    let key = format!("priv_key_file = {}\n", world.certificate.key);
    let text = transports(
        &world,
        &[
            ("default", ""),
            ("twelve", "method = tlsv1_2\n"),
            ("thirteen", "method = tlsv1_3\n"),
            ("cipher", "cipher = ECDHE-ECDSA-AES128-SHA\n"),
            ("password", "password = open sesame\n"),
        ],
    );
    let (rest, last) = text.split_at(text.find("[password]").expect("it is there"));
    let last = last.replace(&key, &format!("priv_key_file = {encrypted}\n"));
    let ours = Asterisk::start(
        lab,
        &ours()
            .pjsip(rest)
            .pjsip(&last)
            .pjsip(crate::tls_world::PEER),
    );
    let has_thirteen = ours
        .all_log_lines("Error parsing method=tlsv1_3")
        .is_empty();
    if !has_thirteen {
        host::skip(
            "tls_options::versions_ciphers_and_a_password (method = tlsv1_3)",
            "this Asterisk has no such method",
        );
    }
    let old = |list: &str| Client::new().version(SslVersion::TLS1_2).ciphers(list);
    // Phones that have no other suite need it by name.
    let cbc = "ECDHE-ECDSA-AES128-SHA";
    let gcm = "ECDHE-ECDSA-AES128-GCM-SHA256";
    for (port, name, takes) in [
        (5061, "default", [false, false, true, true]),
        (5062, "twelve", [false, false, true, true]),
        (5063, "thirteen", [false, false, false, true]),
        (5064, "cipher", [false, true, false, true]),
        (5065, "password", [false, false, true, true]),
    ] {
        if name == "thirteen" && !has_thirteen {
            continue;
        }
        assert!(is_ours(&ours, name), "{name}\n{}", ours.log());
        let clients = [
            Client::new().version(SslVersion::TLS1_1),
            old(cbc),
            old(gcm),
            Client::new().version(SslVersion::TLS1_3),
        ];
        for (client, (good, which)) in clients
            .into_iter()
            .zip(takes.into_iter().zip(["1.1", "1.2 CBC", "1.2 GCM", "1.3"]))
        {
            assert_takes(
                &ours,
                &world,
                port,
                client,
                good,
                &format!("{name}, {which}"),
            );
        }
    }
}

/// `tos`, `cos` and keepalive of Asterisk's end of a connection.
fn socket_options(asterisk: &Asterisk<'_>, peer: SocketAddr) -> [i32; 6] {
    let socket = process::socket(asterisk.pid(), peer).expect("Asterisk's end of it");
    [
        (libc::IPPROTO_IP, libc::IP_TOS),
        (libc::SOL_SOCKET, libc::SO_PRIORITY),
        (libc::SOL_SOCKET, libc::SO_KEEPALIVE),
        (libc::IPPROTO_TCP, libc::TCP_KEEPIDLE),
        (libc::IPPROTO_TCP, libc::TCP_KEEPINTVL),
        (libc::IPPROTO_TCP, libc::TCP_KEEPCNT),
    ]
    .map(|(level, name)| process::socket_option(&socket, level, name))
}

#[test]
fn quality_of_service_and_keepalive() {
    let world = World::new("options_sockets");
    let text = transports(
        &world,
        &[
            ("plain", ""),
            ("marked", "tos = af31\ncos = 5\n"),
            (
                "kept",
                "tcp_keepalive_enable = yes\ntcp_keepalive_idle_time = 33\ntcp_keepalive_interval_time = 7\n\
             tcp_keepalive_probe_count = 4\n",
            ),
        ],
    );
    let mut setup = ours().pjsip(&text).pjsip(crate::tls_world::PEER);
    for transport in ["plain", "marked", "kept"] {
        setup = setup.pjsip(&carrier(
            &format!("to_{transport}"),
            transport,
            &format!("{CARRIER}:6000"),
        ));
    }
    let server = Server::new(
        &world.lab,
        &format!("{CARRIER}:6000"),
        &world.certificate,
        |_| {},
    );
    let ours = Asterisk::start(&world.lab, &setup);
    let has_keepalive = ours
        .all_log_lines("Could not create an object of type 'transport' with id 'kept'")
        .is_empty();
    if !has_keepalive {
        host::skip(
            "tls_options::quality_of_service_and_keepalive (keepalive)",
            "this Asterisk has no tcp_keepalive_enable",
        );
    }
    for (port, transport, marks, keepalive) in [
        (5061, "plain", [0, 0], None),
        (5062, "marked", [0x68, 5], None),
        (5063, "kept", [0, 0], Some([1, 33, 7, 4])),
    ] {
        if transport == "kept" && !has_keepalive {
            continue;
        }
        let mut incoming = Client::new()
            .connect(&world.lab, &format!("{OURS}:{port}"))
            .expect("a connection");
        assert_serves(&ours, &mut incoming);
        ours.cli(&format!("pjsip qualify to_{transport}"));
        let outgoing = server.accept().expect("a connection");
        for peer in [incoming.local(), outgoing.local()] {
            let found = socket_options(&ours, peer);
            assert_eq!(found[..2], marks, "{transport}: {found:?}");
            match keepalive {
                Some(wanted) => assert_eq!(found[2..], wanted, "{transport}: {found:?}"),
                None => assert_eq!(found[2], 0, "{transport}: {found:?}"),
            }
        }
    }
}

#[test]
fn external_addresses_and_local_nets() {
    let world = World::new("options_external");
    let external = "external_signaling_address = 192.0.2.7\nexternal_signaling_port = 5099\nexternal_media_address = 192.0.2.8\n";
    let text = transports(
        &world,
        &[
            ("outside", &format!("{external}local_net = {OURS}/32\n")),
            ("inside", &format!("{external}local_net = 127.0.0.0/8\n")),
        ],
    );
    let setup = ours()
        .pjsip(&text)
        .pjsip(&carrier(
            "to_outside",
            "outside",
            &format!("{CARRIER}:6000"),
        ))
        .pjsip(&carrier("to_inside", "inside", &format!("{CARRIER}:6001")));
    let server = |port: u16| {
        Server::new(
            &world.lab,
            &format!("{CARRIER}:{port}"),
            &world.certificate,
            |_| {},
        )
    };
    let (outside, inside) = (server(6000), server(6001));
    let ours = Asterisk::start(&world.lab, &setup);
    for (name, server, address, media) in [
        ("outside", outside, "192.0.2.7:5099", "192.0.2.8"),
        ("inside", inside, OURS, OURS),
    ] {
        ours.cli(&format!(
            "channel originate PJSIP/to_{name} application Wait 10"
        ));
        let mut connection = server.accept().expect("a connection");
        let invite = connection.receive().expect("an INVITE");
        for header in ["Via", "Contact"] {
            let value = sip::header(&invite, header).unwrap_or_else(|| panic!("{invite}"));
            assert!(value.contains(address), "{name}: {header}: {value}");
        }
        assert!(
            invite.contains(&format!("c=IN IP4 {media}")),
            "{name}: {invite}"
        );
        let outcome = connection.accept_request(&invite);
        assert!(outcome.is_ok(), "{outcome:?}");
    }
}
