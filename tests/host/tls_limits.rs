//! One address that floods, and others beside it. What each limit counts is `crates/sip-tls/tests/limits.rs`.

use std::io::{ErrorKind, Write as _};
use std::net::TcpStream;

use host_harness::asterisk::{Asterisk, Setup};
use host_harness::baresip::{Baresip, Media, Phone};
use host_harness::lab;
use host_harness::pjsip::{self, Encryption};
use host_harness::process;
use host_harness::sip::{self, Connection};

use crate::tls_world;
use crate::tls_world::{PEER, World, address, assert_serves, ours, wait_until_idle};
use crate::world::{CARRIER, OUR_TONE, PHONE, PHONE_TONE};

/// Asterisk may have so many descriptors open, as it is where nobody says anything else.
const DESCRIPTORS: u64 = 1024;
/// More than it has.
const FLOOD: usize = 1100;
const FLOODER: &str = "127.0.0.99";
/// Who has a connection all the time. (The phone comes from 127.0.0.1.)
const NEIGHBOUR: &str = "127.0.0.41";
const PASSWORD: &str = "correct-horse";
/// Handshakes that do not begin are held all the time.
const PATIENT: &str = "[tls]\nhandshake_timeout = 300\n";
/// As if there were no limits.
const OPEN: &str =
    "reserve_descriptors = 0\nmax_connections_per_source = 0\nmax_handshakes_per_source = 0\n";

/// Those of it that were let in.
fn flood(world: &World) -> Vec<TcpStream> {
    let connect = |number| match world.lab.tcp_from(FLOODER, &address()) {
        // It was turned away before this end knew that it was there.
        Err(error) if error.kind() == ErrorKind::ConnectionReset => None,
        Err(error) => panic!("connection {number}: {error}"),
        Ok(tcp) => Some(tcp),
    };
    (0..FLOOD).filter_map(connect).collect()
}

/// How many connections ended so; a line that is not there is none.
pub fn ended(ours: &Asterisk<'_>, code: &str) -> u64 {
    let status = ours.cli("ciphertrunk show status");
    let found = status
        .lines()
        .find_map(|line| line.strip_prefix(&format!("Ended {code}: ")));
    found.map_or(0, |count| count.parse().expect("a number"))
}

/// Calls `say` with audio in clear, and hangs up if it is answered: the final status.
fn call(connection: &mut Connection, number: u32) -> u16 {
    let local = connection.local();
    let sdp = format!(
        "v=0\r\no=- 1 1 IN IP4 {ip}\r\ns=-\r\nc=IN IP4 {ip}\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n",
        ip = local.ip()
    );
    let send = |connection: &mut Connection, method: &str, sequence: u32, to: &str, body: &str| {
        let kind = if body.is_empty() {
            ""
        } else {
            "Content-Type: application/sdp\r\n"
        };
        let request = format!(
            "{method} sip:say@server SIP/2.0\r\nVia: SIP/2.0/TLS {local};rport;branch=z9hG4bKcall{number}{method}\r\n\
             Max-Forwards: 70\r\nFrom: <sip:probe@{local}>;tag=call{number}\r\nTo: {to}\r\nCall-ID: call{number}@probe\r\n\
             CSeq: {sequence} {method}\r\nContact: <sip:probe@{local};transport=tls>\r\n{kind}Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        connection.send(request.as_bytes()).expect("it is up");
    };
    let last = |connection: &mut Connection| loop {
        let answer = connection.receive().expect("an answer");
        if sip::status(&answer) >= 200 {
            return answer;
        }
    };
    send(connection, "INVITE", 1, "<sip:say@server>", &sdp);
    let answer = last(connection);
    let to = sip::header(&answer, "To").expect("one").to_owned();
    send(connection, "ACK", 1, &to, "");
    if sip::status(&answer) == 200 {
        send(connection, "BYE", 2, &to, "");
        assert_eq!(sip::status(&last(connection)), 200);
    }
    sip::status(&answer)
}

/// Measured before there were limits: a flood takes 1,004 of 1,024 descriptors, calls of others get 488, and the console hangs. That
/// is the first half, with the limits off. With the defaults a call on a connection that is up gets its descriptors, the console
/// answers, and a phone of another address registers and is called.
#[test]
fn a_flood_leaves_descriptors_for_calls_and_for_others() {
    process::raise_file_limit(4096);
    let world = World::new("descriptors");
    // A phone that registers is not the peer whom the address tells.
    let setup = ours()
        .pjsip(&world.transport(""))
        .pjsip(&PEER.replace("127.0.0.0/8", &format!("{NEIGHBOUR}/32")))
        .pjsip(&pjsip::phone("alice", PASSWORD, "tls", Encryption::Plain))
        .dialplan(&pjsip::say(OUR_TONE))
        .file("ciphertrunk.conf", &format!("{PATIENT}{OPEN}"));
    let ours = Asterisk::start(&world.lab, &setup);
    process::set_file_limit(ours.pid(), DESCRIPTORS);
    let neighbour = || {
        let tcp = world.lab.tcp_from(NEIGHBOUR, &address());
        Connection::new(&sip::Client::new().build(), tcp.expect("it listens")).expect("TLS")
    };
    let mut established = neighbour();
    assert_serves(&ours, &mut established);
    assert_eq!(call(&mut established, 1), 200);
    let flooding = flood(&world);
    // The console has no descriptor either, so nothing is asked of it.
    ours.wait_for_log("connections wait and cannot be accepted: Too many open files");
    let status = call(&mut established, 2);
    assert_ne!(
        status, 200,
        "the fault is not there: this test shows nothing"
    );
    println!("without limits a call during the flood gets {status}");
    drop(flooding);
    ours.wait_for_log("connections are accepted again");
    drop(established);
    wait_until_idle(&ours);

    ours.configure("ciphertrunk.conf", PATIENT);
    ours.cli("module reload res_ciphertrunk.so");
    let mut established = neighbour();
    assert_serves(&ours, &mut established);
    let flooding = flood(&world);
    let refused = ours.wait_until("all of the flood to be judged", |ours| {
        let refused = ended(ours, "too-many-of-source");
        (refused + ours.count("TLS handshakes of peers going on") == FLOOD as u64)
            .then_some(refused)
    });
    println!("of {FLOOD} connections of one address {refused} are refused");
    assert!(process::open_files(ours.pid()) < 800);
    assert_eq!(call(&mut established, 3), 200);
    let alice = Baresip::start(
        &world.lab,
        &Phone {
            name: "alice".to_owned(),
            address: PHONE.to_owned(),
            server: (address(), "tls".to_owned()),
            password: Some(PASSWORD.to_owned()),
            media: Media::Plain,
            tone: PHONE_TONE,
            authority: Some(world.authority.clone()),
        },
    );
    ours.cli("channel originate PJSIP/alice extension say@default");
    alice.wait_for_tone(OUR_TONE, 10);
    ours.cli("channel request hangup all");
    ours.wait_for_channels(0);
    // As many lines as one source may cause, whatever it does.
    let lines = ours.all_log_lines("reason too-many-of-source");
    assert!((1..=3).contains(&lines.len()), "{lines:?}");
    assert!(
        lines[0].contains(&format!("TLS from {FLOODER}:")) && lines[0].contains("trusted_sources"),
        "{}",
        lines[0]
    );
    let explained = ours.cli("ciphertrunk explain too-many-of-source");
    assert!(
        explained.contains("max_connections_per_source"),
        "{explained}"
    );
    drop(flooding);
    assert_serves(&ours, &mut established);
}

/// acl.conf decides before TLS, for the addresses it names and for nobody else; an ACL that is not there lets nobody in. Behind a
/// balancer that sends PROXY protocol headers the client is who is asked for, by the ACL and by pjsip. (The headers are octets written
/// here, as the specification has them.)
#[test]
fn an_acl_is_asked_before_tls_and_a_balancer_says_for_whom() {
    const BALANCER: &str = "127.0.0.40";
    let world = World::new("acl");
    let far = PEER
        .replace("peer", "far")
        .replace("127.0.0.0/8", "192.0.2.1/32");
    let setup = ours()
        .pjsip(&world.transport(""))
        .pjsip(&PEER.replace("127.0.0.0/8", "127.0.0.30/32"))
        .pjsip(&far.replace("match = ::1\n", ""))
        .file(
            "acl.conf",
            "[phones]\ndeny = 0.0.0.0/0\npermit = 127.0.0.30/32\npermit = 192.0.2.0/24\n",
        )
        .file("ciphertrunk.conf", "[tls]\nacl = phones\n");
    let ours = Asterisk::start(&world.lab, &setup);
    let connect_with = |from: &str, header: &str| {
        let connected = world.lab.tcp_from(from, &address());
        let mut tcp = connected.map_err(|error| error.to_string())?;
        tcp.write_all(header.as_bytes())
            .map_err(|error| error.to_string())?;
        Connection::new(&sip::Client::new().build(), tcp)
    };
    let connect = |from: &str| connect_with(from, "");
    let mut permitted = connect(PHONE).expect("the ACL permits it");
    assert_serves(&ours, &mut permitted);
    connect(FLOODER).expect_err("the ACL denies it");
    let line = ours.wait_until("the line", |ours| ours.log_lines("reason acl-denied").pop());
    assert!(line.contains(&format!("TLS from {FLOODER}:")), "{line}");
    assert_eq!(ended(&ours, "acl-denied"), 1);
    // The same address without the option.
    ours.configure("ciphertrunk.conf", "");
    ours.cli("module reload res_ciphertrunk.so");
    connect(FLOODER).expect("nothing denies it");
    ours.configure("ciphertrunk.conf", "[tls]\nacl = nowhere\n");
    ours.cli("module reload res_ciphertrunk.so");
    ours.wait_for_log(
        "acl = nowhere: acl.conf has no such section with rules, so nobody can connect by TLS",
    );
    connect(PHONE).expect_err("nobody may");
    // Who is there stays.
    assert_serves(&ours, &mut permitted);

    ours.configure(
        "ciphertrunk.conf",
        &format!("[tls]\nacl = phones\nproxy_protocol_from = {BALANCER}\n"),
    );
    ours.cli("module reload res_ciphertrunk.so");
    let of = |client: &str| format!("PROXY TCP4 {client} 198.51.100.7 51000 5061\r\n");
    let mut far = connect_with(BALANCER, &of("192.0.2.1")).expect("the ACL permits the client");
    assert_serves(&ours, &mut far);
    let shown = ours.cli("ciphertrunk show connections");
    assert!(shown.contains("192.0.2.1:51000"), "{shown}");
    // pjsip takes another client of the same balancer for somebody else.
    let mut other = connect_with(BALANCER, &of("192.0.2.2")).expect("the ACL permits the client");
    assert_eq!(other.options().expect("an answer"), 401);
    connect_with(BALANCER, &of("203.0.113.9")).expect_err("the ACL denies the client");
    ours.wait_for_log("TLS from 203.0.113.9:51000 failed when it connected");
    connect(BALANCER).expect_err("a balancer has to say whose it is");
    ours.wait_for_log("reason proxy-header");
    connect_with(PHONE, &of("192.0.2.1")).expect_err("no balancer");
    let line = ours.wait_until("the line", |ours| {
        ours.log_lines("reason proxy-header-refused").pop()
    });
    assert!(line.contains(&format!("TLS from {PHONE}:")), "{line}");
}

/// HAProxy before us, with headers of both versions and health checks: each client is itself. Where it sends no header it is refused.
#[test]
fn haproxy_says_whose_a_connection_is() {
    const BALANCER: &str = "127.0.0.40";
    const CLIENT: &str = "127.0.0.51";
    const OTHER: &str = "127.0.0.52";
    let world = World::new("haproxy");
    let setup = ours()
        .pjsip(&world.transport(""))
        .pjsip(&PEER.replace("127.0.0.0/8", &format!("{CLIENT}/32")))
        .file(
            "ciphertrunk.conf",
            &format!("[tls]\nproxy_protocol_from = {BALANCER}\n"),
        );
    let ours = Asterisk::start(&world.lab, &setup);
    let listen = |port: u16, options: &str| {
        format!(
            "listen at{port}\n  bind {BALANCER}:{port}\n  server ours {} source {BALANCER} {options}\n",
            address()
        )
    };
    let conf = [
        "defaults\n  mode tcp\n  timeout connect 60s\n  timeout client 1h\n  timeout server 1h\n",
        &listen(5061, "send-proxy-v2 check inter 100"),
        &listen(5062, "send-proxy"),
        &listen(5063, ""),
    ]
    .concat();
    world.lab.write("haproxy.cfg", conf);
    let conf = format!("{}/haproxy.cfg", lab::FOLDER);
    let _haproxy = world.lab.spawn("haproxy", "haproxy", &["-db", "-f", &conf]);
    // Version 2's LOCAL, and then the end of the connection.
    ours.wait_until("health checks", |ours| {
        (ended(ours, "nothing-sent") >= 3).then_some(())
    });
    let connect = |from: &str, port: u16| {
        let tcp = world.lab.tcp_from(from, &format!("{BALANCER}:{port}"));
        Connection::new(&sip::Client::new().build(), tcp.expect("it listens"))
    };
    for port in [5061, 5062] {
        let mut client = connect(CLIENT, port).expect("TLS");
        assert_serves(&ours, &mut client);
        let shown = ours.cli("ciphertrunk show connections");
        assert!(shown.contains(&client.local().to_string()), "{shown}");
        // pjsip takes another one of the same balancer for somebody else.
        let mut other = connect(OTHER, port).expect("TLS");
        assert_eq!(other.options().expect("an answer"), 401);
    }
    connect(CLIENT, 5063).expect_err("a header is needed");
    let line = ours.wait_until("the line", |ours| {
        ours.log_lines("reason proxy-header").pop()
    });
    assert!(line.contains(&format!("TLS from {BALANCER}:")), "{line}");
    assert_eq!(
        ours.all_log_lines("res_ciphertrunk: Ciphertrunk: transport 'tls': TLS from")
            .len(),
        1
    );
}

/// A carrier whose packets go nowhere: what is sent to it has no acknowledgement for as long as `tcp_user_timeout` says, the connection
/// ends, and the next request opens another one.
#[test]
fn a_carrier_that_is_gone_is_found() {
    let world = World::new("gone");
    let certificate = world
        .authority()
        .issue("carrier", "carrier.example", CARRIER);
    let stock = Setup::stock("carrier", CARRIER)
        .pjsip(&pjsip::tls(&certificate, &world.authority))
        .pjsip(&PEER.replace("peer", "ours"));
    let _carrier = Asterisk::start(&world.lab, &stock);
    let setup = world
        .setup("")
        // Asterisk's own keepalives are what is not acknowledged.
        .pjsip("[global]\ntype = global\nkeep_alive_interval = 1\n")
        .pjsip(&tls_world::carrier("carrier", "tls", CARRIER))
        .file("ciphertrunk.conf", "[tls]\ntcp_user_timeout = 2\n");
    let ours = Asterisk::start(&world.lab, &setup);
    let answered = |ours: &Asterisk<'_>, connections: u64| {
        let before = ours.count("SIP messages in");
        ours.cli("pjsip qualify carrier");
        ours.wait_until("an answer of the carrier", |ours| {
            (ours.count("SIP messages in") > before).then_some(())
        });
        assert_eq!(ours.count("TLS handshakes out"), connections);
    };
    answered(&ours, 1);
    let route = |action: &str| {
        let to = format!("{CARRIER}/32");
        world
            .lab
            .must_run("ip", &["route", action, "blackhole", &to, "table", "local"]);
    };
    route("add");
    let line = ours.wait_until("the end of the connection", |ours| {
        ours.log_lines(&format!("connection with {CARRIER}:5061 closed"))
            .pop()
    });
    assert!(line.contains("reason peer-gone"), "{line}");
    route("del");
    answered(&ours, 2);
    assert_eq!(ours.count("Panics caught"), 0);
}
