//! SIP's framing over TLS: however a message is cut, it arrives; what is not SIP ends the connection, and the log says why.

use std::thread;
use std::time::Duration;

use host_harness::asterisk::Asterisk;
use host_harness::sip::{self, Connection};
use host_harness::wait::SOON;

use crate::tls_world::{World, assert_serves};

/// Makes it likely that the parts are read one by one. Nothing fails when they are not.
const A_MOMENT: Duration = Duration::from_millis(5);

#[test]
fn split_and_glued() {
    let world = World::new("framing");
    let ours = Asterisk::start(&world.lab, &world.setup(""));
    let mut connection = world.connect();
    let request = connection.request("Content-Type: text/plain\r\n", "a body, split too");

    // In a TLS record of its own each: around every seam of the text, and octet by octet at its end.
    let seams = [
        1,
        7,
        8,
        request.len() / 2,
        request.find("\r\n\r\n").expect("one") + 2,
        request.len() - 1,
    ];
    for seam in seams {
        let request = connection.request("Content-Type: text/plain\r\n", "a body, split too");
        for part in [&request[..seam], &request[seam..]] {
            connection.send(part.as_bytes()).expect("it is up");
            thread::sleep(A_MOMENT);
        }
        assert_eq!(sip::status(&connection.receive().expect("an answer")), 200);
    }
    for octet in request.as_bytes() {
        connection
            .send(std::slice::from_ref(octet))
            .expect("it is up");
    }
    assert_eq!(sip::status(&connection.receive().expect("an answer")), 200);

    // Glued, with single line ends between them, which RFC 3261 7.5 lets pass.
    let before = ours.count("SIP messages in");
    let mut glued = String::new();
    for _ in 0..20 {
        glued += &connection.request("", "");
        glued += "\r\n";
    }
    connection.send(glued.as_bytes()).expect("it is up");
    for _ in 0..20 {
        assert_eq!(sip::status(&connection.receive().expect("an answer")), 200);
    }
    assert_eq!(ours.count("SIP messages in") - before, 20);

    // Compact, folded, and in another case.
    for line in [
        "l: 0\r\n",
        "CONTENT-LENGTH:\r\n 0\r\n",
        "Content-length   :  0\r\n",
    ] {
        let request = connection
            .request("", "")
            .replace("Content-Length: 0\r\n", line);
        connection.send(request.as_bytes()).expect("it is up");
        assert_eq!(
            sip::status(&connection.receive().expect("an answer")),
            200,
            "{line:?}"
        );
    }
}

#[test]
fn keepalives_are_answered() {
    let world = World::new("keepalive");
    let ours = Asterisk::start(&world.lab, &world.setup(""));
    let mut connection = world.connect();
    for part in ["\r\n\r\n", "\r", "\n\r", "\n"] {
        connection.send(part.as_bytes()).expect("it is up");
        thread::sleep(A_MOMENT);
    }
    let mut pongs = [0; 4];
    std::io::Read::read_exact(&mut connection.stream, &mut pongs).expect("two answers");
    assert_eq!(&pongs, b"\r\n\r\n");
    assert_eq!(ours.count("Keepalives answered"), 2);
    assert_serves(&ours, &mut connection);
}

#[test]
fn long_messages() {
    let world = World::new("long");
    let ours = Asterisk::start(&world.lab, &world.setup(""));
    // The longest that SIP over TLS may be here, and one octet more.
    for (length, fits) in [(65_000, true), (65_535, true), (65_536, false)] {
        let mut connection = world.connect();
        let bare = connection
            .request("Content-Type: text/plain\r\n", &"x".repeat(60_000))
            .len()
            - 60_000;
        let request =
            connection.request("Content-Type: text/plain\r\n", &"x".repeat(length - bare));
        assert_eq!(request.len(), length);
        connection.send(request.as_bytes()).expect("it is up");
        if fits {
            assert_eq!(
                sip::status(&connection.receive().expect("an answer")),
                200,
                "{length}"
            );
            assert_serves(&ours, &mut connection);
        } else {
            let answer = connection.receive().expect("an answer");
            assert_eq!(sip::status(&answer), 513);
            assert_eq!(sip::header(&answer, "CSeq"), Some("2 OPTIONS"));
            assert_serves(&ours, &mut connection);
            ours.wait_for_log("sent a message longer than 65535 bytes (OPTIONS, Call-ID ");
            ours.wait_for_log(
                "it is answered 513 Message Too Large and skipped, the connection stays (to change there)",
            );
        }
    }
}

/// What ends a connection: nothing of SIP before anything good, and what leaves no place where a message can begin.
#[test]
fn what_is_not_sip() {
    let world = World::new("garbage");
    let ours = Asterisk::start(&world.lab, &world.setup(""));
    let mut bystander = world.connect();
    // Asterisk closes who asks for nothing in 32 seconds.
    assert_serves(&ours, &mut bystander);
    type Bad = (bool, fn(&mut Connection) -> String, &'static str);
    let bad: [Bad; 6] = [
        (
            false,
            |_| "GET / HTTP/1.1\r\nHost: x\r\n\r\n".to_owned(),
            "does not begin like a SIP message (octet 0x47 'G', before any message)",
        ),
        (
            false,
            |_| "\0\u{1}\u{2}\u{3} rubbish".to_owned(),
            "does not begin like a SIP message (octet 0x01, before any message)",
        ),
        (
            true,
            |_| "rubbish\u{7f}".repeat(10_000),
            "does not begin like a SIP message (octet 0x7f, after its OPTIONS, Call-ID ",
        ),
        (
            true,
            |_| "\n".repeat(1024 * 1024 + 1),
            "more than 1 MiB of line ends, NULs and blanks without a message (after its OPTIONS, Call-ID ",
        ),
        (
            true,
            |c| c.request(&"X: header\r\n".repeat(7_000), ""),
            "longer than 65535 bytes, and its end is not known or did not come (after its OPTIONS, Call-ID ",
        ),
        (
            true,
            |c| {
                c.request("", "")
                    .replace("Content-Length: 0", "Content-Length: 99999999999999999999")
            },
            "longer than 65535 bytes, and its end is not known or did not come (after its OPTIONS, Call-ID ",
        ),
    ];
    for (is_begun, make, reason) in bad {
        let mut connection = world.connect();
        if is_begun {
            assert_serves(&ours, &mut connection);
        }
        let local = connection.local();
        let text = make(&mut connection);
        // It may be closed before all of it is read.
        let _ = connection.send(text.as_bytes());
        assert!(
            connection.ends(SOON),
            "{reason}: it did not end the connection"
        );
        let line = ours.wait_until("the line about it", |ours| {
            ours.log_lines(&format!("connection with {local} closed"))
                .pop()
        });
        assert!(
            line.contains(reason)
                && line.contains("transport 'tls'")
                && line.contains("at a SIP message")
                && line.contains("(to change there)"),
            "{line}"
        );
    }
    assert_serves(&ours, &mut bystander);
}
