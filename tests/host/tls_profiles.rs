//! Profiles of `ciphertrunk.conf`: peers with opposite needs on one transport, so on one port. Each has a twin without a profile.

use host_harness::asterisk::Asterisk;
use host_harness::certificates::{Authority, Certificate};
use host_harness::host;
use host_harness::lab::{self, Lab};
use host_harness::names::Names;
use host_harness::process::Process;
use host_harness::sip::{Connection, Server, response};
use host_harness::wait;
use openssl::ssl::SslVerifyMode;

use crate::tls_world::{World, address, carrier, ours};
use crate::world::{CARRIER, PHONE};

/// `openssl s_server` of the root, at this port of the carrier's.
fn s_server(lab: &Lab, port: u16, own: &Certificate, options: &str) -> Process {
    // It ends when nothing more can come from its standard input.
    let command = format!(
        "sleep infinity | openssl s_server -accept {CARRIER}:{port} -cert {} -key {} {options}",
        own.certificate, own.key
    );
    let server = lab.spawn(&format!("server{port}"), "sh", &["-c", &command]);
    server.wait_for("ACCEPT", wait::SOON);
    server
}

/// The line about the connection to `peer`, when its handshake is done.
fn connection(asterisk: &Asterisk<'_>, peer: &str) -> String {
    asterisk.wait_until(&format!("a connection to {peer}"), |asterisk| {
        let text = asterisk.cli("ciphertrunk show connections");
        let mut lines = text.lines();
        let found = lines.find(|it| it.contains(peer) && !it.contains("TLS: handshake"));
        found.map(str::to_owned)
    })
}

fn assert_has(line: &str, parts: &[&str]) {
    for part in parts {
        assert!(line.contains(part), "no {part:?} in {line}");
    }
}

/// The line that says why there is no connection to `host`.
fn refusal(asterisk: &Asterisk<'_>, name: &str, host: &str) -> String {
    asterisk.cli(&format!("pjsip qualify {name}"));
    asterisk.wait_until(&format!("the line about {host}"), |asterisk| {
        asterisk.log_lines(&format!("TLS to {host} ")).pop()
    })
}

/// Takes the request that a qualify sends on a new connection.
fn serve(asterisk: &Asterisk<'_>, name: &str, server: &Server) -> Connection {
    asterisk.cli(&format!("pjsip qualify {name}"));
    let mut connection = server
        .accept()
        .unwrap_or_else(|error| panic!("{name}: {error}\n{}", asterisk.log()));
    let request = connection.receive().expect("a request");
    assert!(request.starts_with("OPTIONS "), "{request}");
    connection.accept_request(&request).expect("it is up");
    connection
}

/// The common name of the certificate that the peer has shown.
fn shown(connection: &Connection) -> String {
    let peer = connection.stream.ssl().peer_certificate().expect("one");
    let mut names = peer
        .subject_name()
        .entries_by_nid(openssl::nid::Nid::COMMONNAME);
    let name = names.next().expect("a common name").data().as_slice();
    String::from_utf8_lossy(name).into_owned()
}

#[test]
fn carriers_with_opposite_needs() {
    let world = World::new("profiles_carriers");
    let lab = &world.lab;
    // The tests have this machine's OpenSSL, and so has an Asterisk of this machine's.
    if lab.host().is_of_this_machine() && openssl::version::number() < 0x3050_0000 {
        return host::skip(
            "tls_profiles::carriers_with_opposite_needs",
            "this machine's OpenSSL has no ML-KEM",
        );
    }
    let authority = world.authority();
    let [a, b] = ["for-a", "for-b"]
        .map(|name| authority.make(name, &format!("/CN={name}"), &["-days", "2"]));
    let new = "subjectAltName=DNS:new.example,DNS:plainnew.example";
    let new = authority.make("new", "/CN=new.example", &["-days", "2", "-addext", new]);
    let stranger = Authority::new(lab, "stranger");
    let for_new = stranger.make("for-new", "/CN=for-new", &["-days", "2"]);
    let pinned = stranger.issue("pinned", "elsewhere.example", CARRIER);
    // What Bandwidth demands: static RSA, CBC, SHA-1.
    let old = Certificate {
        certificate: format!("{}/tls/old.pem", lab::FOLDER),
        key: format!("{}/tls/old.key", lab::FOLDER),
    };
    lab.must_run(
        "openssl",
        &[
            "req",
            "-x509",
            "-CA",
            &authority.file(),
            "-CAkey",
            &authority.file().replace(".pem", ".key"),
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-days",
            "2",
            "-subj",
            "/CN=old.example",
            "-addext",
            "subjectAltName=DNS:old.example",
            "-keyout",
            &old.key,
            "-out",
            &old.certificate,
        ],
    );
    let pin = lab.must_run(
        "openssl",
        &[
            "x509",
            "-in",
            &pinned.certificate,
            "-noout",
            "-fingerprint",
            "-sha256",
        ],
    );
    let pin = pin.trim().rsplit_once('=').expect("a fingerprint").1;
    let conf = format!(
        "[old]\ntype = tls\nmatch = old.example\ncipher = TLS_RSA_WITH_AES_128_CBC_SHA\nmax_version = tls1.2\n\n\
         [new]\ntype = tls\nmatch = new.example\nmin_version = tls1.3\nclient_cert_file = {}\nclient_priv_key_file = {}\n\n\
         [a]\ntype = tls\nmatch = a.example\nclient_cert_file = {}\nclient_priv_key_file = {}\nverify_server = no\n\n\
         [b]\ntype = tls\nmatch = .b.example\nclient_cert_file = {}\nclient_priv_key_file = {}\nverify_server = no\n\n\
         [pinned]\ntype = tls\nmatch = pinned.example\nverify_server = no\npin = SHA256:{pin}\n\n\
         [wrong]\ntype = tls\nmatch = wrong.example\nverify_server = no\npin = SHA256:{}\n\n\
         [quantum]\ntype = endpoint\nrequire_signaling = pq\n\n\
         [classic]\ntype = endpoint\nrequire_signaling = pq\n\n\
         [no-pq]\ntype = tls\nmatch = classic.example\ngroups = X25519, P-256\nverify_server = no\n\n\
         [pq]\ntype = tls\nmatch = quantum.example\nverify_server = no\n",
        for_new.certificate,
        for_new.key,
        a.certificate,
        a.key,
        b.certificate,
        b.key,
        "00".repeat(32),
    );
    let hosts = [
        ("old", "old.example:5061"),
        ("plain-old", "plainold.example:5061"),
        ("new", "new.example:5062"),
        ("plain-new", "plainnew.example:5062"),
        ("a", "a.example:5063"),
        ("b", "x.b.example:5063"),
        ("pinned", "pinned.example:5064"),
        ("wrong", "wrong.example:5064"),
        ("plain-pinned", "plainpinned.example:5064"),
        ("quantum", "quantum.example:5065"),
        ("classic", "classic.example:5066"),
    ];
    let names: Vec<(&str, &str)> = hosts
        .iter()
        .map(|(_, host)| (host.split(':').next().expect("a name"), CARRIER))
        .collect();
    let _names = Names::serve(lab, &names);
    let _old = s_server(lab, 5061, &old, "-tls1_2 -cipher AES128-SHA");
    let demands = format!(
        "-tls1_3 -Verify 1 -verify_return_error -CAfile {}",
        stranger.file()
    );
    let _new = s_server(lab, 5062, &new, &demands);
    let _pinned = s_server(lab, 5064, &pinned, "");
    let quantum = s_server(lab, 5065, &new, "");
    let classic = s_server(lab, 5066, &new, "");
    let one = Server::new(lab, &format!("{CARRIER}:5063"), &new, |context| {
        context.set_verify_callback(
            SslVerifyMode::PEER | SslVerifyMode::FAIL_IF_NO_PEER_CERT,
            |_, _| true,
        );
    });
    let mut setup = ours()
        .pjsip(&world.transport("verify_server = yes"))
        .file("ciphertrunk.conf", &conf)
        .dialplan(
            "[default]\nexten => wait,1,Wait(60)\n\
             exten => _pq-.,1,Set(CIPHERTRUNK_REQUIRE(signaling)=pq)\n same => n,Dial(PJSIP/${EXTEN:3})\n\
             exten => _go-.,1,Dial(PJSIP/${EXTEN:3})\n",
        );
    // The same servers without a demand of the endpoint's.
    let dialled = [
        ("safe", "safe@quantum.example:5065"),
        ("unsafe", "unsafe@classic.example:5066"),
        ("undemanded", "undemanded@classic.example:5066"),
    ];
    for (name, host) in hosts.into_iter().chain(dialled) {
        setup = setup.pjsip(&carrier(name, "tls", host));
    }
    let ours = Asterisk::start(lab, &setup);

    // One that knows static RSA alone, beside one that demands a certificate under TLS 1.3. The twins come first: s_server has one
    // connection at a time.
    let line = refusal(&ours, "plain-old", "plainold.example");
    assert_has(
        &line,
        &["reason peer-handshake-failure", "transport 'tls': "],
    );
    ours.cli("pjsip qualify old");
    let line = connection(&ours, "Peer: old.example ");
    assert_has(
        &line,
        &[
            " Profile: old ",
            "TLS: TLSv1.2 Cipher: AES128-SHA ",
            "Verified: yes",
        ],
    );
    let line = refusal(&ours, "plain-new", "plainnew.example");
    assert_has(&line, &["the peer closed with alert "]);
    ours.cli("pjsip qualify new");
    let line = connection(&ours, "Peer: new.example ");
    // OpenSSL 3.5 and later: the group that a quantum computer does not break is the first.
    assert_has(
        &line,
        &[
            " Profile: new ",
            "TLS: TLSv1.3 ",
            "Group: X25519MLKEM768 ",
            "Verified: yes",
        ],
    );

    // Two profiles towards one address have two connections; the same one twice has one.
    let mut first = serve(&ours, "a", &one);
    let second = serve(&ours, "b", &one);
    assert_eq!([shown(&first), shown(&second)], ["for-a", "for-b"]);
    assert_has(&connection(&ours, "Peer: a.example "), &[" Profile: a "]);
    assert_has(&connection(&ours, "x.b.example"), &[" Profile: b "]);
    ours.cli("pjsip qualify a");
    assert!(first.receive().expect("again").starts_with("OPTIONS "));

    // A certificate that nobody has signed for us, by its pin.
    let line = refusal(&ours, "plain-pinned", "plainpinned.example");
    assert_has(&line, &["reason cert-untrusted"]);
    let line = refusal(&ours, "wrong", "wrong.example");
    assert_has(&line, &["profile 'wrong': ", "reason cert-pin"]);
    ours.cli("pjsip qualify pinned");
    let line = connection(&ours, "Peer: pinned.example ");
    assert_has(&line, &[" Profile: pinned ", "Verified: no"]);

    // A call that is to be safe later too.
    ours.cli("channel originate PJSIP/quantum extension wait@default");
    quantum.wait_for("INVITE sip:quantum.example", wait::SOON);
    assert_has(
        &connection(&ours, "quantum.example"),
        &["Group: X25519MLKEM768 "],
    );
    ours.cli("channel originate PJSIP/classic extension wait@default");
    let line = ours.wait_until("the refusal of classic", |ours| {
        ours.log_lines("is not sent (not-post-quantum)").pop()
    });
    assert_has(&line, &["classic", "the group X25519"]);
    assert!(!classic.output().contains("INVITE "));
    // The dialplan demands it. What is refused would have come there.
    let call = |extension: &str| {
        ours.cli(&format!(
            "channel originate Local/{extension}@default extension wait@default"
        ));
    };
    call("pq-safe");
    quantum.wait_for("INVITE sip:safe@quantum.example", wait::SOON);
    call("pq-unsafe");
    ours.wait_until("the refusal of the call that the dialplan made", |ours| {
        let lines = ours.log_lines("is not sent (not-post-quantum)");
        lines
            .iter()
            .any(|line| line.contains("unsafe"))
            .then_some(())
    });
    call("go-undemanded");
    classic.wait_for("INVITE sip:undemanded@classic.example", wait::SOON);
    assert!(!classic.output().contains("INVITE sip:unsafe@"));
    ours.cli("channel request hangup all");
    assert_eq!(ours.count("Panics caught"), 0);
}

/// What `openssl s_client` of the root says of a handshake with us, from this address.
fn visit(lab: &Lab, from: &str, options: &str) -> String {
    let command = format!(
        "openssl s_client -connect {} -bind {from} -brief {options} < /dev/null 2>&1",
        address()
    );
    let output = lab.run("sh", &["-c", &command]);
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn phones_of_all_ages_and_two_names_on_one_port() {
    let world = World::new("profiles_phones");
    let lab = &world.lab;
    let authority = world.authority();
    let [a, b, c] = ["a.example", "b.example", "c.example"]
        .map(|name| authority.issue(name, name, crate::world::OURS));
    let conf = |second: &Certificate, lowest: &str| {
        format!(
            "[old-phones]\ntype = tls\nmatch = {PHONE}\nmin_version = tls1.0\n\n\
             [tenant-a]\ntype = tls\nserver_name = a.example\ncert_file = {}\npriv_key_file = {}\n\n\
             [tenant-b]\ntype = tls\nserver_name = b.example\ncert_file = {}\npriv_key_file = {}\nmin_version = {lowest}\n",
            a.certificate, a.key, second.certificate, second.key
        )
    };
    let setup = world
        .setup("")
        .file("ciphertrunk.conf", &conf(&b, "tls1.2"));
    let ours = Asterisk::start(lab, &setup);
    const OLD: &str = "-tls1 -cipher DEFAULT:@SECLEVEL=0";
    const ELSEWHERE: &str = "127.0.0.31";

    assert_has(&visit(lab, PHONE, OLD), &["Protocol version: TLSv1\n"]);
    assert_has(&visit(lab, PHONE, ""), &["Protocol version: TLSv1.3\n"]);
    assert!(!visit(lab, ELSEWHERE, OLD).contains("Protocol version"));
    let line = ours.wait_until("the line about the old phone", |ours| {
        ours.log_lines(&format!("TLS from {ELSEWHERE}:")).pop()
    });
    assert_has(
        &line,
        &[
            "TLS 1.0",
            "type = tls, match = its address and min_version = tls1.0",
        ],
    );
    let transports = ours.cli("ciphertrunk show transports");
    assert_has(
        &transports,
        &[
            &format!("  Profile: old-phones Match: {PHONE}/32 Server name: - TLS: from TLSv1 on\n"),
            "  Profile: tenant-a Match: - Server name: a.example TLS: from TLSv1.2 on\n",
            "  WARNING: profile 'old-phones': method: old TLS",
        ],
    );
    let config = ours.cli("ciphertrunk show config");
    assert_has(
        &config,
        &["[tenant-a] server_name = a.example (ciphertrunk.conf [tenant-a], line 8)"],
    );

    let who = |options: &str| {
        let said = visit(lab, ELSEWHERE, options);
        let line = said
            .lines()
            .find(|line| line.starts_with("Peer certificate:"));
        line.unwrap_or("none").to_owned()
    };
    assert_has(&who("-servername a.example"), &["CN=a.example"]);
    assert_has(&who("-servername b.example"), &["CN=b.example"]);
    assert_has(&who("-servername x.example"), &["CN=ours.example"]);
    assert_has(&who("-noservername"), &["CN=ours.example"]);
    assert_has(&who("-servername b.example -tls1_2"), &["CN=b.example"]);

    let missing = Certificate {
        certificate: "/nowhere.pem".to_owned(),
        ..c.clone()
    };
    // A mistake changes nothing, and is told; what is good is for new handshakes.
    let mut before = world.connect();
    for (file, told) in [
        (conf(&b, "tls9"), "line 17: [tenant-b] min_version"),
        (
            conf(&missing, "tls1.3"),
            "profile 'tenant-b' of ciphertrunk.conf: cert_file '/nowhere.pem': cannot be read",
        ),
    ] {
        ours.configure("ciphertrunk.conf", &file);
        ours.cli("ciphertrunk reload");
        assert!(!ours.all_log_lines(told).is_empty(), "{}", ours.log());
        assert_has(&who("-servername b.example -tls1_2"), &["CN=b.example"]);
    }
    ours.configure("ciphertrunk.conf", &conf(&c, "tls1.3"));
    ours.cli("ciphertrunk reload");
    assert_has(&who("-servername b.example"), &["CN=c.example"]);
    assert_eq!(who("-servername b.example -tls1_2"), "none");
    assert_has(&who("-servername a.example -tls1_2"), &["CN=a.example"]);
    crate::tls_world::assert_serves(&ours, &mut before);

    // Where nothing is in force that could stay, the peers of a profile that is bad get no other, and all else is served.
    ours.configure("ciphertrunk.conf", "[tls]\nleave_alone = tls\n");
    ours.cli("ciphertrunk reload");
    assert!(!crate::tls_world::is_ours(&ours, "tls"));
    ours.configure("ciphertrunk.conf", &conf(&missing, "tls1.2"));
    ours.cli("ciphertrunk reload");
    assert!(crate::tls_world::is_ours(&ours, "tls"), "{}", ours.log());
    assert_eq!(who("-servername b.example"), "none");
    assert_has(&who("-servername a.example"), &["CN=a.example"]);
    ours.wait_for_log("reason profile-not-loaded");
    let transports = ours.cli("ciphertrunk show transports");
    assert_has(
        &transports,
        &[
            "Server name: b.example TLS: NOT loaded\n",
            "  WARNING: profile 'tenant-b': cert_file '/nowhere.pem': cannot be read",
        ],
    );
    assert_eq!(ours.count("Panics caught"), 0);
}

/// A peer that has another profile after a reload gets a new connection with its next request. What is under way on the old one comes to its
/// end there. Where nothing changes the connection stays.
#[test]
fn a_peer_that_is_moved_to_another_profile() {
    let world = World::new("profiles_moved");
    let own = world
        .authority()
        .issue("carrier", "carrier.example", CARRIER);
    let server = Server::new(&world.lab, &format!("{CARRIER}:5061"), &own, |_| {});
    let conf = |name: &str, more: &str| {
        format!("[{name}]\ntype = tls\nmatch = {CARRIER}\nverify_server = no\n{more}")
    };
    let setup = ours()
        .pjsip(&world.transport(""))
        .pjsip(&carrier("carrier", "tls", CARRIER))
        .file("ciphertrunk.conf", &conf("first", ""))
        .dialplan("[default]\nexten => wait,1,Wait(600)\n");
    let ours = Asterisk::start(&world.lab, &setup);
    let reload = |file: &str| {
        ours.configure("ciphertrunk.conf", file);
        ours.cli("ciphertrunk reload");
    };
    let profile = || {
        let text = ours.cli("ciphertrunk show connections");
        let line = text.lines().find(|line| line.contains(CARRIER));
        let profile = line.and_then(|line| line.split_once(" Profile: "));
        profile.and_then(|(_, rest)| Some(rest.split_once(' ')?.0.to_owned()))
    };
    ours.cli("channel originate PJSIP/carrier extension wait@default");
    let mut first = server.accept().expect("a handshake");
    let invite = first.receive().expect("a request");
    assert!(invite.starts_with("INVITE "), "{invite}");
    assert_eq!(profile().as_deref(), Some("first"));
    reload(&conf("second", ""));

    let sdp = format!(
        "v=0\r\no=- 1 1 IN IP4 {CARRIER}\r\ns=-\r\nc=IN IP4 {CARRIER}\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n"
    );
    let answer = accepted(&invite, &sdp);
    first.send(answer.as_bytes()).expect("it is up");
    let mut second = server.accept().expect("another handshake");
    let ack = second.receive().expect("a request");
    assert!(ack.starts_with("ACK "), "{ack}");
    ours.wait_until("the end of the first connection", |ours| {
        (ours.count("TLS connections") == 1).then_some(())
    });
    assert_eq!(profile().as_deref(), Some("second"));
    ours.wait_for_channels(1);

    // The same file again, and one that says the same otherwise.
    for file in [conf("second", ""), conf("second", "; a comment\n")] {
        reload(&file);
        ours.cli("pjsip qualify carrier");
        let request = second.receive().expect("a request");
        assert!(request.starts_with("OPTIONS "), "{request}");
        second.accept_request(&request).expect("it is up");
    }
    // The same profile that demands something else.
    reload(&conf("second", "min_version = tls1.3\n"));
    ours.cli("pjsip qualify carrier");
    let mut third = server.accept().expect("another handshake");
    let request = third.receive().expect("a request");
    third.accept_request(&request).expect("it is up");
    ours.cli("channel request hangup all");
    let bye = third.receive().expect("a request");
    assert!(bye.starts_with("BYE "), "{bye}");
    third.accept_request(&bye).expect("it is up");
    assert_eq!(ours.count("Panics caught"), 0);
}

/// The answer that takes a call.
fn accepted(invite: &str, sdp: &str) -> String {
    let body = format!(
        "Contact: <sip:carrier@{CARRIER}:5061;transport=tls>\r\nContent-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{sdp}",
        sdp.len()
    );
    response(invite, "200 OK").replace("Content-Length: 0\r\n\r\n", &body)
}
