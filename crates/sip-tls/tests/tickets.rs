//! When a client gets the ticket by which it can resume its session.

mod common;

use std::io::Write;
use std::net::TcpStream;

use common::*;
use openssl::ssl::{Ssl, SslContext, SslMethod, SslSession, SslStream, SslVersion};

/// Connects, and resumes `session` if the server takes it.
fn connect(
    context: &SslContext,
    address: std::net::SocketAddr,
    session: Option<&SslSession>,
) -> SslStream<TcpStream> {
    let mut ssl = Ssl::new(context).unwrap();
    if let Some(session) = session {
        // SAFETY: the session is of a connection of the same context.
        unsafe { ssl.set_session(session) }.unwrap();
    }
    let mut stream = SslStream::new(ssl, TcpStream::connect(address).unwrap()).unwrap();
    stream.connect().unwrap();
    stream
}

/// How many octets wait to be read, up to one.
fn waiting(stream: &SslStream<TcpStream>) -> usize {
    let tcp = stream.get_ref();
    tcp.set_nonblocking(true).unwrap();
    let count = tcp.peek(&mut [0]).unwrap_or(0);
    tcp.set_nonblocking(false).unwrap();
    count
}

/// chan_sip (Asterisk 16 to 20) waits for whatever there is to read by a read of a message, and sends nothing of its own until one has
/// come: a ticket alone would stop it.
#[test]
fn a_ticket_comes_with_a_message_and_not_before() {
    let pki = Pki::new();
    let engine = Engine::new();
    let listener = engine.listen(&pki.server(&Spec::default()));
    for version in [SslVersion::TLS1_2, SslVersion::TLS1_3] {
        let mut context = SslContext::builder(SslMethod::tls_client()).unwrap();
        context.set_max_proto_version(Some(version)).unwrap();
        let context = context.build();
        let mut session: Option<SslSession> = None;
        // The session of a connection that ends without a close_notify is none any more.
        let mut phones = Vec::new();
        // The first one, one that resumes its session, and one that resumes that one's.
        for resumed in [false, true, true] {
            let mut phone = connect(&context, listener.address(), session.as_ref());
            assert_eq!(phone.ssl().version2(), Some(version));
            let has_ticket = version == SslVersion::TLS1_2 || is_openssl_3();
            let resumed = resumed && has_ticket;
            assert_eq!(engine.accepted().1.resumed, resumed, "{version:?}");
            phone.write_all(OPTIONS).unwrap();
            let conn = engine.until(|event| match event {
                Event::Message(conn, _) => Some(conn),
                _ => None,
            });
            // It has been read, so whatever the handshake has to send was sent.
            assert_eq!(waiting(&phone), 0, "{version:?}: before the first message");
            for _ in 0..2 {
                conn.send(OK, 1).unwrap();
                hear(&mut phone, OK);
            }
            session = phone.ssl().session().map(ToOwned::to_owned);
            phones.push(phone);
        }
    }
}
