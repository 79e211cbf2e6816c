//! Framing: every form of Content-Length, every split, every refusal.

#[path = "common/splits.rs"]
mod splits;

use std::ops::ControlFlow;

use sip_tls::frame::{FrameError, Framer, Item, MAX_MESSAGE};

#[derive(Debug, Clone, PartialEq)]
enum Got {
    Message(Vec<u8>),
    Ping,
}

fn frame(chunks: &[&[u8]]) -> (Vec<Got>, Result<(), FrameError>) {
    let mut framer = Framer::default();
    let mut got = Vec::new();
    for chunk in chunks {
        let result = framer.push(chunk, |item| {
            got.push(match item {
                Item::Message(message) => Got::Message(message.to_vec()),
                Item::Ping => Got::Ping,
            });
            ControlFlow::Continue(())
        });
        if let Err(error) = result {
            return (got, Err(error));
        }
    }
    (got, Ok(()))
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

#[test]
fn refused_content_lengths() {
    for (field, error) in [
        ("", FrameError::NoContentLength),
        ("Content-Length: \r\n", FrameError::BadContentLength),
        ("Content-Length: -5\r\n", FrameError::BadContentLength),
        ("Content-Length: +5\r\n", FrameError::BadContentLength),
        ("Content-Length: 5x\r\n", FrameError::BadContentLength),
        ("Content-Length: 5, 5\r\n", FrameError::BadContentLength),
        ("Content-Length: 5\r\n 5\r\n", FrameError::BadContentLength),
        (
            "Content-Length: 5\r\nl: 6\r\n",
            FrameError::TwoContentLengths,
        ),
        ("Content-Length: 65536\r\n", FrameError::TooLong),
        (
            "Content-Length: 99999999999999999999999999\r\n",
            FrameError::TooLong,
        ),
    ] {
        all_splits(&with_length(field, "hello"), &[], Err(error));
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
        "INVITE sip:a@b SIP/3.0\r\n",
        "INVITE SIP/2.0\r\n",
        "INVITE  SIP/2.0\r\n",
        "SIP/2.0 20 x\r\n",
        "SIP/2.0 2000 x\r\n",
        "SIP/3.0 200 OK\r\n",
        "INVITE sip:a\u{0}b SIP/2.0\r\n",
        "\u{16}\u{3}\u{1}",
        " INVITE",
        "INVITE\r\n",
        "ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEFGHIJKLMNOPQRSTUVWXYZ",
        "\rX",
        "\n",
        "\r\n\rX",
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
    assert_eq!(frame(&[&longer]), (vec![], Err(FrameError::TooLong)));
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
    let pieces: [&[u8]; 12] = [
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
