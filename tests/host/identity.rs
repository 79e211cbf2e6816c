//! An endpoint that is bound to a certificate: whoever calls as it, or is called, has that one, or the call is refused.

use host_harness::asterisk::{Asterisk, Setup};
use host_harness::certificates::{Authority, Certificate};
use host_harness::lab::Lab;
use host_harness::pjsip::{self, Encryption, UDP};
use host_harness::sip::{Client, Connection, Server, header, response, status};

use crate::world::{CARRIER, OURS};

/// What our Asterisk verifies, and where it takes any certificate that a client has.
const VERIFYING: &str = "127.0.0.10:5061";
const TAKING_ALL: &str = "127.0.0.10:5062";

/// A proxy's mark, which anybody can set.
const MARK: &str = "X-Carrier: yes\r\n";

/// The certificate of a client: a SIP URI and a DNS name.
fn issue(authority: &Authority<'_>, name: &str) -> Certificate {
    issue_as(authority, name, name)
}

/// A certificate with the names of `of`.
fn issue_as(authority: &Authority<'_>, name: &str, of: &str) -> Certificate {
    let names = format!("subjectAltName=URI:sip:{of}.example,DNS:gw.{of}.example");
    let options = ["-days", "2", "-addext", &names];
    authority.make(name, &format!("/CN={of}"), &options)
}

/// SHA-256, as `openssl` prints it, with colons.
fn fingerprint(lab: &Lab, certificate: &Certificate) -> String {
    let file = &certificate.certificate;
    let args = ["x509", "-noout", "-fingerprint", "-sha256", "-in", file];
    let text = lab.must_run("openssl", &args);
    let (_, value) = text.trim().split_once('=').expect("name=value");
    value.to_owned()
}

fn bound(certificate: &str) -> String {
    format!("[carrier]\ntype = endpoint\ncertificate = {certificate}\n")
}

/// What the first line of the dialplan says of the peer.
const FIRST: &str = "exten => say,1,Verbose(0,it is ${CIPHERTRUNK(cert_san)} ${CIPHERTRUNK(cert_sha256)} verified=${CIPHERTRUNK(verified)})\n \
     same => n,Answer()\n same => n,Wait(600)\nexten => wait,1,Answer()\n same => n,Wait(600)\n";

fn ours(authority: &Authority<'_>) -> Setup {
    let certificate = authority.issue("ours", "ours.example", OURS);
    let tls = pjsip::tls(&certificate, &authority.file());
    let all = tls.replace("[tls]", "[tls-all]").replace(":5061", ":5062");
    Setup::ours("ours", OURS)
        .pjsip(
            "[global]\ntype = global\nendpoint_identifier_order = header,ip,username,anonymous\n",
        )
        .pjsip(UDP)
        .pjsip(&format!("{tls}verify_client = yes\n"))
        .pjsip(&format!("{all}require_client_cert = yes\n"))
        .pjsip(
            &pjsip::trunk("carrier", CARRIER, Encryption::Plain)
                .replace("transport = udp\n", "")
                // By its mark, whatever the address.
                .replace(
                    &format!("match = {CARRIER}"),
                    "match_header = X-Carrier: yes",
                ),
        )
        .pjsip(&format!(
            "[by-address]\ntype = identify\nendpoint = carrier\nmatch = {CARRIER}\n"
        ))
        .dialplan(FIRST)
}

/// Calls, and hangs up if it is answered; the final status.
fn call(connection: &mut Connection, number: u32) -> u16 {
    let local = connection.local();
    let request = |method: &str, sequence: u32, to: &str, body: &str| {
        let kind = if body.is_empty() {
            ""
        } else {
            "Content-Type: application/sdp\r\n"
        };
        format!(
            "{method} sip:say@{OURS} SIP/2.0\r\nVia: SIP/2.0/TLS {local};rport;branch=z9hG4bK{port}x{number}x{sequence}{method}\r\n\
             Max-Forwards: 70\r\nFrom: <sip:probe@{local}>;tag={number}\r\nTo: {to}\r\nCall-ID: {port}-{number}@identity\r\n\
             CSeq: {sequence} {method}\r\nContact: <sip:probe@{local};transport=tls>\r\n{MARK}{kind}Content-Length: {length}\r\n\r\n{body}",
            port = local.port(),
            length = body.len()
        )
    };
    let to = format!("<sip:say@{OURS}>");
    let media = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 40000 RTP/AVP 0\r\n";
    let mut tell = |text: String| connection.send(text.as_bytes()).expect("it is up");
    tell(request("INVITE", 1, &to, media));
    let answer = final_answer(connection, "INVITE");
    let to = header(&answer, "To").expect("a To").to_owned();
    let code = status(&answer);
    if code == 200 {
        let mut tell = |text: String| connection.send(text.as_bytes()).expect("it is up");
        tell(request("ACK", 1, &to, ""));
        tell(request("BYE", 2, &to, ""));
        assert_eq!(status(&final_answer(connection, "BYE")), 200);
    }
    code
}

fn final_answer(connection: &mut Connection, method: &str) -> String {
    loop {
        let message = connection.receive().expect("an answer");
        let is_to_it = header(&message, "CSeq").is_some_and(|cseq| cseq.ends_with(method));
        if status(&message) >= 200 && is_to_it {
            return message;
        }
    }
}

#[test]
fn who_calls() {
    let lab = Lab::new("identity/who_calls");
    let authority = Authority::new(&lab, "authority");
    let stranger = Authority::new(&lab, "stranger");
    let carrier = issue(&authority, "carrier");
    let other = issue(&authority, "other");
    // The right names, by nobody whom we trust.
    let forged = issue_as(&stranger, "forged", "carrier");
    let ours = Asterisk::start(&lab, &ours(&authority));
    let pin = format!("SHA256:{}", fingerprint(&lab, &carrier));
    let forged_pin = format!("SHA256:{}", fingerprint(&lab, &forged));
    let mut number = 0;
    let mut try_as = |address: &str, who: Option<&Certificate>| {
        number += 1;
        let client = match who {
            Some(who) => Client::new().certificate(&lab, who),
            None => Client::new(),
        };
        let mut connection = client.connect(&lab, address).expect("a TLS connection");
        let code = call(&mut connection, number);
        ours.wait_for_channels(0);
        code
    };
    let bind = |certificate: &str| {
        ours.configure("ciphertrunk.conf", &bound(certificate));
        ours.cli("module reload res_ciphertrunk.so");
    };
    let refused = |code: &str| ours.count(&format!("Demand not met, {code}"));

    // Whoever has the mark is the carrier. The dialplan's first line reads who it is.
    assert_eq!(try_as(VERIFYING, Some(&other)), 200);
    let known = |certificate: &Certificate| fingerprint(&lab, certificate).replace(':', "");
    ours.wait_for_log(&format!(
        "it is URI:sip:other.example DNS:gw.other.example {} verified=yes",
        known(&other)
    ));
    assert_eq!(try_as(VERIFYING, None), 200);
    ours.wait_for_log("it is   verified=no");

    for names in [
        "sip:Carrier.example",
        "DNS:gw.carrier.example",
        "sip:third.example, sip:carrier.example",
    ] {
        bind(names);
        assert_eq!(try_as(VERIFYING, Some(&carrier)), 200, "{names}");
        assert_eq!(try_as(VERIFYING, Some(&other)), 403, "{names}");
        assert_eq!(try_as(VERIFYING, None), 403, "{names}");
        // A name proves nothing that nobody has verified.
        assert_eq!(try_as(TAKING_ALL, Some(&forged)), 403, "{names}");
    }
    assert_eq!(refused("other-certificate"), 3);
    assert_eq!(refused("no-certificate"), 3);
    assert_eq!(refused("certificate-not-verified"), 3);

    // A fingerprint does: whoever has the certificate has its key.
    bind(&pin);
    assert_eq!(try_as(VERIFYING, Some(&carrier)), 200);
    assert_eq!(try_as(TAKING_ALL, Some(&carrier)), 200);
    assert_eq!(try_as(VERIFYING, Some(&other)), 403);
    assert_eq!(try_as(TAKING_ALL, Some(&forged)), 403);
    bind(&format!("sip:carrier.example\ncertificate = {forged_pin}"));
    assert_eq!(try_as(TAKING_ALL, Some(&forged)), 200);
    assert_eq!(try_as(VERIFYING, Some(&carrier)), 200);
    assert_eq!(try_as(TAKING_ALL, Some(&other)), 403);

    // The first of a kind at once, with all that it takes to set it right; the rest counted.
    let lines = ours.all_log_lines("(other-certificate)");
    let line = lines.first().expect("a line");
    for text in [
        "endpoint carrier",
        "is refused (other-certificate)",
        "bound to the certificate sip:carrier.example,",
        "presented /CN=other URI:sip:other.example DNS:gw.other.example SHA256:",
        "Call-ID",
    ] {
        assert!(line.contains(text), "no '{text}' in '{line}'");
    }
    // What is no certificate changes nothing, and says where.
    bind("carrier.example");
    assert_eq!(
        ours.all_log_lines("line 3: [carrier] certificate: 'carrier.example' names no certificate")
            .len(),
        1
    );
    assert_eq!(try_as(TAKING_ALL, Some(&other)), 403);
    bind("sip:other.example");
    assert_eq!(try_as(VERIFYING, Some(&other)), 200);
    assert_eq!(ours.count("Panics caught"), 0);
}

/// A stock Asterisk with two certificates, and UDP: each call says what became of it.
#[test]
fn a_stock_asterisk_calls() {
    let lab = Lab::new("identity/stock_calls");
    let authority = Authority::new(&lab, "authority");
    let (carrier, other) = (issue(&authority, "carrier"), issue(&authority, "other"));
    let ours = Asterisk::start(
        &lab,
        &ours(&authority).file("ciphertrunk.conf", &bound("sip:carrier.example")),
    );
    let way = |name: &str| {
        format!(
            "exten => {name},1,Dial(PJSIP/say@{name},60,gS(1))\n \
             same => n,Verbose(0,over {name} ${{DIALSTATUS}} ${{HANGUPCAUSE}})\n"
        )
    };
    let second = pjsip::tls(&other, &authority.file())
        .replace("[tls]", "[tls-other]")
        .replace(":5061", ":5063");
    let trunk = |name: &str| pjsip::tls_trunk(name, OURS, Encryption::Plain);
    let calling = Asterisk::start(
        &lab,
        &Setup::stock("carrier", CARRIER)
            .pjsip(UDP)
            .pjsip(&pjsip::tls(&carrier, &authority.file()))
            .pjsip(&second)
            .pjsip(&trunk("good"))
            .pjsip(&trunk("wrong").replace("transport = tls\n", "transport = tls-other\n"))
            .pjsip(&pjsip::trunk("clear", OURS, Encryption::Plain))
            .dialplan(&format!(
                "{}{}{}exten => wait,1,Answer()\n same => n,Wait(600)\n",
                way("good"),
                way("wrong"),
                way("clear")
            )),
    );
    for (name, outcome) in [("good", " ANSWER "), ("wrong", " 21"), ("clear", " 21")] {
        calling.cli(&format!(
            "channel originate Local/{name}@default extension wait@default"
        ));
        let line = calling.wait_until(&format!("the end of {name}"), |calling| {
            calling.all_log_lines(&format!("over {name} ")).pop()
        });
        assert!(line.contains(outcome), "{name}: {line}");
        calling.wait_for_channels(0);
        ours.wait_for_channels(0);
    }
    assert_eq!(ours.count("Demand not met, other-certificate"), 1);
    assert_eq!(ours.count("Demand not met, signaling-in-clear"), 1);
    assert_eq!(ours.count("Panics caught"), 0);
}

#[test]
fn who_is_called() {
    let lab = Lab::new("identity/who_is_called");
    let authority = Authority::new(&lab, "authority");
    let (carrier, other) = (issue(&authority, "carrier"), issue(&authority, "other"));
    let pin = |certificate: &Certificate| format!("SHA256:{}", fingerprint(&lab, certificate));
    let section = |name: &str, certificate: &str| {
        format!("[{name}]\ntype = endpoint\ncertificate = {certificate}\n")
    };
    // All of them are the same server.
    let endpoint = |name: &str| {
        format!(
            "[{name}]\ntype = endpoint\ntransport = tls\ncontext = default\ndisallow = all\nallow = ulaw\naors = {name}\n\n\
             [{name}]\ntype = aor\ncontact = sip:{CARRIER}:5071\\;transport=tls\n\n"
        )
    };
    let dial = |name: &str| {
        format!(
            "exten => {name},1,Dial(PJSIP/{name}-says@{name},60,g)\n \
             same => n,Verbose(0,over {name} ${{DIALSTATUS}} ${{HANGUPCAUSE}} ${{CIPHERTRUNK_REASON}})\n"
        )
    };
    let names = ["good", "wrong", "named"];
    let ours = Asterisk::start(
        &lab,
        &ours(&authority)
            .pjsip(&names.map(endpoint).concat())
            .dialplan(&names.map(dial).concat())
            .file(
                "ciphertrunk.conf",
                &[
                    section("good", &pin(&carrier)),
                    section("wrong", &pin(&other)),
                    section("named", "sip:carrier.example"),
                ]
                .concat(),
            ),
    );
    let server = Server::new(&lab, &format!("{CARRIER}:5071"), &carrier, |_| {});
    let begin = |name: &str| {
        ours.cli(&format!(
            "channel originate Local/{name}@default extension wait@default"
        ));
    };
    let end = |name: &str, count: usize| {
        let line = ours.wait_until(&format!("the end of {name}"), |ours| {
            let lines = ours.all_log_lines(&format!("over {name} "));
            (lines.len() >= count).then(|| lines.last().expect("one").clone())
        });
        ours.wait_for_channels(0);
        line
    };
    // The connection is still to be made, so that nobody can know whom it will lead to; then it is there.
    begin("wrong");
    let mut connection = server.accept().expect("a handshake");
    let line = end("wrong", 1);
    assert!(line.ends_with(" 58 other-certificate"), "{line}");
    begin("wrong");
    assert!(end("wrong", 2).ends_with(" 58 other-certificate"));
    begin("named");
    assert!(end("named", 1).ends_with(" 58 certificate-not-verified"));
    // What comes first on it is the twin's.
    for count in 1..=2 {
        begin("good");
        let invite = connection.receive().expect("an INVITE");
        assert!(invite.starts_with("INVITE sip:good-says@"), "{invite}");
        let busy = response(&invite, "486 Busy Here");
        connection.send(busy.as_bytes()).expect("it is up");
        let ack = connection.receive().expect("its ACK");
        assert!(ack.starts_with("ACK "), "{ack}");
        assert!(end("good", count).contains(" BUSY "));
    }
    assert_eq!(ours.count("Demand not met, other-certificate"), 2);
    let lines = ours.all_log_lines("is not sent (other-certificate)");
    assert!(!lines.is_empty(), "{}", ours.log());

    // On a connection that is still to be made the twin waits for it, and is sent.
    drop(connection);
    ours.wait_until("the end of the connection", |ours| {
        (ours.count("TLS connections") == 0).then_some(())
    });
    begin("good");
    let mut connection = server.accept().expect("a handshake");
    let invite = connection.receive().expect("an INVITE");
    assert!(invite.starts_with("INVITE sip:good-says@"), "{invite}");
    let busy = response(&invite, "486 Busy Here");
    connection.send(busy.as_bytes()).expect("it is up");
    assert!(end("good", 3).contains(" BUSY "));
    assert_eq!(ours.count("Panics caught"), 0);
}
