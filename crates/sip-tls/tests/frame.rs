//! Framing: every form of Content-Length, every split, every refusal.

#[path = "common/splits.rs"]
mod splits;

use std::ops::ControlFlow;

use sip_tls::frame::{FaultKind, FrameError, Framer, Item, MAX_FILLER, MAX_JUNK, MAX_MESSAGE};
use splits::{Got, outcome};

fn frame(chunks: &[&[u8]]) -> (Vec<Got>, Result<(), FrameError>) {
    let (got, end) = outcome(chunks.iter().copied());
    (got, end.map_or(Ok(()), Err))
}

/// A fault without its head and answer.
fn fault(kind: FaultKind) -> Got {
    Got::Fault(kind, Vec::new(), None, true)
}

fn with_length(field: &str, body: &str) -> Vec<u8> {
    format!("MESSAGE sip:a@b SIP/2.0\r\nVia: SIP/2.0/TLS c\r\n{field}To: <sip:a@b>\r\n\r\n{body}")
        .into_bytes()
}

/// The stream in one piece, cut in two at every place, and byte by byte.
fn all_splits(stream: &[u8], expected: &[Got], end: Result<(), FrameError>) {
    let expected = (expected.to_vec(), end);
    assert_eq!(frame(&[stream]), expected);
    for at in 0..=stream.len() {
        assert_eq!(
            frame(&[&stream[..at], &stream[at..]]),
            expected,
            "split at {at}"
        );
    }
    let bytes: Vec<&[u8]> = stream.chunks(1).collect();
    assert_eq!(frame(&bytes), expected, "byte by byte");
}

#[test]
fn forms_of_content_length() {
    for field in [
        "Content-Length: 5\r\n",
        "content-length:5\r\n",
        "CONTENT-LENGTH  \t:\t  5  \r\n",
        "l: 5\r\n",
        "L : 5\r\n",
        "Content-Length:\r\n 5\r\n",
        "Content-Length:\r\n\t\r\n  5\r\n",
        "Content-Length: 005\r\n",
        "Content-Length: 5\r\nl: 5\r\n",
    ] {
        let message = with_length(field, "hello");
        all_splits(&message, &[Got::Message(message.clone())], Ok(()));
    }
    // Not the field, though they look like it.
    let message = with_length(
        "Content-Length-X: 7\r\nSubject: x\r\n l: 9\r\nlx: 3\r\nl: 5\r\n",
        "hello",
    );
    all_splits(&message, &[Got::Message(message.clone())], Ok(()));
}

const REQUEST: &str = "MESSAGE sip:a@b SIP/2.0\r\nVia: SIP/2.0/TLS c;branch=z9hG4bK1\r\nv: SIP/2.0/TLS d\r\nFrom: <sip:c@d>;tag=1\r\n\
     t: <sip:a@b>\r\nCall-ID: 1@c\r\nCSeq: 1\r\n MESSAGE\r\n";

/// A request that can be answered, with these further fields and this body.
fn request(fields: &str, body: &str) -> Vec<u8> {
    format!("{REQUEST}{fields}\r\n{body}").into_bytes()
}

/// The faults of a stream by kind, and the messages.
fn kinds(got: &[Got]) -> Vec<Result<Vec<u8>, (FaultKind, u16)>> {
    got.iter()
        .map(|got| match got {
            Got::Message(message) => Ok(message.clone()),
            Got::Ping => Ok(b"\r\n\r\n".to_vec()),
            Got::Fault(kind, _, answer, _) => {
                let status = answer.as_ref().map_or(0, |answer| {
                    let text = String::from_utf8_lossy(&answer[8..11]).into_owned();
                    text.parse().expect("a status")
                });
                Err((*kind, status))
            }
        })
        .collect()
}

/// A Content-Length that cannot be relied on: the request is answered 400, and what follows is read.
#[test]
fn refused_content_lengths() {
    let next = with_length("l: 0\r\n", "");
    for (field, body, kind) in [
        ("Content-Length: 0 ;x\r\n", "", FaultKind::BadContentLength),
        ("Content-Length: +0\r\n", "", FaultKind::BadContentLength),
        (
            "Content-Length: +5\r\n",
            "hello",
            FaultKind::BadContentLength,
        ),
        (
            "Content-Length: 5x\r\n",
            "hello",
            FaultKind::BadContentLength,
        ),
        (
            "Content-Length: 5, 5\r\n",
            "hello",
            FaultKind::BadContentLength,
        ),
        (
            "Content-Length: 5\r\n 5\r\n",
            "hello",
            FaultKind::BadContentLength,
        ),
        ("Content-Length: \r\n", "", FaultKind::BadContentLength),
        ("Content-Length: -5\r\n", "", FaultKind::BadContentLength),
        ("Content-Length: none\r\n", "", FaultKind::BadContentLength),
        // Its lines are no start lines, and the next message is found behind them.
        (
            "Content-Length: -5\r\n",
            "hello\r\nworld\r\n",
            FaultKind::BadContentLength,
        ),
    ] {
        let stream = [request(field, body), next.clone()].concat();
        for at in 0..=stream.len() {
            let (got, end) = frame(&[&stream[..at], &stream[at..]]);
            let mut expected = vec![Err((kind, 400)), Ok(next.clone())];
            if body.contains('\n') {
                expected.insert(1, Err((FaultKind::NotSip, 0)));
            }
            assert_eq!((kinds(&got), end), (expected, Ok(())), "{field:?} at {at}");
        }
    }
}

/// Without Content-Length and Content-Type it has no body, and PJSIP is given a message that says so.
#[test]
fn no_content_length() {
    let (plain, next) = (request("", ""), with_length("l: 0\r\n", ""));
    let stream = [&plain[..], &next].concat();
    let with = [&plain[..plain.len() - 2], b"Content-Length: 0\r\n\r\n"].concat();
    all_splits(&stream, &[Got::Message(with), Got::Message(next)], Ok(()));
}

/// Where a body of unknown length follows, nothing of its TLS record is read as a message, and nothing behind a full record.
#[test]
fn unknown_ends() {
    let next = with_length("l: 0\r\n", "");
    let body = String::from_utf8(next.clone()).unwrap();
    for (field, kind, error) in [
        (
            "c: message/sip\r\n",
            FaultKind::NoContentLength,
            FrameError::NoContentLength,
        ),
        (
            "c: message/sip\r\nl: x\r\n",
            FaultKind::BadContentLength,
            FrameError::BadContentLength,
        ),
        (
            "l: 0\r\nl: 400\r\n",
            FaultKind::TwoContentLengths,
            FrameError::TwoContentLengths,
        ),
        (
            "l: 400\r\nl: 0\r\n",
            FaultKind::TwoContentLengths,
            FrameError::TwoContentLengths,
        ),
    ] {
        let bad = request(field, &body);
        let expected = vec![Err((kind, 400)), Ok(next.clone())];
        let (got, end) = frame(&[&bad, &next]);
        assert_eq!((kinds(&got), end), (expected.clone(), Ok(())), "{field}");
        // A record that does not begin a message, a keepalive, and one that does.
        let (got, _) = frame(&[&bad, b"rest: of it\r\n", &next[..7], &next[7..]]);
        assert_eq!(kinds(&got), expected);
        let (got, _) = frame(&[&bad, b"\r\n", &next]);
        assert_eq!(kinds(&got), expected);
        let full = request(field, &"x".repeat(1 << 14));
        let (got, _) = frame(&[&full[..1 << 14], &next, &next]);
        assert_eq!(kinds(&got), expected, "behind a full record nothing begins");
        // It is not looked for for ever.
        let (got, end) = frame(&[&bad, &[b'<'; 16_000].repeat(4), &[b'<'; 2_000]]);
        assert_eq!((got.len(), end), (1, Err(error)));
    }
}

/// Longer than PJSIP takes, and its end is known: 513, and every octet of its body is skipped, whatever it looks like.
#[test]
fn too_long_is_skipped() {
    let next = with_length("l: 0\r\n", "");
    let body = String::from_utf8(next.repeat(1000)).unwrap();
    let long = request(&format!("Content-Length: {}\r\n", body.len()), &body);
    assert!(long.len() > MAX_MESSAGE);
    let stream = [&long[..], &next].concat();
    for size in [1000, 16_384, stream.len()] {
        let pieces: Vec<&[u8]> = stream.chunks(size).collect();
        let (got, end) = frame(&pieces);
        let expected = vec![Err((FaultKind::TooLong, 513)), Ok(next.clone())];
        assert_eq!((kinds(&got), end), (expected, Ok(())), "by {size}");
    }
    // Its body does not come: the next record begins the next message. What begins otherwise is its body.
    let head = request("Content-Length: 70000\r\n", "");
    let expected = vec![Err((FaultKind::TooLong, 513)), Ok(next.clone())];
    assert_eq!(kinds(&frame(&[&head, &next]).0), expected);
    let text = [b'x'; 70_000];
    for first in [1, 7_000, 65_000, 66_000] {
        let (got, end) = frame(&[
            &head,
            &text[..first],
            &next,
            &text[first + next.len()..],
            &next,
        ]);
        assert_eq!((kinds(&got), end), (expected.clone(), Ok(())), "{first}");
    }
    let mut framer = Framer::default();
    let mut got = 0;
    for piece in [&head[..], b"not all", &next, &next] {
        let _ = framer.push(piece, |_| {
            got += 1;
            ControlFlow::Continue(())
        });
        if got == 1 && piece == next {
            framer.give_up_skipping();
        }
    }
    assert_eq!(got, 2, "once it is given up, the next message is found");
    // No response for a response, none for an ACK, none where a field of it is missing.
    let long = "Content-Length: 70000\r\n";
    for (from, to) in [
        ("MESSAGE sip:a@b SIP/2.0", "SIP/2.0 200 OK"),
        ("MESSAGE sip:a@b SIP/2.0", "ACK sip:a@b SIP/2.0"),
        ("Call-ID", "X-Call-ID"),
    ] {
        let head = String::from_utf8(request(long, ""))
            .unwrap()
            .replacen(from, to, 1);
        let (got, _) = frame(&[head.as_bytes()]);
        assert_eq!(kinds(&got), [Err((FaultKind::TooLong, 0))], "{to}");
    }
    // Who says that he sends more than a MiB is answered, and not believed.
    for field in [
        "Content-Length: 2000000\r\n",
        "Content-Length: 99999999999999999999999999\r\n",
    ] {
        let (got, end) = frame(&[&request(field, "")]);
        assert_eq!(kinds(&got), [Err((FaultKind::TooLong, 513))]);
        assert_eq!(end, Err(FrameError::TooLong));
    }
}

#[test]
fn the_answer() {
    let (got, _) = frame(&[&request("Content-Length: 70000\r\n", "")]);
    let Some(Got::Fault(_, _, Some(answer), _)) = got.first() else {
        panic!("{got:?}");
    };
    let answer = String::from_utf8_lossy(answer);
    let (start, tag) = answer.split_once("To: <sip:a@b>;tag=").expect("a tag");
    assert_eq!(
        start,
        "SIP/2.0 513 Message Too Large\r\nVia: SIP/2.0/TLS c;branch=z9hG4bK1\r\nVia: SIP/2.0/TLS d\r\nFrom: <sip:c@d>;tag=1\r\n"
    );
    assert_eq!(
        &tag[16..],
        "\r\nCall-ID: 1@c\r\nCSeq: 1\r\n MESSAGE\r\nContent-Length: 0\r\n\r\n"
    );
    // One that has a tag gets no other.
    let mut dialog = String::from_utf8(request("Content-Length: 70000\r\n", "")).unwrap();
    dialog = dialog.replace("t: <sip:a@b>", "To: <sip:a@b;tag=no> ; TAG=yes");
    let (got, _) = frame(&[dialog.as_bytes()]);
    let Some(Got::Fault(_, _, Some(answer), _)) = got.first() else {
        panic!("{got:?}");
    };
    assert!(String::from_utf8_lossy(answer).contains("\r\nTo: <sip:a@b;tag=no> ; TAG=yes\r\n"));
}

/// Between messages: line ends, NULs and blanks in any order, and the first thing of all too.
#[test]
fn filler() {
    let one = with_length("l: 5\r\n", "hello");
    for filler in [
        "\n",
        "\r",
        "\r\r\n",
        "\n\n",
        "\n\r\n",
        "\r\n\0",
        "\0",
        "\0\0\r\n\0",
        " ",
        "\t \r\n ",
        "\r\n\r",
    ] {
        let stream = [filler.as_bytes(), &one, filler.as_bytes(), &one].concat();
        all_splits(
            &stream,
            &[Got::Message(one.clone()), Got::Message(one.clone())],
            Ok(()),
        );
    }
    // A keepalive is four octets, whatever is before them.
    for (stream, pings) in [
        ("\n\r\n\r\n", 1),
        ("\r\r\n\r\n", 1),
        ("\r\n\r\r\n\r\n", 1),
        ("\r\n\0\r\n", 0),
        ("\0\r\n\r\n\0\r\n\r\n", 2),
        ("\r\n\n\r\n", 0),
    ] {
        all_splits(stream.as_bytes(), &vec![Got::Ping; pings], Ok(()));
    }
    // As much as one likes of what is answered, and not of the rest.
    let mut framer = Framer::default();
    let mut push = |bytes: &[u8]| framer.push(bytes, |_| ControlFlow::Continue(()));
    for _ in 0..1000 {
        let _ = push(&b"\r\n\r\n".repeat(4000)).expect("keepalives");
    }
    for _ in 0..MAX_FILLER / 4096 {
        let _ = push(&[0; 4096]).expect("not yet too many");
    }
    assert_eq!(push(b"\r"), Err(FrameError::Filler));
}

/// Behind a good message, what is no message is skipped line by line, and told once.
#[test]
fn junk_between_messages() {
    let one = with_length("l: 5\r\n", "hello");
    let message = || Got::Message(one.clone());
    for junk in [
        " and its body is longer than it says\r\n",
        "a=sendrecv\r\na=rtpmap:0 PCMU/8000\r\n",
        "{\"json\": 1}\n",
        "\u{1}\u{2}\u{3} rubbish \u{0}\r\n\r\n",
        "INVITE sip:a@b\r\nVia: SIP/2.0/TLS x\r\n\r\n",
        "INVITE SIP/2.0\r\n",
    ] {
        let stream = [&one, junk.as_bytes(), &one, junk.as_bytes(), &one].concat();
        let not_sip = || fault(FaultKind::NotSip);
        let expected = [message(), not_sip(), message(), not_sip(), message()];
        all_splits(&stream, &expected, Ok(()));
    }
    let octet = |junk: &[u8]| {
        let mut octet = None;
        let stream = [&one[..], junk].concat();
        let _ = Framer::default().push(&stream, |item| {
            if let Item::Fault(fault) = item {
                octet = fault.place.octet;
                assert_eq!(fault.place.after.to_string(), "MESSAGE, Call-ID none");
            }
            ControlFlow::Continue(())
        });
        octet
    };
    assert_eq!(octet(b"INV\x07ITE\r\n"), Some(7));
    assert_eq!(octet(b"some words\r\n"), Some(b's'));
    // Not for ever.
    let endless = [&one[..], &b"junk\r\n".repeat(MAX_JUNK / 6), b"\r\njunk\r\n"].concat();
    all_ends(&endless, FrameError::NotSip);
}

fn all_ends(stream: &[u8], error: FrameError) {
    for size in [1, 7, 16_384, stream.len()] {
        let pieces: Vec<&[u8]> = stream.chunks(size).collect();
        assert_eq!(frame(&pieces).1, Err(error), "by {size}");
    }
}

/// Another protocol's message, or another SIP's, is as long as it says.
#[test]
fn other_protocols() {
    let one = with_length("l: 5\r\n", "hello");
    let inner = String::from_utf8(one.clone()).unwrap();
    for (start, kind, status) in [
        ("POST / HTTP/1.1", FaultKind::NotSip, 0),
        ("MESSAGE sip:a@b SIP/3.0", FaultKind::Version, 505),
        ("MESSAGE sip:a@b sip/7", FaultKind::Version, 505),
        ("SIP/3.0 200 OK", FaultKind::Status, 0),
        ("SIP/2.0 20 x", FaultKind::Status, 0),
        (
            "SIP/2.0 4294967301 better not break the receiver",
            FaultKind::Status,
            0,
        ),
    ] {
        let fields = format!("Content-Length: {}\r\n", inner.len());
        let foreign = String::from_utf8(request(&fields, &inner)).unwrap();
        let foreign = foreign.replacen("MESSAGE sip:a@b SIP/2.0", start, 1);
        let stream = [&one, foreign.as_bytes(), &one].concat();
        for at in 0..=stream.len() {
            let (got, end) = frame(&[&stream[..at], &stream[at..]]);
            let expected = vec![Ok(one.clone()), Err((kind, status)), Ok(one.clone())];
            assert_eq!((kinds(&got), end), (expected, Ok(())), "{start} at {at}");
        }
    }
}

#[test]
fn glued_messages_and_keepalives() {
    let one = with_length("l: 5\r\n", "hello");
    let two = b"SIP/2.0 200 OK\r\nl: 0\r\n\r\n".to_vec();
    let stream = [
        b"\r\n",
        &one[..],
        &two,
        b"\r\n\r\n",
        &two,
        b"\r\n",
        &one,
        b"\r\n\r\n\r\n\r\n",
    ]
    .concat();
    let expected = [
        Got::Message(one.clone()),
        Got::Message(two.clone()),
        Got::Ping,
        Got::Message(two),
        Got::Message(one),
        Got::Ping,
        Got::Ping,
    ];
    all_splits(&stream, &expected, Ok(()));
}

#[test]
fn start_lines() {
    for line in [
        "INVITE sip:a@b SIP/2.0",
        "X-Y.Z!1 sip:a SIP/2.0",
        "ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEFGHIJKLMNOPQRSTUVWXYZ sip:a SIP/2.0",
        "OPTIONS sip:a SIP/2.0  ",
        "OPTIONS  sip:a;  x  SIP/2.0\t",
        "options sip:\u{fc}@b sip/2.0",
        "SIP/2.0 180 Ringing",
        "sip/2.0 500 ",
        "SIP/2.0 200",
    ] {
        let message = format!("{line}\r\nl: 0\r\n\r\n").into_bytes();
        all_splits(&message, &[Got::Message(message.clone())], Ok(()));
    }
    for line in [
        "GET / HTTP/1.1\r\n",
        "INVITE SIP/2.0\r\n",
        "INVITE  SIP/2.0\r\n",
        "INVITE sip:a\u{0}b SIP/2.0\r\n",
        "\u{16}\u{3}\u{1}",
        "POST / HTTP/1.1\r\n",
        "INVITE\r\n",
        "\r<",
        "\r\n\r=",
    ] {
        all_splits(line.as_bytes(), &[], Err(FrameError::NotSip));
    }
}

#[test]
fn garbage_is_refused_at_its_first_impossible_byte() {
    let mut framer = Framer::default();
    let mut fed = 0;
    let error = b"INVITE\x00 and a megabyte more".iter().find_map(|byte| {
        fed += 1;
        framer.push(&[*byte], |_| ControlFlow::Continue(())).err()
    });
    assert_eq!((error, fed), (Some(FrameError::NotSip), 7));
}

fn of_size(size: usize) -> Vec<u8> {
    let head = b"MESSAGE sip:a@b SIP/2.0\r\nContent-Length: 65000\r\nX: ".len() + 4;
    let pad = size - head - 65_000;
    let mut message = format!(
        "MESSAGE sip:a@b SIP/2.0\r\nContent-Length: 65000\r\nX: {}\r\n\r\n",
        "p".repeat(pad)
    );
    message.push_str(&"b".repeat(65_000));
    assert_eq!(message.len(), size);
    message.into_bytes()
}

#[test]
fn longest_message() {
    let message = of_size(MAX_MESSAGE);
    let pieces: Vec<&[u8]> = message.chunks(1000).collect();
    assert_eq!(
        frame(&pieces),
        (vec![Got::Message(message.clone())], Ok(()))
    );
    let longer = of_size(MAX_MESSAGE + 1);
    let (got, end) = frame(&[&longer]);
    assert_eq!(
        (kinds(&got), end),
        (vec![Err((FaultKind::TooLong, 0))], Ok(()))
    );
    // A header that does not end.
    let endless = [
        &b"MESSAGE sip:a@b SIP/2.0\r\n"[..],
        &b"X: y\r\n".repeat(11_000),
    ]
    .concat();
    let pieces: Vec<&[u8]> = endless.chunks(100).collect();
    assert_eq!(frame(&pieces), (vec![], Err(FrameError::TooLong)));
    let line = [&b"MESSAGE sip:"[..], &b"a".repeat(65_536)].concat();
    assert_eq!(frame(&[&line]), (vec![], Err(FrameError::TooLong)));
}

#[test]
fn nothing_is_held_between_messages() {
    let mut framer = Framer::default();
    let message = with_length("l: 5\r\n", "hello");
    let _ = framer
        .push(&message[..20], |_| ControlFlow::Continue(()))
        .unwrap();
    assert_eq!(framer.held(), 20);
    let _ = framer
        .push(&message[20..], |_| ControlFlow::Continue(()))
        .unwrap();
    assert_eq!(framer.held(), 0);
}

#[test]
fn break_stops_at_once() {
    let message = with_length("l: 5\r\n", "hello");
    let mut seen = 0;
    let flow = Framer::default().push(&message.repeat(3), |_| {
        seen += 1;
        ControlFlow::Break(())
    });
    assert_eq!((flow, seen), (Ok(ControlFlow::Break(())), 1));
}

/// The processor time of this thread: others that want the processor too do not count.
fn processor_time() -> std::time::Duration {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: The call writes the structure that is passed, which lives here.
    let result = unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut time) };
    assert_eq!(result, 0);
    std::time::Duration::new(
        time.tv_sec.try_into().unwrap(),
        time.tv_nsec.try_into().unwrap(),
    )
}

/// The worst split costs no more per byte than its calls do: byte by byte, a message of the largest size costs per byte what
/// one of an eighth of that costs. A framer that scanned from the start each time would take eight times as long.
#[test]
fn time_is_linear_in_bytes() {
    const SHARE: usize = 8;
    let time = |message: &[u8], count: usize| {
        let start = processor_time();
        let mut framer = Framer::default();
        let mut whole = 0;
        for _ in 0..count {
            for piece in message.chunks(1) {
                let _ = framer.push(piece, |_| {
                    whole += 1;
                    ControlFlow::Continue(())
                });
            }
        }
        assert_eq!(whole, count);
        processor_time() - start
    };
    // Half header, half body.
    let message = |half: usize| {
        let (header, body) = ("p".repeat(half), "b".repeat(half));
        format!("MESSAGE sip:a@b SIP/2.0\r\nContent-Length: {half}\r\nX: {header}\r\n\r\n{body}")
            .into_bytes()
    };
    let (long, short) = (message(32_000), message(32_000 / SHARE));
    time(&short, SHARE);
    let (slow, quick) = (time(&long, 10), time(&short, 10 * SHARE));
    println!("{slow:?} for long ones, {quick:?} for short ones");
    assert!(slow < quick * 4, "{slow:?} beside {quick:?}");
}

/// Random streams of plausible pieces, some damaged, under random splits.
#[test]
fn splits_change_nothing() {
    let pieces: [&[u8]; 20] = [
        b"OPTIONS sip:a SIP/2.0\r\n",
        b"SIP/2.0 200 OK\r\n",
        b"l: 3\r\n",
        b"Content-Length:\r\n 0\r\n",
        b"Content-Length: 65530\r\n",
        b"X: y\r\n",
        b"\r\n",
        b"\r\n\r\n",
        b"abc",
        b"\n",
        b"\r",
        b" l: 7\r\n",
        b"l: 70000\r\n",
        b"Content-Length: 3 x\r\n",
        b"c: text/plain\r\n",
        b"OPTIONS sip:a SIP/3.0\r\n",
        b"GET / HTTP/1.1\r\n",
        b"\0",
        b"Via: x\r\nTo: x\r\nFrom: x\r\nCall-ID: x\r\nCSeq: x\r\n",
        b"some words\r\n",
    ];
    let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = move |below: usize| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        usize::try_from(seed % below as u64).unwrap()
    };
    for _ in 0..20_000 {
        let mut stream = Vec::new();
        for _ in 0..random(12) {
            stream.extend_from_slice(pieces[random(pieces.len())]);
        }
        if !stream.is_empty() && random(4) == 0 {
            let at = random(stream.len());
            stream[at] = u8::try_from(random(256)).unwrap();
        }
        let lengths: Vec<u8> = (0..random(5))
            .map(|_| u8::try_from(random(40)).unwrap())
            .collect();
        splits::check(&stream, &lengths);
    }
}
