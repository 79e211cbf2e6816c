//! `module reload res_pjsip.so`: what changes takes effect, what does not stays, and who is connected stays connected.

use host_harness::asterisk::Asterisk;
use host_harness::pjsip;
use host_harness::setup::Setup;
use host_harness::sip::{self, Client, Connection, Server};

use crate::tls_world::{
    PEER, World, address, assert_serves, carrier, is_ours, listening, wait_until_idle,
};
use crate::world::{CARRIER, OURS};

/// Reloads PJSIP and waits until it is done.
fn reload(asterisk: &Asterisk<'_>) {
    let answer = asterisk.cli("module reload res_pjsip.so");
    assert!(answer.contains("reloaded successfully"), "{answer}");
}

/// Changes `pjsip.conf`.
fn configure(asterisk: &Asterisk<'_>, transport: &str) {
    asterisk.configure(
        "pjsip.conf",
        &format!("{transport}\n{PEER}").replace("{address}", OURS),
    );
}

#[test]
fn nothing_changed() {
    let world = World::new("reload_nothing");
    let ours = Asterisk::start(&world.lab, &world.setup(""));
    let mut old = world.connect();
    let before = (listening(&ours, "tls"), ours.count("TLS factories"));
    for _ in 0..3 {
        reload(&ours);
        assert_eq!(
            (listening(&ours, "tls"), ours.count("TLS factories")),
            before
        );
        assert_serves(&ours, &mut old);
        assert_serves(&ours, &mut world.connect());
    }
}

#[test]
fn an_external_address() {
    let world = World::new("reload_external");
    let transport = |number: u32| {
        world.transport(&format!(
            "external_signaling_address = 192.0.2.{number}\nexternal_signaling_port = 5099\nlocal_net = 10.0.0.0/8\n"
        )) + &carrier("carrier", "tls", &format!("{CARRIER}:5061"))
    };
    let server = Server::new(
        &world.lab,
        &format!("{CARRIER}:5061"),
        &world.certificate,
        |_| {},
    );
    // Asterisk makes a new state at each reload of such a transport.
    let ours = Asterisk::start(
        &world.lab,
        &crate::tls_world::ours().pjsip(&transport(1)).pjsip(PEER),
    );
    let mut old = world.connect();
    let mut up: Option<Connection> = None;
    for number in 2..5 {
        configure(&ours, &transport(number));
        reload(&ours);
        assert!(is_ours(&ours, "tls"));
        assert_serves(&ours, &mut old);
        assert_serves(&ours, &mut world.connect());
        ours.cli("pjsip qualify carrier");
        // Over the connection that is up, if there is one: the transport is the same as before the reload.
        let carrier = up.get_or_insert_with(|| server.accept().expect("we connect"));
        let request = carrier.receive().expect("a request");
        let contact = sip::header(&request, "Contact").unwrap_or_else(|| panic!("{request}"));
        assert!(
            contact.contains(&format!("192.0.2.{number}:5099")),
            "{contact}"
        );
        let via = sip::header(&request, "Via").unwrap_or_else(|| panic!("{request}"));
        assert!(via.contains(&format!("192.0.2.{number}:5099")), "{via}");
        carrier.accept_request(&request).expect("it is up");
    }
    assert_eq!(ours.count("TLS factories"), 1);
    assert_eq!(ours.count("TLS handshakes out"), 1);
}

#[test]
fn a_touched_certificate_without_allow_reload() {
    let world = World::new("reload_certificate");
    let ours = Asterisk::start(&world.lab, &world.setup(""));
    let mut old = world.connect();
    let first = old.server_sha256();
    assert!(listening(&ours, "tls").expect("ours").contains(&first));
    let second = world.authority().issue("second", "ours.example", OURS);
    world.replace_certificate(&second);
    reload(&ours);
    // Those that are up have the old one and stay; the next get the new one.
    assert_serves(&ours, &mut old);
    let mut new = world.connect();
    assert_ne!(new.server_sha256(), first);
    assert!(
        listening(&ours, "tls")
            .expect("ours")
            .contains(&new.server_sha256())
    );
    assert_serves(&ours, &mut new);
    // Asterisk's own restart, of what is no listener of pjproject's, was never called.
    assert!(
        !ours.log().contains("Failed to restart TLS transport"),
        "{}",
        ours.log()
    );

    // One that is not a certificate changes nothing, and is said.
    let good = new.server_sha256();
    world.lab.must_run(
        "sh",
        &[
            "-c",
            &format!("echo rubbish > {}", world.certificate.certificate),
        ],
    );
    reload(&ours);
    ours.wait_for_log("the old certificate stays");
    let line = ours
        .all_log_lines("the old certificate stays")
        .pop()
        .expect("a line");
    assert!(
        line.contains("'tls'") && line.contains("cert_file") && line.contains("ours.pem"),
        "{line}"
    );
    let mut third = world.connect();
    assert_eq!(third.server_sha256(), good);
    assert_serves(&ours, &mut third);
}

/// Another file in `pjsip.conf`, which Asterisk says it cannot load: it is in force, and a NOTICE says so beside that. Stock keeps the old
/// one.
#[test]
fn another_certificate_file_without_allow_reload() {
    let world = World::new("reload_file");
    let second = world.authority().issue("second", "ours.example", OURS);
    let other = pjsip::tls(&second, &world.authority);
    for is_stock in [false, true] {
        let setup = if is_stock {
            Setup::stock("stock", OURS)
                .pjsip(&world.transport(""))
                .pjsip(PEER)
        } else {
            world.setup("")
        };
        let asterisk = Asterisk::start(&world.lab, &setup);
        let mut old = world.connect();
        let first = old.server_sha256();
        configure(&asterisk, &other);
        reload(&asterisk);
        asterisk
            .wait_for_log("Unable to restart TLS transport 'tls' as certificate or private key");
        let mut new = world.connect();
        assert_eq!(new.server_sha256() == first, is_stock, "stock: {is_stock}");
        assert_eq!(new.options().expect("an answer"), 200);
        if is_stock {
            continue;
        }
        assert_serves(&asterisk, &mut old);
        assert_serves(&asterisk, &mut new);
        let told =
            "cert_file, priv_key_file changed in pjsip.conf and is in force for new connections";
        let lines = asterisk.all_log_lines(told);
        assert!(
            lines.len() == 1 && lines[0].contains("NOTICE") && lines[0].contains("'tls'"),
            "{lines:?}"
        );
        assert!(
            listening(&asterisk, "tls")
                .expect("ours")
                .contains(&new.server_sha256())
        );
        // Said once: nothing has changed since.
        reload(&asterisk);
        assert_eq!(asterisk.all_log_lines(told).len(), 1);
        // A file that is no certificate changes nothing, and is said; the next good one is in force again.
        let rubbish = other.replace(&second.certificate, "/srv/tls/rubbish.pem");
        world.lab.write("tls/rubbish.pem", "rubbish");
        configure(&asterisk, &rubbish);
        reload(&asterisk);
        asterisk.wait_for_log("the old certificate stays");
        assert_eq!(world.connect().server_sha256(), new.server_sha256());
        assert_eq!(asterisk.all_log_lines("is in force for new").len(), 1);
        configure(&asterisk, &world.transport(""));
        reload(&asterisk);
        assert_eq!(world.connect().server_sha256(), first);
        assert_eq!(asterisk.all_log_lines("is in force for new").len(), 2);
    }
}

#[test]
fn bind_and_certificate_with_allow_reload() {
    let world = World::new("reload_bind");
    let ours = Asterisk::start(&world.lab, &world.setup("allow_reload = yes\n"));
    let mut old = world.connect();
    let second = world.authority().issue("second", "ours.example", OURS);
    let mut changed = pjsip::tls(&second, &world.authority) + "allow_reload = yes\n";
    changed = changed.replace("5061", "5081");
    configure(&ours, &changed);
    reload(&ours);
    assert!(
        listening(&ours, "tls")
            .expect("ours")
            .contains(&format!("Address: {OURS}:5081 "))
    );
    assert!(
        world.lab.tcp(&address()).is_err(),
        "the old address still answers"
    );
    let mut new = Client::new()
        .connect(&world.lab, &format!("{OURS}:5081"))
        .expect("the new one answers");
    assert_ne!(new.server_sha256(), old.server_sha256());
    assert_serves(&ours, &mut new);
    assert_serves(&ours, &mut old);
    // Back and forth: retired factories are used again.
    for _ in 0..3 {
        configure(&ours, &world.transport("allow_reload = yes\n"));
        reload(&ours);
        assert_serves(&ours, &mut world.connect());
        configure(&ours, &changed);
        reload(&ours);
    }
    drop((old, new));
    wait_until_idle(&ours);
    configure(&ours, &world.transport("allow_reload = yes\n"));
    reload(&ours);
    assert!(
        ours.count("TLS factories") <= 4,
        "{}",
        ours.cli("ciphertrunk show status")
    );
}

#[test]
fn an_address_that_is_taken() {
    let world = World::new("reload_taken");
    let ours = Asterisk::start(&world.lab, &world.setup("allow_reload = yes\n"));
    let mut old = world.connect();
    let taken = world.lab.spawn(
        "taken",
        "openssl",
        &[
            "s_server",
            "-accept",
            &format!("{OURS}:5081"),
            "-cert",
            &world.certificate.certificate,
            "-key",
            &world.certificate.key,
        ],
    );
    taken.wait_for("ACCEPT", host_harness::wait::SOON);
    configure(
        &ours,
        &world
            .transport("allow_reload = yes\n")
            .replace("5061", "5081"),
    );
    reload(&ours);
    assert!(!is_ours(&ours, "tls") || !listening(&ours, "tls").expect("ours").contains("5081"));
    assert_serves(&ours, &mut old);
    drop(taken);
    // The next reload has it.
    configure(&ours, &world.transport("allow_reload = yes\n"));
    reload(&ours);
    assert_serves(&ours, &mut world.connect());
    assert_serves(&ours, &mut old);
}

#[test]
fn a_transport_that_is_no_longer_configured() {
    let world = World::new("reload_removed");
    let setup = world
        .setup("")
        .pjsip("[udp]\ntype = transport\nprotocol = udp\nbind = {address}\n");
    let ours = Asterisk::start(&world.lab, &setup);
    configure(
        &ours,
        "[udp]\ntype = transport\nprotocol = udp\nbind = {address}\n",
    );
    reload(&ours);
    // As stock, it goes on until Asterisk is restarted; an unload gives it back like the others.
    assert_serves(&ours, &mut world.connect());
    wait_until_idle(&ours);
    assert!(
        ours.cli("module unload res_ciphertrunk.so")
            .contains("Unloaded")
    );
    drop(world.connect());
    // It comes back to what Asterisk kept.
    configure(&ours, &world.transport("allow_reload = yes\n"));
    reload(&ours);
    ours.cli("module load res_ciphertrunk.so");
    assert_serves(&ours, &mut world.connect());
    assert!(ours.stop().success());
}

/// Nobody orders a reload: the files change, and what is good is in force for new connections.
#[test]
fn files_that_change_by_themselves() {
    let world = World::new("reload_files");
    // Another transport, by which is seen that the watch has looked.
    let beside = world.authority().issue("beside", "ours.example", OURS);
    let second = pjsip::tls(&beside, &world.authority).replace("[tls]", "[beside]");
    let setup = world.setup("").pjsip(&second.replace("5061", "5062"));
    let ours = Asterisk::start(&world.lab, &setup);
    let mut old = world.connect();
    let first = old.server_sha256();
    let serves = |sha256: &str| {
        ours.wait_until(&format!("the certificate {sha256}"), |_| {
            (world.connect().server_sha256() == sha256).then_some(())
        });
    };
    let sha256 = |certificate: &str| {
        let pem = world.lab.read(certificate);
        let certificate = openssl::x509::X509::from_pem(&pem).expect("a certificate");
        let digest = certificate.digest(openssl::hash::MessageDigest::sha256());
        let hex = |byte: &u8| format!("{byte:02x}");
        digest.expect("SHA-256").iter().map(hex).collect::<String>()
    };
    let certificates = ["second", "third", "fourth"]
        .map(|name| world.authority().issue(name, "ours.example", OURS));
    let copy = |from: &str, to: &str| {
        world.lab.must_run("cp", &[from, to]);
    };
    // In place, key and certificate.
    world.replace_certificate(&certificates[0]);
    serves(&sha256(&certificates[0].certificate));
    ours.wait_for_log("its files have changed and are in force for new connections");
    // The key comes first, and much later its certificate.
    copy(&certificates[1].key, &world.certificate.key);
    ours.wait_for_log("the private key does not belong to the certificate in cert_file");
    let mut kept = world.connect();
    assert_eq!(kept.server_sha256(), sha256(&certificates[0].certificate));
    let shown = ours.cli("ciphertrunk show transports");
    assert!(
        shown.contains("  WARNING: ") && shown.contains("Files watched: yes"),
        "{shown}"
    );
    copy(&certificates[1].certificate, &world.certificate.certificate);
    serves(&sha256(&certificates[1].certificate));
    let shown = ours.cli("ciphertrunk show transports");
    assert!(!shown.contains("WARNING"), "{shown}");
    // Half a file, which is told once, also where its time changes later; a rename mends it.
    let file = &world.certificate.certificate;
    let half = format!("head -c 300 {} > {file}", certificates[2].certificate);
    world.lab.must_run("sh", &["-c", &half]);
    ours.wait_for_log("cannot be decoded");
    world.lab.must_run("touch", &[file]);
    copy(&certificates[0].key, &beside.key);
    copy(&certificates[0].certificate, &beside.certificate);
    ours.wait_for_log("transport 'beside': its files have changed");
    let told = ours.all_log_lines(
        "transport 'tls': cert_file '/srv/tls/ours.pem': a certificate in it cannot be decoded",
    );
    assert_eq!(told.len(), 1, "{}", ours.log());
    let kept_one = world.connect().server_sha256();
    assert_eq!(kept_one, sha256(&certificates[1].certificate));
    copy(&certificates[2].key, &world.certificate.key);
    let renamed = format!(
        "cp {} {file}.new && mv {file}.new {file}",
        certificates[2].certificate
    );
    world.lab.must_run("sh", &["-c", &renamed]);
    serves(&sha256(&certificates[2].certificate));
    // Who was there before is served, under the certificate of then.
    assert_eq!(old.server_sha256(), first);
    assert_serves(&ours, &mut old);
    assert_serves(&ours, &mut kept);

    // It can be switched off.
    ours.configure("ciphertrunk.conf", "[tls]\nwatch_files = no\n");
    ours.cli("module reload res_ciphertrunk.so");
    let shown = ours.cli("ciphertrunk show transports");
    assert!(
        shown.contains("Files watched: no ([tls] watch_files)"),
        "{shown}"
    );
    world.replace_certificate(&certificates[0]);
    assert_eq!(
        world.connect().server_sha256(),
        sha256(&certificates[2].certificate)
    );
    reload(&ours);
    assert_eq!(
        world.connect().server_sha256(),
        sha256(&certificates[0].certificate)
    );
}
