//! TLS that fails where Asterisk and the first version were silent: each is one line with a code, and is recorded. A server made of
//! OpenSSL, or a stock Asterisk, is the other side.

use std::os::unix::fs::PermissionsExt;

use host_harness::asterisk::{Asterisk, Setup};
use host_harness::certificates::Authority;
use host_harness::pjsip;
use host_harness::sip::Server;
use openssl::ssl::{SslVerifyMode, SslVersion};
use openssl::x509::X509;

use crate::tls_world::{PEER, World, carrier, is_ours};
use crate::world::CARRIER;

/// The one line of ours with this in it, when it comes.
fn line(asterisk: &Asterisk<'_>, key: &str) -> String {
    let line = asterisk.wait_until(&format!("{key:?}"), |asterisk| {
        asterisk.log_lines(key).pop()
    });
    let all = asterisk.all_log_lines(key);
    assert_eq!(all.len(), 1, "{all:?}");
    line
}

fn assert_has(line: &str, parts: &[&str]) {
    for part in parts {
        assert!(line.contains(part), "{part:?} is not in {line}");
    }
}

/// What the record has with this code.
fn recorded(asterisk: &Asterisk<'_>, code: &str) -> Vec<String> {
    let text = asterisk.cli("ciphertrunk show refusals all");
    let lines = text
        .lines()
        .filter(|line| line.contains(&format!(" {code} ")));
    lines.map(str::to_owned).collect()
}

/// A server that ends the connection when its handshake is done, as one of TLS 1.3 does that refuses our certificate without a
/// word. Its twin answers first, and then closes: nothing is said of that one.
#[test]
fn a_server_that_closes_right_after_the_handshake() {
    let world = World::new("silent_close");
    let server = |port: u16| {
        Server::new(
            &world.lab,
            &format!("{CARRIER}:{port}"),
            &world.certificate,
            |context| {
                context
                    .set_min_proto_version(Some(SslVersion::TLS1_3))
                    .expect("a version");
            },
        )
    };
    let (closing, sound) = (server(6000), server(6001));
    let setup = world
        .setup("")
        .pjsip(&carrier("closing", "tls", &format!("{CARRIER}:6000")))
        .pjsip(&carrier("sound", "tls", &format!("{CARRIER}:6001")));
    let ours = Asterisk::start(&world.lab, &setup);

    ours.cli("pjsip qualify sound");
    let mut connection = sound.accept().expect("a handshake");
    let request = connection.receive().expect("a request");
    connection.accept_request(&request).expect("it is up");
    ours.wait_until("the answer", |ours| {
        (ours.count("SIP messages in") > 0).then_some(())
    });
    drop(connection);
    ours.wait_until("its end", |ours| {
        (ours.count("TLS connections") == 0).then_some(())
    });

    ours.cli("pjsip qualify closing");
    drop(closing.accept().expect("a handshake"));
    let line = line(&ours, "closed-unheard");
    assert_has(
        &line,
        &[
            "WARNING",
            "transport 'tls': TLS to 127.0.0.20 (127.0.0.20:6000) failed right after the handshake: ",
            "ended the connection before it sent anything",
            "compare cert_file and priv_key_file here",
            "The line of Asterisk's that says OK of this connection came before",
        ],
    );
    let recorded = recorded(&ours, "closed-unheard");
    assert_eq!(recorded.len(), 1, "{recorded:?}");
    assert_has(&recorded[0], &["127.0.0.20:6000", " Endpoint: tls "]);
    let all = ours.cli("ciphertrunk show refusals");
    assert!(!all.contains("127.0.0.20:6001"), "{all}");
}

/// A server that demands a certificate of a CA that ours is not from: with TLS 1.3 our handshake is done before it says so.
#[test]
fn a_server_that_refuses_our_certificate() {
    let world = World::new("silent_refused");
    let lab = &world.lab;
    let stranger = Authority::new(lab, "stranger").file();
    let demanding = |port: u16, authority: &str| {
        let authority = X509::from_pem(&lab.read(authority)).expect("a certificate");
        Server::new(
            lab,
            &format!("{CARRIER}:{port}"),
            &world.certificate,
            move |context| {
                context
                    .set_min_proto_version(Some(SslVersion::TLS1_3))
                    .expect("a version");
                context
                    .cert_store_mut()
                    .add_cert(authority)
                    .expect("a store");
                context.set_verify(SslVerifyMode::PEER | SslVerifyMode::FAIL_IF_NO_PEER_CERT);
            },
        )
    };
    let (refusing, sound) = (
        demanding(6000, &stranger),
        demanding(6001, &world.authority),
    );
    let _names = host_harness::names::Names::serve(lab, &[("ours.example", CARRIER)]);
    let setup = world
        .setup("verify_server = yes\n")
        .pjsip(&carrier("refusing", "tls", "ours.example:6000"))
        .pjsip(&carrier("sound", "tls", "ours.example:6001"));
    let ours = Asterisk::start(lab, &setup);
    ours.cli("pjsip qualify sound");
    let mut connection = sound.accept().expect("a handshake");
    let request = connection.receive().expect("a request");
    connection.accept_request(&request).expect("it is up");
    ours.cli("pjsip qualify refusing");
    assert!(refusing.accept().is_err(), "it was accepted");
    let line = line(&ours, "TLS to ours.example (127.0.0.20:6000) failed");
    assert_has(
        &line,
        &[
            "alert 48 unknown_ca: it does not trust our certificate",
            "reason peer-unknown-ca",
            "The line of Asterisk's that says OK of this connection came before",
        ],
    );
    assert_eq!(recorded(&ours, "peer-unknown-ca").len(), 1);
    // The line that it names is there.
    assert!(!ours.all_log_lines("to remote 'ours.example' - ").is_empty());
    assert_eq!(
        ours.all_log_lines("127.0.0.20:6001) failed"),
        [] as [&str; 0]
    );
}

/// A stock Asterisk's port for SIP over TCP; its twin is its port for TLS.
#[test]
fn a_port_that_is_no_tls_port() {
    let world = World::new("silent_port");
    let lab = &world.lab;
    let certificate = world
        .authority()
        .issue("carrier", "carrier.example", CARRIER);
    let other = Setup::stock("carrier", CARRIER)
        .pjsip("[tcp]\ntype = transport\nprotocol = tcp\nbind = {address}:5060\n\n")
        .pjsip(&pjsip::tls(&certificate, &world.authority))
        .pjsip(PEER);
    let _other = Asterisk::start(lab, &other);
    let setup = world
        .setup("")
        .file("ciphertrunk.conf", "[tls]\nhandshake_timeout = 2\n")
        .pjsip(&carrier("wrong", "tls", &format!("{CARRIER}:5060")))
        .pjsip(&carrier("right", "tls", &format!("{CARRIER}:5061")));
    let ours = Asterisk::start(lab, &setup);
    ours.cli("pjsip qualify right");
    ours.wait_until("the answer", |ours| {
        (ours.count("SIP messages in") > 0).then_some(())
    });
    ours.cli("pjsip qualify wrong");
    let line = line(&ours, "TLS to 127.0.0.20 (127.0.0.20:5060) failed");
    assert_has(
        &line,
        &[
            "WARNING",
            "at the first TLS message",
            "is this its TLS port?",
        ],
    );
    assert_eq!(ours.all_log_lines("is this its TLS port?").len(), 1);
    let text = ours.cli("ciphertrunk show refusals");
    assert!(text.contains("127.0.0.20:5060"), "{text}");
    assert!(!text.contains("127.0.0.20:5061"), "{text}");
}

/// A server that takes TLS and the request, and does not answer.
#[test]
fn a_server_that_never_answers_sip() {
    let world = World::new("silent_mute");
    let lab = &world.lab;
    let mute = Server::new(lab, &format!("{CARRIER}:6000"), &world.certificate, |_| {});
    let sound = Server::new(lab, &format!("{CARRIER}:6001"), &world.certificate, |_| {});
    let setup = world
        .setup("")
        .pjsip(&carrier("mute", "tls", &format!("{CARRIER}:6000")))
        .pjsip(&carrier("sound", "tls", &format!("{CARRIER}:6001")));
    let ours = Asterisk::start(lab, &setup);
    ours.cli("pjsip qualify sound");
    let mut connection = sound.accept().expect("a handshake");
    let request = connection.receive().expect("a request");
    connection.accept_request(&request).expect("it is up");
    ours.cli("pjsip qualify mute");
    let mut silent = mute.accept().expect("a handshake");
    assert!(silent.receive().expect("a request").starts_with("OPTIONS "));
    // As long as PJSIP waits for an answer.
    let line = line(&ours, "sip-unanswered");
    assert_has(
        &line,
        &[
            "WARNING",
            "127.0.0.20 (127.0.0.20:6000): it took the TLS connection and has not answered any SIP message on it",
        ],
    );
    let recorded = recorded(&ours, "sip-unanswered");
    assert_eq!(recorded.len(), 1, "{recorded:?}");
}

/// Which certificate it is, with names, issuer and dates.
#[test]
fn what_was_in_a_certificate() {
    let world = World::new("silent_certificate");
    let expired = world.authority().make(
        "expired",
        "/CN=carrier",
        &[
            "-not_before",
            "20200101000000Z",
            "-not_after",
            "20210101000000Z",
            "-addext",
            "subjectAltName=DNS:old.example,DNS:older.example",
        ],
    );
    let _names = host_harness::names::Names::serve(&world.lab, &[("old.example", CARRIER)]);
    let server = Server::new(&world.lab, &format!("{CARRIER}:6000"), &expired, |_| {});
    let setup =
        world
            .setup("verify_server = yes\n")
            .pjsip(&carrier("old", "tls", "old.example:6000"));
    let ours = Asterisk::start(&world.lab, &setup);
    ours.cli("pjsip qualify old");
    assert!(server.accept().is_err());
    let line = line(&ours, "TLS to old.example ");
    assert_has(
        &line,
        &[
            "has expired (its own certificate, for old.example, older.example, issued by /CN=",
            "valid from Jan  1 00:00:00 2020 GMT to Jan  1 00:00:00 2021 GMT); it must be renewed",
            "reason cert-expired",
        ],
    );
}

/// What is not ours is in `show transports`, with the reason, and in the NOTICE of what is in force.
#[test]
fn transports_that_are_not_ours() {
    let world = World::new("silent_transports");
    let left = world
        .transport("")
        .replace("[tls]", "[left]")
        .replace("5061", "5062");
    let setup = world
        .setup("")
        .pjsip(&left)
        .file("ciphertrunk.conf", "[tls]\nleave_alone = left\n");
    let asterisk = Asterisk::start(&world.lab, &setup);
    let text = asterisk.cli("ciphertrunk show transports");
    assert!(is_ours(&asterisk, "tls"), "{text}");
    assert!(
        text.contains("Transport: left NOT ours: [tls] leave_alone in ciphertrunk.conf names it\n"),
        "{text}"
    );
    let in_force = || asterisk.all_log_lines(" is in force: ");
    let said = in_force();
    assert_eq!(said.len(), 1, "{said:?}");
    assert_has(&said[0], &["NOTICE", "version ", "the SRTP engine is ours"]);
    // Nothing changed: nothing is said.
    let reload = || asterisk.cli("module reload res_ciphertrunk.so");
    let answer = reload();
    assert!(answer.contains("reloaded successfully"), "{answer}");
    assert_eq!(in_force().len(), 1);
    // A good change, and a bad one.
    asterisk.configure("ciphertrunk.conf", "");
    assert!(reload().contains("reloaded successfully"));
    let said = in_force();
    assert_eq!(said.len(), 2, "{said:?}");
    assert_has(
        &said[1],
        &["after the reload is in force: ", "left (127.0.0.10:5062)"],
    );
    assert!(is_ours(&asterisk, "left"));
    asterisk.configure("ciphertrunk.conf", "[tls]\nkey_log = /nowhere/keys\n");
    let answer = reload();
    assert!(!answer.contains("reloaded successfully"), "{answer}");
    assert!(answer.contains("failure"), "{answer}");
    asterisk.configure("ciphertrunk.conf", "[nonsense]\nx = y\n");
    let answer = asterisk.cli("ciphertrunk reload");
    assert!(answer.contains("Not everything"), "{answer}");
    let config = asterisk.cli("ciphertrunk show config");
    assert!(
        config.contains("WARNING: ciphertrunk.conf was read again"),
        "{config}"
    );
    // A certificate that is none any more: the old one stays, which is shown.
    asterisk.configure("ciphertrunk.conf", "");
    world
        .lab
        .must_run("cp", &["/dev/null", &world.certificate.certificate]);
    assert!(!reload().contains("reloaded successfully"));
    let text = asterisk.cli("ciphertrunk show transports");
    assert!(
        text.contains("; the old certificate stays, and so do all TLS options\n"),
        "{text}"
    );
    // Behind a start there is no old one: pjproject, which keeps its own till then, is not taken over from.
    asterisk.cli("module unload res_ciphertrunk.so");
    asterisk.cli("module load res_ciphertrunk.so");
    assert!(!is_ours(&asterisk, "tls"));
    let recorded = recorded(&asterisk, "transport-not-adopted");
    let errors = asterisk.all_log_lines("reason transport-not-adopted");
    assert_eq!((recorded.len(), errors.len()), (2, 2), "{recorded:?}");
    for name in ["tls", "left"] {
        let is_it = |line: &String| line.contains(&format!(" Endpoint: {name} "));
        assert!(recorded.iter().any(is_it), "{recorded:?}");
        let start = format!("transport '{name}': ");
        let is_it = |line: &String| line.contains("ERROR") && line.contains(&start);
        assert!(errors.iter().any(is_it), "{errors:?}");
    }
}

/// `key_log` reaches connections that are made after it: those that are up are counted in a line.
#[test]
fn a_key_log_says_what_it_does_not_reach() {
    let world = World::new("silent_key_log");
    let asterisk = Asterisk::start(&world.lab, &world.setup(""));
    let mut connection = world.connect();
    crate::tls_world::assert_serves(&asterisk, &mut connection);
    let keys = asterisk.path("keys.log");
    let inside = format!("{}/ours/keys.log", host_harness::lab::FOLDER);
    asterisk.configure("ciphertrunk.conf", &format!("[tls]\nkey_log = {inside}\n"));
    asterisk.cli("module reload res_ciphertrunk.so");
    let said = line(&asterisk, "are up already, and their keys are not in");
    assert_has(
        &said,
        &["1 TLS connections are up already", "ciphertrunk close"],
    );
    let text = std::fs::read_to_string(&keys).expect("it was made");
    assert_eq!(text, "");
    // Made anew, it is there.
    let answer = asterisk.cli("ciphertrunk close peer 127.0.0.1");
    assert!(
        answer.contains("1 connections are being closed"),
        "{answer}"
    );
    assert!(connection.ends(host_harness::wait::SOON));
    let mut connection = world.connect();
    crate::tls_world::assert_serves(&asterisk, &mut connection);
    let text = std::fs::read_to_string(&keys).expect("it was made");
    assert!(text.contains("TRAFFIC_SECRET"), "{text}");
    // A reload that changes nothing says it no more.
    asterisk.cli("module reload res_ciphertrunk.so");
    assert_eq!(asterisk.all_log_lines("are up already").len(), 1);
}

/// A `key_log` that is not Asterisk's own alone is not written to, and an ERROR says why. Its twins are one that is missing and one of
/// its own, which is appended to.
#[test]
fn a_key_log_is_a_file_of_its_own() {
    const BEFORE: &str = "# of before\n";
    let world = World::new("silent_key_file");
    let asterisk = Asterisk::start(&world.lab, &world.setup(""));
    let path = |name: &str| asterisk.path(&format!("log/{name}"));
    let inside = |name: &str| format!("{}/ours/log/{name}", host_harness::lab::FOLDER);
    let write = |name: &str, mode: u32| {
        std::fs::write(path(name), BEFORE).expect("a file");
        let mode = std::fs::Permissions::from_mode(mode);
        std::fs::set_permissions(path(name), mode).expect("a mode");
    };
    for name in ["own", "target", "foreign", "linked"] {
        write(name, 0o600);
    }
    write("readable", 0o640);
    std::os::unix::fs::symlink(inside("target"), path("link")).expect("a link");
    std::os::unix::fs::symlink(inside("nothing"), path("dangling")).expect("a link");
    std::fs::hard_link(path("linked"), path("second")).expect("a link");
    std::os::unix::fs::chown(path("foreign"), Some(4242), None).expect("another owner");
    world
        .lab
        .must_run("mkfifo", &["-m", "600", &inside("pipe")]);
    for (name, why) in [
        ("link", "is a symbolic link"),
        ("dangling", "is a symbolic link"),
        ("second", "has another name too"),
        ("foreign", "belongs to uid 4242"),
        ("readable", "may be read or written by others (mode 0640)"),
        ("pipe", "is no plain file"),
        ("", "cannot be written"),
        ("missing", ""),
        ("own", ""),
    ] {
        let conf = format!("[tls]\nkey_log = {}\n", inside(name));
        asterisk.configure("ciphertrunk.conf", &conf);
        let answer = asterisk.cli("module reload res_ciphertrunk.so");
        let is_good = why.is_empty();
        assert_eq!(answer.contains("reloaded successfully"), is_good, "{name}");
        let errors = asterisk.all_log_lines(&format!("[tls] key_log: {} ", inside(name)));
        assert_eq!(errors.len(), usize::from(!is_good), "{name}: {errors:?}");
        for error in errors {
            assert_has(
                &error,
                &["ERROR", why, "No keys of TLS connections are written"],
            );
        }
        let mut connection = world.connect();
        crate::tls_world::assert_serves(&asterisk, &mut connection);
    }
    for name in ["target", "linked", "foreign", "readable"] {
        let text = std::fs::read_to_string(path(name)).expect("a file");
        assert_eq!(text, BEFORE, "{name}");
    }
    assert!(!path("nothing").exists());
    for (name, begin) in [("missing", ""), ("own", BEFORE)] {
        let text = std::fs::read_to_string(path(name)).expect("a file");
        assert!(
            text.starts_with(begin) && text.contains("TRAFFIC_SECRET"),
            "{text}"
        );
        let mode = std::fs::metadata(path(name)).expect("a file").permissions();
        assert_eq!(mode.mode() & 0o7777, 0o600, "{name}");
    }
}
