//! The manager interface and the security events: each action says what the console says, what is refused is an event, and a peer is
//! reported (and found by fail2ban) for what it did, and for nothing else.

use std::io::{Read as _, Write as _};
use std::net::Shutdown;

use host_harness::ami::{self, Manager, Packet};
use host_harness::asterisk::Asterisk;
use host_harness::certificates::Authority;
use host_harness::host;
use host_harness::lab;
use host_harness::pjsip::UDP;
use host_harness::sip::{Client, Connection, header, status};
use openssl::ssl::{SslContextBuilder, SslMethod, SslVerifyMode};

use crate::tls_world::{World, address, ours, wait_until_idle};
use crate::world::{OURS, is_documented};

/// The transport that demands certificates.
const DEMANDING: &str = "127.0.0.10:5062";
/// Who calls in clear and must not.
const CALLER: &str = "127.0.0.40";
/// A `Call-ID` that would end its field, and name somebody else.
const EVIL: &str = "a\",RemoteAddress=\"IPV4/TLS/192.0.2.9/1\",Response=\"cert-untrusted\"";

/// One that would make an event of PJSIP's, which does not mark quotes, one of ours.
const FORGED: &str =
    "a\",Service=\"Ciphertrunk\",RemoteAddress=\"IPV4/TLS/192.0.2.9/1\",RequestType=\"plain-http";
/// Who belongs to no endpoint.
const NOBODY: &str = "127.0.0.50";

const CLEAR: &str = "m=audio 40000 RTP/AVP 0\r\n";
const SDES: &str = "m=audio 40000 RTP/SAVP 0\r\n\
     a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj\r\n";

/// The lists: the action, the event of each item, the console's command, and the console's line made of the item's headers.
const LISTS: &[(&str, &str, &str, &str)] = &[
    (
        "CiphertrunkConnections",
        "CiphertrunkConnectionEntry",
        "ciphertrunk show connections all",
        "Connection: {Connection} Transport: {Transport} Profile: {Profile} Direction: {Direction} Peer: {RemoteAddress} TLS: {TLSVersion} \
         Cipher: {Cipher} Group: {Group} Identity: {Identity} Verified: {Verified} Since: {Since} Messages in: {MessagesIn} \
         Messages out: {MessagesOut} Queue: {Queue}",
    ),
    (
        "CiphertrunkCalls",
        "CiphertrunkCallEntry",
        "ciphertrunk show calls all",
        "Channel: {Channel} Endpoint: {Endpoint} Direction: {Direction} Encrypted: {Word} Signaling: {Transport} {TlsVersion} \
         Since: {Since} Peer: {Peer} Call-ID: {CallID}",
    ),
    (
        "CiphertrunkTransports",
        "CiphertrunkTransportEntry",
        "ciphertrunk show transports",
        "Transport: {Transport} Address: {Address} Certificate: {Certificate}",
    ),
    (
        "CiphertrunkCertificates",
        "CiphertrunkCertificateEntry",
        "ciphertrunk show certificates all",
        " Names: {Names} Issuer: {Issuer} Valid: {NotBefore} to {NotAfter} ({DaysLeft} days left)",
    ),
    (
        "CiphertrunkRefusals",
        "CiphertrunkRefusalEntry",
        "ciphertrunk show refusals all",
        "{Time} {Code} Peer: {Peer} Endpoint: {Endpoint} Call-ID: {CallID} Reason: {Sentence}",
    ),
    (
        "CiphertrunkReasons",
        "CiphertrunkReasonEntry",
        "ciphertrunk show reasons",
        "{Code}: {Count} (to change: {Side}) {Sentence}",
    ),
];

/// Fields of `CiphertrunkStatus`, each with its line of the console's.
const STATUS: &[(&str, &str)] = &[
    ("Version", "Version"),
    ("BuiltForAsterisk", "Built for Asterisk"),
    ("Kernel", "Kernel"),
    ("SRTPEngine", "SRTP engine"),
    ("Sessions", "Sessions"),
    ("TLSConnections", "TLS connections"),
    ("TLSHandshakesIn", "TLS handshakes in"),
    ("SIPMessagesIn", "SIP messages in"),
    ("SIPMessagesOut", "SIP messages out"),
    ("TLSTransports", "TLS transports"),
    ("LogLinesSuppressed", "Log lines suppressed"),
    ("PanicsCaught", "Panics caught"),
];

/// The template with the item's headers in it; what has no value is `-` on the console.
fn line(template: &str, item: &Packet) -> String {
    let mut text = String::new();
    let mut rest = template;
    while let Some((before, behind)) = rest.split_once('{') {
        let (name, behind) = behind.split_once('}').expect("a name ends");
        text += before;
        text += item.get(name).unwrap_or("-");
        rest = behind;
    }
    text + rest
}

fn invite(via: &str, local: &str, call_id: &str, media: &str) -> String {
    let body =
        format!("v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n{media}");
    format!(
        "INVITE sip:say@server SIP/2.0\r\nVia: SIP/2.0/{via} {local};rport;branch=z9hG4bK{}\r\nMax-Forwards: 70\r\n\
         From: <sip:caller@{local}>;tag=1\r\nTo: <sip:say@server>\r\nCall-ID: {call_id}\r\nCSeq: 1 INVITE\r\n\
         Contact: <sip:caller@{local};transport={via}>\r\nContent-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{body}",
        call_id.len(),
        body.len()
    )
}

/// The ACK for the answer to an INVITE; of a refusal it belongs to the INVITE's transaction (RFC 3261 section 17.1.1.3).
fn ack(invite: &str, answer: &str) -> String {
    let of = |text, name| header(text, name).expect("a header");
    let branch = match status(answer) {
        200 => "z9hG4bKack",
        _ => "",
    };
    format!(
        "ACK sip:say@server SIP/2.0\r\nVia: {}{branch}\r\nMax-Forwards: 70\r\nFrom: {}\r\nTo: {}\r\nCall-ID: {}\r\nCSeq: 1 ACK\r\n\
         Content-Length: 0\r\n\r\n",
        of(invite, "Via"),
        of(invite, "From"),
        of(answer, "To"),
        of(invite, "Call-ID")
    )
}

/// A call over this connection; the status that it is answered with at last.
fn call(connection: &mut Connection, call_id: &str, media: &str) -> u16 {
    let invite = invite("TLS", &connection.local().to_string(), call_id, media);
    connection.send(invite.as_bytes()).expect("it is up");
    loop {
        let answer = connection.receive().expect("an answer");
        if status(&answer) >= 200 {
            let ack = ack(&invite, &answer);
            connection.send(ack.as_bytes()).expect("it is up");
            return status(&answer);
        }
    }
}

/// A call over TCP in clear, from this address, that is refused.
fn call_over_tcp(world: &World, from: &str, call_id: &str) {
    let address = format!("{OURS}:5060");
    let mut tcp = world.lab.tcp_from(from, &address).expect("it listens");
    let local = tcp.local_addr().expect("a socket").to_string();
    let request = invite("TCP", &local, call_id, CLEAR);
    tcp.write_all(request.as_bytes()).expect("it is up");
    let mut answers = String::new();
    // Without a body.
    while !(answers.contains("SIP/2.0 403 ") && answers.ends_with("\r\n\r\n")) {
        let mut octets = [0; 4096];
        let count = tcp.read(&mut octets).expect("it is up");
        assert!(count > 0, "{answers}");
        answers += &String::from_utf8_lossy(&octets[..count]);
    }
    let refusal = &answers[answers.find("SIP/2.0 403 ").expect("a refusal")..];
    let ack = ack(&request, refusal);
    tcp.write_all(ack.as_bytes()).expect("it is up");
}

/// A call over UDP, from this address.
fn call_over_udp(world: &World, from: &str, call_id: &str) -> u16 {
    let udp = world.lab.udp(&format!("{from}:5070"));
    let local = udp.local_addr().expect("a socket").to_string();
    let request = invite("UDP", &local, call_id, CLEAR);
    let send = |message: &str| {
        udp.send_to(message.as_bytes(), format!("{OURS}:5060"))
            .expect("a socket")
    };
    send(&request);
    loop {
        let mut answer = [0; 4096];
        let length = udp.recv(&mut answer).expect("an answer");
        let answer = String::from_utf8_lossy(&answer[..length]).into_owned();
        if status(&answer) >= 200 {
            send(&ack(&request, &answer));
            return status(&answer);
        }
    }
}

/// One that says `hello` in clear, and waits until it is thrown out.
fn speak(world: &World, hello: &[u8]) {
    let mut tcp = world.lab.tcp(&address()).expect("it listens");
    tcp.write_all(hello).expect("it listens");
    let _ = tcp.read_to_end(&mut Vec::new());
}

/// A handshake that is refused: the client may learn of it behind its own end of the handshake.
fn shake(world: &World, client: Client) {
    if let Ok(mut connection) = client.connect(&world.lab, DEMANDING) {
        assert!(connection.options().is_err(), "it was not refused");
    }
}

/// One that does not trust our certificate.
fn distrust(world: &World) {
    let mut context = SslContextBuilder::new(SslMethod::tls_client()).expect("OpenSSL works");
    context.set_verify(SslVerifyMode::PEER);
    let tcp = world.lab.tcp(&address()).expect("it listens");
    assert!(Connection::new(&context.build(), tcp).is_err());
}

/// The lines of the security log.
fn security(ours: &Asterisk<'_>) -> Vec<String> {
    let log = std::fs::read_to_string(ours.path("log/security.log")).unwrap_or_default();
    let ours = log
        .lines()
        .filter(|line| line.contains("Severity=\"Error\",Service=\"Ciphertrunk\""));
    ours.map(str::to_owned).collect()
}

#[test]
fn actions_events_and_who_is_reported() {
    let world = World::new("ami");
    let phone = world
        .authority()
        .issue("phone", "phone.example", "127.0.0.1");
    let stranger =
        Authority::new(&world.lab, "stranger").issue("other", "other.example", "127.0.0.1");
    let demanding = world
        .transport("verify_client = yes\nrequire_client_cert = yes\n")
        .replace("[tls]", "[demanding]")
        .replace(":5061", ":5062");
    let endpoint = |name: &str, host: &str, lines: &str| {
        format!(
            "[{name}]\ntype = endpoint\ncontext = default\ndisallow = all\nallow = ulaw\n{lines}\n\
             [{name}]\ntype = identify\nendpoint = {name}\nmatch = {host}\n"
        )
    };
    let setup = ours()
        .pjsip(&world.transport(""))
        .pjsip(&demanding)
        .pjsip(UDP)
        .pjsip(&UDP.replace("udp", "tcp"))
        .pjsip(&endpoint("secure", "127.0.0.1", "media_encryption = sdes"))
        .pjsip(&endpoint("bound", CALLER, ""))
        .file("ciphertrunk.conf", "[bound]\ntype = endpoint\nrequire_signaling = yes\n")
        .file("manager.conf", &ami::configuration(OURS))
        .file(
            "logger.conf",
            "[general]\n[logfiles]\nfull.log => notice,warning,error,verbose\nsecurity.log => security\n",
        )
        .also_modules(&["res_security_log"])
        .dialplan("exten => say,1,Answer()\n same => n,Wait(600)\n");
    let ours = Asterisk::start(&world.lab, &setup);
    let mut cron = Manager::log_in(&world.lab, OURS);
    let mut clerk = Manager::log_in_as(&world.lab, OURS, ami::WITHOUT_SYSTEM);
    let mut dialer = Manager::log_in_as(&world.lab, OURS, ami::WITHOUT_REPORTING);

    // Good ones, of which nothing is reported.
    let mut good = Client::new()
        .certificate(&world.lab, &phone)
        .connect(&world.lab, DEMANDING)
        .expect("a handshake");
    assert_eq!(good.options().expect("an answer"), 200);
    let mut connection = world.connect();
    assert_eq!(call(&mut connection, "good@call", SDES), 200);
    let mut tcp = world.lab.tcp(&address()).expect("it listens");
    tcp.shutdown(Shutdown::Write).expect("a socket");
    let _ = tcp.read_to_end(&mut Vec::new());

    refusals(&world, &ours, &mut cron, &mut clerk, &stranger);
    same_as_the_console(&ours, &mut cron);
    privileges(&mut clerk, &mut dialer);
    ours.cli("module reload res_ciphertrunk.so");
    same_as_the_console(&ours, &mut cron);
    if is_documented(&ours, "ami (the documents)") {
        let text = ours.cli("manager show command CiphertrunkConnections");
        assert!(text.contains("List the TLS connections"), "{text}");
        let text = ours.cli("manager show event CiphertrunkRefusal");
        assert!(text.contains("CallID"), "{text}");
    }
    who_is_banned(&world, &ours);

    let one = cron.ask("CiphertrunkConnectionClose", &[("Connection", "1")]);
    assert_eq!(one.get("Message"), Some("1 connections are being closed"));
    assert!(good.options().is_err(), "it was closed");
    let again = cron.ask("CiphertrunkConnectionClose", &[("Connection", "1")]);
    assert_eq!(again.get("Message"), Some("There is no such connection"));
    ours.cli("channel request hangup all");
    let bye = connection.receive().expect("a BYE");
    connection.accept_request(&bye).expect("it is up");
    ours.wait_for_channels(0);
    drop(connection);

    a_flood_is_a_count(&world, &ours, &mut cron);
    // The count of the lines that were not written is in the log now, and read.
    ours.settle_log();
    if let Some(found) = found_by_fail2ban(&world, "full.log", "normal") {
        let (ip, line) = found.last().expect("a line");
        assert_eq!(ip, "127.0.0.1");
        assert!(line.contains("log lines suppressed: "), "{line}");
    }
    let gone = cron.ask("CiphertrunkStatus", &[]);
    assert_eq!(gone.get("Response"), Some("Error"), "{gone:?}");
    let why = gone.get("Message").unwrap_or_default();
    assert!(why.contains("Invalid/unknown command"), "{gone:?}");
    ours.cli("module load res_ciphertrunk.so");
    let there = cron.ask("CiphertrunkStatus", &[]);
    assert_eq!(there.get("SRTPEngine"), Some("ours"), "{there:?}");
}

/// What was done: the code of the refusal, and the security event with the address in it, if it is one.
fn refusals(
    world: &World,
    ours: &Asterisk<'_>,
    cron: &mut Manager,
    clerk: &mut Manager,
    stranger: &host_harness::certificates::Certificate,
) {
    const TLS: &str = "RemoteAddress=\"IPV4/TLS/127.0.0.1/";
    let over_tcp = || call_over_tcp(world, CALLER, "tcp@call");
    let over_udp = || assert_eq!(call_over_udp(world, CALLER, "udp@call"), 403);
    let in_clear = || {
        let mut connection = world.connect();
        assert_eq!(call(&mut connection, EVIL, CLEAR), 488);
    };
    type Case<'a> = (&'a dyn Fn(), &'a str, &'a str, Option<(&'a str, &'a str)>);
    let cases: [Case<'_>; 7] = [
        (
            &|| shake(world, Client::new()),
            "no-client-certificate",
            "demanding",
            Some(("ChallengeResponseFailed", TLS)),
        ),
        (
            &|| shake(world, Client::new().certificate(&world.lab, stranger)),
            "cert-untrusted",
            "demanding",
            Some(("ChallengeResponseFailed", TLS)),
        ),
        (
            &|| speak(world, b"GET / HTTP/1.1\r\n\r\n"),
            "plain-http",
            "tls",
            Some(("RequestBadFormat", TLS)),
        ),
        // What is to be changed here: our certificate is not trusted there.
        (&|| distrust(world), "peer-unknown-ca", "tls", None),
        (
            &in_clear,
            "offer-in-clear",
            "secure",
            Some(("RequestNotAllowed", TLS)),
        ),
        // Whoever sends a datagram writes its address himself.
        (&over_udp, "signaling-in-clear", "bound", None),
        (
            &over_tcp,
            "signaling-in-clear",
            "bound",
            Some(("InvalidTransport", "RemoteAddress=\"IPV4/TCP/127.0.0.40/")),
        ),
    ];
    let mut reported = 0;
    for (doing, code, endpoint, event) in cases {
        doing();
        let refusal = cron.event("CiphertrunkRefusal");
        assert_eq!(refusal.get("Code"), Some(code), "{refusal:?}");
        assert_eq!(refusal.get("Endpoint"), Some(endpoint), "{refusal:?}");
        assert_eq!(refusal.get("Privilege"), Some("system,all"));
        for name in ["Time", "Stage", "Side", "Peer", "Sentence"] {
            assert!(refusal.get(name).is_some(), "{name}: {refusal:?}");
        }
        let Some((event, remote)) = event else {
            continue;
        };
        reported += 1;
        let all = ours.wait_until("the security event", |ours| {
            let all = security(ours);
            (all.len() >= reported).then_some(all)
        });
        assert_eq!(all.len(), reported, "{all:#?}");
        let line = &all[reported - 1];
        assert!(
            line.contains(&format!("SecurityEvent=\"{event}\"")),
            "{line}"
        );
        assert!(line.contains(remote), "{line}");
        assert!(
            line.contains(&format!("AccountID=\"{endpoint}\"")),
            "{line}"
        );
        assert!(line.contains(",LocalAddress=\"IPV4/"), "{line}");
        assert!(
            !line.contains("RemoteAddress=\"IPV4/TLS/192.0.2.9"),
            "{line}"
        );
        // The same to whoever reads the class `security`.
        let same = clerk.event(event);
        assert_eq!(same.get("Service"), Some("Ciphertrunk"), "{same:?}");
    }
}

fn same_as_the_console(ours: &Asterisk<'_>, cron: &mut Manager) {
    for (action, event, command, template) in LISTS {
        let (response, items, end) = cron.list(action, &[]);
        assert_eq!(response.get("Response"), Some("Success"), "{action}");
        assert!(!items.is_empty(), "{action}");
        assert_eq!(end.get("Event"), Some(&*format!("{action}Complete")));
        assert_eq!(end.get("ListItems"), Some(&*items.len().to_string()));
        let console = ours.cli(command);
        for item in &items {
            assert_eq!(item.get("Event"), Some(*event), "{item:?}");
            let wanted = line(template, item);
            assert!(console.contains(&wanted), "{wanted:?} is not in\n{console}");
        }
        // No more of them there: each line with what only rows have.
        let key = template.split_once(": ").expect("a label").0;
        let key = key.rsplit(['}', ' ']).next().unwrap_or_default();
        if *action != "CiphertrunkReasons" {
            let rows = console
                .lines()
                .filter(|line| line.contains(&format!("{key}: ")));
            assert_eq!(rows.count(), items.len(), "{key}:\n{console}");
        }
    }
    let status = cron.ask("CiphertrunkStatus", &[]);
    for (name, label) in STATUS {
        assert_eq!(status.get(name), Some(&*ours.status(label)), "{name}");
    }
    // What is asked for, and nothing else.
    for (action, name, value, count) in [
        ("CiphertrunkConnections", "Connection", "1", 1),
        ("CiphertrunkConnections", "Peer", "127.0.0.99", 0),
        ("CiphertrunkCalls", "Endpoint", "secure", 1),
        ("CiphertrunkCalls", "CallID", "good@call", 1),
        ("CiphertrunkCalls", "CallID", "other@call", 0),
        ("CiphertrunkRefusals", "Limit", "2", 2),
    ] {
        let (_, items, _) = cron.list(action, &[(name, value)]);
        assert_eq!(items.len(), count, "{action} {name} {value}: {items:?}");
    }
    for (action, headers) in [
        ("CiphertrunkRefusals", &[("Limit", "0")][..]),
        ("CiphertrunkRefusals", &[("Limit", "1001")]),
        ("CiphertrunkConnectionClose", &[]),
        ("CiphertrunkConnectionClose", &[("Connection", "x")]),
    ] {
        let answer = cron.ask(action, headers);
        assert_eq!(
            answer.get("Response"),
            Some("Error"),
            "{action}: {answer:?}"
        );
    }
}

fn privileges(clerk: &mut Manager, dialer: &mut Manager) {
    let close = [("Connection", "1")];
    let allowed = |manager: &mut Manager, action: &str| {
        let answer = manager.ask(action, &close);
        answer.get("Message") != Some("Permission denied")
    };
    let lists = LISTS.iter().map(|(action, ..)| *action);
    for action in lists.chain(["CiphertrunkStatus"]) {
        assert!(allowed(clerk, action), "{action}");
        assert!(!allowed(dialer, action), "{action}");
    }
    for manager in [clerk, dialer] {
        assert!(!allowed(manager, "CiphertrunkConnectionClose"));
    }
}

/// A thousand that fail, and what is said of them once the module is gone.
fn a_flood_is_a_count(world: &World, ours: &Asterisk<'_>, cron: &mut Manager) {
    const CONNECTIONS: u64 = 1000;
    for _ in 0..CONNECTIONS {
        speak(world, b"GET / HTTP/1.1\r\n\r\n");
    }
    wait_until_idle(ours);
    ours.wait_until("the end of the module", |ours| {
        ours.cli("module unload res_ciphertrunk.so");
        (!ours.maps().contains("res_ciphertrunk")).then_some(())
    });
    let (mut sent, mut counted) = (0, 0);
    while sent + counted < CONNECTIONS {
        let packet = cron.receive();
        if packet.get("Code") != Some("plain-http") {
            continue;
        }
        match packet.get("Event") {
            Some("CiphertrunkRefusal") => sent += 1,
            Some("CiphertrunkRefusalsSuppressed") => {
                let count: u64 = packet.get("Count").expect("a count").parse().expect("one");
                let sources = packet.get("Sources").expect("sources");
                assert_eq!(sources, format!("{count} from 127.0.0.1"), "{packet:?}");
                counted += count;
            }
            _ => {}
        }
    }
    assert_eq!(sent + counted, CONNECTIONS);
    assert!(sent <= 12, "{sent} events");
    let lines = security(ours);
    let http = lines.iter().filter(|line| line.contains("plain-http"));
    assert!(http.count() <= 12 + 1, "{lines:#?}");
}

/// What fail2ban's filter finds in a log of our Asterisk's: the address and the line of each. `None`: the root has no fail2ban.
fn found_by_fail2ban(world: &World, log: &str, mode: &str) -> Option<Vec<(String, String)>> {
    let lab = &world.lab;
    if !lab.root().join("usr/bin/fail2ban-regex").exists() {
        host::skip("ami (fail2ban)", "the root has no fail2ban");
        return None;
    }
    let filter = lab::repository().join("conf/fail2ban/filter-ciphertrunk.conf");
    lab.write(
        "ciphertrunk.conf",
        std::fs::read(filter).expect("the filter"),
    );
    let file = format!("{}/ours/log/{log}", lab::FOLDER);
    let filter = format!("{}/ciphertrunk.conf[mode={mode}]", lab::FOLDER);
    let found = lab.must_run("fail2ban-regex", &["-o", "<ip> <msg>", &file, &filter]);
    let lines = found.lines().filter_map(|line| line.split_once(' '));
    Some(
        lines
            .map(|(ip, line)| (ip.to_owned(), line.to_owned()))
            .collect(),
    )
}

/// Which lines of the logs fail2ban counts against whom. The others are there as well: an alert about our certificate, calls, and
/// what a `Call-ID` says of somebody else, in an event of ours and in one of PJSIP's.
fn who_is_banned(world: &World, ours: &Asterisk<'_>) {
    const TLS: [(&str, &str); 3] = [
        ("127.0.0.1", "no-client-certificate"),
        ("127.0.0.1", "cert-untrusted"),
        ("127.0.0.1", "plain-http"),
    ];
    const CALLS: [(&str, &str); 2] = [
        ("127.0.0.1", "offer-in-clear"),
        (CALLER, "InvalidTransport"),
    ];
    assert_eq!(call_over_udp(world, NOBODY, FORGED), 401);
    ours.wait_until("PJSIP's event", |ours| {
        let log = std::fs::read_to_string(ours.path("log/security.log")).unwrap_or_default();
        let mut lines = log.lines();
        lines
            .any(|line| line.contains("Service=\"PJSIP\"") && line.contains(FORGED))
            .then_some(())
    });
    ours.settle_log();
    for (log, mode, calls) in [
        ("security.log", "normal", &CALLS[..0]),
        ("security.log", "aggressive", &CALLS),
        ("full.log", "normal", &CALLS[..0]),
    ] {
        let Some(found) = found_by_fail2ban(world, log, mode) else {
            return;
        };
        let wanted: Vec<_> = TLS.iter().chain(calls).collect();
        assert_eq!(found.len(), wanted.len(), "{log}, {mode}: {found:#?}");
        for ((ip, line), (address, key)) in found.iter().zip(wanted) {
            assert_eq!(ip, address, "{line}");
            assert!(line.contains(key), "{key}: {line}");
        }
    }
}
