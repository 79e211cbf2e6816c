//! Renegotiation (TLS 1.2): a server whose client we are may, a client of ours may not. And a server that could not do it safely.

mod common;

use std::ffi::{c_int, c_long, c_void};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread::JoinHandle;
use std::time::Duration;

use common::*;
use foreign_types::ForeignTypeRef;
use openssl::ssl::{
    Ssl, SslContext, SslContextBuilder, SslFiletype, SslMethod, SslOptions, SslSessionCacheMode,
    SslStream, SslVerifyMode, SslVersion,
};
use openssl_sys as ffi;
use sip_tls::*;

const NAME: &str = "sip.example.com";

unsafe extern "C" {
    fn SSL_renegotiate(ssl: *mut ffi::SSL) -> c_int;
}

type Stream = SslStream<TcpStream>;

/// Asks for a new handshake: a server sends HelloRequest, a client ClientHello.
fn renegotiate(stream: &mut Stream) -> Result<(), openssl::ssl::Error> {
    // SAFETY: a live connection.
    assert_eq!(unsafe { SSL_renegotiate(stream.ssl().as_ptr()) }, 1);
    stream.do_handshake()
}

/// How many renegotiations have begun.
fn begun(stream: &Stream) -> c_long {
    const SSL_CTRL_GET_TOTAL_RENEGOTIATIONS: c_int = 12;
    // SAFETY: a live connection, and a control that reads a number.
    unsafe {
        ffi::SSL_ctrl(
            stream.ssl().as_ptr(),
            SSL_CTRL_GET_TOTAL_RENEGOTIATIONS,
            0,
            std::ptr::null_mut::<c_void>(),
        )
    }
}

fn context(profile: &ProfileConfig, resumes: bool) -> SslContext {
    let mut context = SslContextBuilder::new(SslMethod::tls_server()).unwrap();
    context
        .set_max_proto_version(Some(SslVersion::TLS1_2))
        .unwrap();
    context
        .set_certificate_file(profile.cert_file.as_ref().unwrap(), SslFiletype::PEM)
        .unwrap();
    context
        .set_private_key_file(profile.priv_key_file.as_ref().unwrap(), SslFiletype::PEM)
        .unwrap();
    context.set_session_id_context(b"carrier").unwrap();
    if !resumes {
        context.set_options(SslOptions::NO_TICKET);
        context.set_session_cache_mode(SslSessionCacheMode::OFF);
    }
    context.build()
}

/// A carrier: accepts one connection, sees that it is served, and then does this.
fn carrier(
    context: SslContext,
    then: impl FnOnce(&mut Stream) + Send + 'static,
) -> (SocketAddr, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let thread = std::thread::spawn(move || {
        let (tcp, _) = listener.accept().unwrap();
        tcp.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut stream = SslStream::new(Ssl::new(&context).unwrap(), tcp).unwrap();
        stream.accept().unwrap();
        ask(&mut stream);
        then(&mut stream);
    });
    (address, thread)
}

/// A request, and its answer.
fn ask(stream: &mut Stream) {
    stream.write_all(OPTIONS).unwrap();
    hear(stream, OK);
}

fn answering(config: PoolConfig) -> Engine {
    Engine::with(config, |recorder| recorder.answer = true)
}

#[test]
fn a_server_renegotiates_and_goes_on() {
    let pki = Pki::new();
    for resumes in [false, true] {
        let server = context(&pki.server(&Spec::default()), resumes);
        let (address, thread) = carrier(server, |stream| {
            for round in 1..=3 {
                renegotiate(stream).unwrap();
                // A message between HelloRequest and the ClientHello: its answer has to wait.
                ask(stream);
                assert_eq!(begun(stream), round);
                assert!(stream.ssl().is_init_finished());
                ask(stream);
            }
            let _ = stream.shutdown();
        });
        let engine = answering(PoolConfig::default());
        let conn = engine.connect(address, NAME, &pki.client());
        assert_eq!(engine.connected().version, "TLSv1.2");
        for _ in 0..4 {
            assert_eq!(engine.message(), OPTIONS);
        }
        // What is queued while it renegotiates is not lost.
        let reason = engine.closed();
        thread.join().unwrap();
        assert_eq!(reason.code, Code::PeerClosed, "{reason}");
        drop(conn);
    }
}

#[test]
fn the_name_is_compared_again() {
    let pki = Pki::new();
    for (verify, other, code) in [
        (
            true,
            Spec {
                dns: &["other.example.com"],
                ..Spec::default()
            },
            Some(Code::CertName),
        ),
        (
            true,
            Spec {
                to_days: -1,
                from_days: -9,
                ..Spec::default()
            },
            Some(Code::CertExpired),
        ),
        (true, Spec::default(), None),
        (
            false,
            Spec {
                dns: &["other.example.com"],
                ..Spec::default()
            },
            None,
        ),
    ] {
        let first = context(&pki.server(&Spec::default()), false);
        let second = context(&pki.server(&other), false);
        let (address, thread) = carrier(first, move |stream| {
            // SAFETY: a live connection and a live context.
            unsafe { SSL_set_SSL_CTX(stream.ssl().as_ptr(), second.as_ptr()) };
            renegotiate(stream).unwrap();
            if code.is_none() {
                ask(stream);
                let _ = stream.shutdown();
            } else {
                // It ends before a message of ours goes to whom we did not ask for.
                let mut rest = Vec::new();
                let _ = stream.read_to_end(&mut rest);
                assert_eq!(rest, b"");
            }
        });
        let engine = answering(PoolConfig::default());
        let client = ProfileConfig {
            verify_server: verify,
            ..pki.client()
        };
        let _conn = engine.connect(address, NAME, &client);
        let reason = engine.closed();
        thread.join().unwrap();
        assert_eq!(reason.code, code.unwrap_or(Code::PeerClosed), "{reason}");
        if code.is_some() {
            assert_eq!(reason.stage, Stage::Renegotiation, "{reason}");
            assert!(reason.fault.is_some());
        }
    }
}

unsafe extern "C" {
    fn SSL_set_SSL_CTX(ssl: *mut ffi::SSL, context: *mut ffi::SSL_CTX) -> *mut ffi::SSL_CTX;
}

/// What is said of a connection that was up does not speak of how it began.
#[test]
fn a_certificate_that_is_demanded_later() {
    let pki = Pki::new();
    let server = context(&pki.server(&Spec::default()), false);
    let (address, thread) = carrier(server, |stream| {
        let mode = SslVerifyMode::PEER | SslVerifyMode::FAIL_IF_NO_PEER_CERT;
        // SAFETY: a live connection; without a callback OpenSSL verifies itself.
        unsafe { ffi::SSL_set_verify(stream.ssl().as_ptr(), mode.bits(), None) };
        renegotiate(stream).unwrap();
        assert!(stream.read(&mut [0; 100]).is_err());
    });
    let engine = answering(PoolConfig::default());
    let _conn = engine.connect(address, NAME, &pki.client());
    let reason = engine.closed();
    thread.join().unwrap();
    assert_eq!(reason.alert, Some(40), "{reason}");
    assert_eq!(
        (reason.code, reason.stage),
        (Code::PeerHandshakeFailure, Stage::Renegotiation)
    );
}

#[test]
fn a_renegotiation_that_does_not_end() {
    let pki = Pki::new();
    let server = context(&pki.server(&Spec::default()), false);
    let (address, thread) = carrier(server, |stream| {
        renegotiate(stream).unwrap();
        // It reads nothing more by TLS.
        let _ = stream.get_mut().read_to_end(&mut Vec::new());
    });
    let engine = answering(PoolConfig {
        // The first handshake has it too.
        handshake_timeout: Duration::from_secs(2),
        ..PoolConfig::default()
    });
    let conn = engine.connect(address, NAME, &pki.client());
    engine.message();
    let reason = engine.closed();
    assert_eq!(reason.code, Code::RenegotiationTimeout, "{reason}");
    drop(conn);
    thread.join().unwrap();
}

/// A renegotiation's time is its own: a connection is not closed later for one that came to its end.
#[test]
fn the_time_ends_with_the_renegotiation() {
    let pki = Pki::new();
    let server = context(&pki.server(&Spec::default()), false);
    let limit = Duration::from_secs(2);
    let (address, thread) = carrier(server, move |stream| {
        renegotiate(stream).unwrap();
        ask(stream);
        // Longer than the limit: it must still be there.
        std::thread::sleep(limit + Duration::from_millis(500));
        ask(stream);
        let _ = stream.shutdown();
    });
    let engine = answering(PoolConfig {
        handshake_timeout: limit,
        ..PoolConfig::default()
    });
    let _conn = engine.connect(address, NAME, &pki.client());
    assert_eq!(engine.closed().code, Code::PeerClosed);
    thread.join().unwrap();
}

#[test]
fn a_client_may_not() {
    let pki = Pki::new();
    let engine = answering(PoolConfig::default());
    let listener = engine.listen(&pki.server(&Spec::default()));
    let mut context = SslContext::builder(SslMethod::tls_client()).unwrap();
    context
        .set_max_proto_version(Some(SslVersion::TLS1_2))
        .unwrap();
    let tcp = TcpStream::connect(listener.address()).unwrap();
    tcp.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut stream = SslStream::new(Ssl::new(&context.build()).unwrap(), tcp).unwrap();
    stream.connect().unwrap();
    ask(&mut stream);
    let error = renegotiate(&mut stream).expect_err("it is refused");
    assert!(error.to_string().contains("no renegotiation"), "{error}");
    assert_eq!(engine.accepted().1.version, "TLSv1.2");
    drop(stream);
    let reason = engine.closed();
    assert_eq!(reason.code, Code::RenegotiationRefused, "{reason}");
}

/// A server without RFC 5746: its ServerHello has no renegotiation_info.
#[test]
fn a_server_without_secure_renegotiation() {
    let pki = Pki::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let engine = Engine::new();
    let _conn = engine.connect(listener.local_addr().unwrap(), NAME, &pki.client());
    let (mut tcp, _) = listener.accept().unwrap();
    let mut hello = [0; 2048];
    assert!(tcp.read(&mut hello).unwrap() > 0);
    tcp.write_all(&old_server_hello()).unwrap();
    let reason = engine.failed();
    assert_eq!(
        (reason.code, reason.side),
        (Code::NoSecureRenegotiation, Side::Theirs)
    );
    assert_eq!(reason.openssl.map(|(_, reason)| reason), Some(338));
    assert!(reason.to_string().contains("RFC 5746"), "{reason}");
}

/// TLS 1.2, ECDHE-RSA-AES128-GCM-SHA256, no extension.
fn old_server_hello() -> Vec<u8> {
    let mut body = vec![3, 3];
    body.extend([7; 32]);
    body.extend([0, 0xC0, 0x2F, 0]);
    let mut message = vec![22, 3, 3, 0, 0, 2, 0, 0, 0];
    message[8] = u8::try_from(body.len()).unwrap();
    message[4] = message[8] + 4;
    message.extend(body);
    message
}
