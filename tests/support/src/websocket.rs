//! SIP over WebSockets (RFC 7118) by hand, over TLS or in clear: the phone that a browser is.

use std::io::{Read, Write};
use std::net::SocketAddr;

use openssl::ssl::{SslConnector, SslMethod, SslVerifyMode};

use crate::lab::Lab;
use crate::wait;

trait Stream: Read + Write {}
impl<S: Read + Write> Stream for S {}

/// A connection, upgraded.
pub struct WebSocket {
    stream: Box<dyn Stream>,
    local: SocketAddr,
    /// `WS` or `WSS`.
    transport: &'static str,
    received: Vec<u8>,
    requests: u32,
}

/// A text frame (RFC 6455 section 5.2), whole; what a client sends is masked.
const TEXT: u8 = 0x81;
const MASKED: u8 = 0x80;
/// The second octet says that the length is in the two behind it.
const LONG: u8 = 126;

impl WebSocket {
    /// Connects to Asterisk's `/ws` at `peer`. Whose certificate it is is not asked.
    pub fn connect(lab: &Lab, peer: &str, over_tls: bool) -> Self {
        let tcp = lab.tcp(peer).expect("a connection");
        tcp.set_read_timeout(Some(wait::SOON)).expect("a socket");
        let local = tcp.local_addr().expect("a socket");
        let stream: Box<dyn Stream> = if over_tls {
            let mut connector = SslConnector::builder(SslMethod::tls_client()).expect("OpenSSL");
            connector.set_verify(SslVerifyMode::NONE);
            Box::new(connector.build().connect("phone", tcp).expect("TLS"))
        } else {
            Box::new(tcp)
        };
        let mut socket = Self {
            stream,
            local,
            transport: if over_tls { "WSS" } else { "WS" },
            received: Vec::new(),
            requests: 0,
        };
        let upgrade = format!(
            "GET /ws HTTP/1.1\r\nHost: {peer}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Key: AAECAwQFBgcICQoLDA0ODw==\r\nSec-WebSocket-Protocol: sip\r\n\
             Sec-WebSocket-Version: 13\r\n\r\n"
        );
        socket.stream.write_all(upgrade.as_bytes()).expect("sent");
        let end = socket.read_until("the upgrade", |octets| {
            octets.windows(4).position(|it| it == b"\r\n\r\n")
        });
        let answer = String::from_utf8_lossy(&socket.received[..end]).into_owned();
        assert!(answer.starts_with("HTTP/1.1 101"), "{answer}");
        socket.received.drain(..end + 4);
        socket
    }

    fn read_until(&mut self, what: &str, found: impl Fn(&[u8]) -> Option<usize>) -> usize {
        loop {
            if let Some(found) = found(&self.received) {
                return found;
            }
            let mut buffer = [0; 4096];
            let count = self.stream.read(&mut buffer);
            let count = count.unwrap_or_else(|error| panic!("waited for {what}: {error}"));
            assert_ne!(count, 0, "{what}: the connection has ended");
            self.received.extend_from_slice(&buffer[..count]);
        }
    }

    /// Sends a message.
    pub fn send(&mut self, message: &str) {
        let length = u16::try_from(message.len()).expect("a short message");
        let mut frame = vec![TEXT, MASKED | LONG];
        frame.extend(length.to_be_bytes());
        // A mask of zeros leaves the octets as they are.
        frame.extend([0; 4]);
        frame.extend(message.as_bytes());
        self.stream.write_all(&frame).expect("sent");
    }

    /// The next message.
    pub fn receive(&mut self) -> String {
        loop {
            let end = self.read_until("a SIP message", |octets| {
                let (header, length) = frame(octets)?;
                (octets.len() >= header + length).then_some(header + length)
            });
            let (header, _) = frame(&self.received).expect("it was whole");
            let octets: Vec<u8> = self.received.drain(..end).collect();
            if octets[0] == TEXT {
                return String::from_utf8_lossy(&octets[header..]).into_owned();
            }
        }
    }

    /// The next final response to `method`; what else comes is passed over.
    pub fn response(&mut self, method: &str) -> (u16, String) {
        loop {
            let message = self.receive();
            let status = crate::sip::status(&message);
            let cseq = crate::sip::header(&message, "CSeq").unwrap_or_default();
            if status >= 200 && cseq.ends_with(method) {
                return (status, message);
            }
        }
    }

    /// A request of a new dialog with the user `who`, from the user `phone`.
    pub fn request(&mut self, method: &str, who: &str, body: &str) -> String {
        self.requests += 1;
        let Self {
            local,
            transport,
            requests: number,
            ..
        } = self;
        let port = local.port();
        let kind = match body {
            "" => "",
            _ => "Content-Type: application/sdp\r\n",
        };
        format!(
            "{method} sip:{who}@asterisk SIP/2.0\r\nVia: SIP/2.0/{transport} {local};rport;branch=z9hG4bK{port}x{number}\r\n\
             Max-Forwards: 70\r\nFrom: <sip:phone@asterisk>;tag={number}\r\nTo: <sip:{who}@asterisk>\r\n\
             Call-ID: {port}-{number}@phone\r\nCSeq: {number} {method}\r\n\
             Contact: <sip:phone@{local};transport=ws>\r\n{kind}Content-Length: {}\r\n\r\n{body}",
            body.len()
        )
    }

    /// Registers the user `phone`.
    pub fn register(&mut self) {
        let request = self.request("REGISTER", "phone", "");
        self.send(&request);
        let (status, answer) = self.response("REGISTER");
        assert_eq!(status, 200, "{answer}");
    }

    /// Calls an extension with this description: the status, and the answer, which is acknowledged where it is a good one.
    pub fn call(&mut self, extension: &str, sdp: &str) -> (u16, String) {
        let invite = self.request("INVITE", extension, sdp);
        self.send(&invite);
        let (status, answer) = self.response("INVITE");
        if status == 200 {
            let ack = in_dialog(&invite, "ACK", &answer);
            self.send(&ack);
        }
        (status, answer)
    }

    /// Its own address.
    pub fn local(&self) -> SocketAddr {
        self.local
    }
}

/// A request behind `invite` and the answer to it.
fn in_dialog(invite: &str, method: &str, answer: &str) -> String {
    let to = crate::sip::header(answer, "To").expect("a To");
    let contact = crate::sip::header(answer, "Contact").expect("a Contact");
    let target = contact.split(['<', '>']).nth(1).expect("a URI");
    let mut lines = format!("{method} {target} SIP/2.0\r\n");
    let head = invite.split("\r\n\r\n").next().unwrap_or_default();
    for line in head.split("\r\n").skip(1) {
        match line.split_once(": ") {
            Some(("To", _)) => lines += &format!("To: {to}\r\n"),
            Some(("CSeq", number)) => {
                lines += &format!("CSeq: {}\r\n", number.replace("INVITE", method));
            }
            Some(("Via", via)) => lines += &format!("Via: {via}ack\r\n"),
            Some(("Content-Type" | "Content-Length", _)) | None => {}
            Some(_) => lines += &format!("{line}\r\n"),
        }
    }
    lines + "Content-Length: 0\r\n\r\n"
}

/// The lengths of a frame's header and of what is in it.
fn frame(octets: &[u8]) -> Option<(usize, usize)> {
    match *octets.get(1)? & !MASKED {
        LONG => {
            let length = octets.get(2..4)?;
            Some((4, u16::from_be_bytes([length[0], length[1]]).into()))
        }
        length if length < LONG => Some((2, length.into())),
        _ => panic!("a frame that no SIP message needs"),
    }
}
