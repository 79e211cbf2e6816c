//! Long first messages, cut anywhere: a ClientHello with what is new (post-quantum key shares) or only long, and chains of certificates.

mod common;

use std::io::{self, Read, Write};
use std::net::TcpStream;

use common::*;
use openssl::ssl::{Ssl, SslContext, SslMethod, SslStream, SslVersion};
use sip_tls::*;

const NAME: &str = "sip.example.com";

/// A TCP connection that sends what is written first in two pieces.
struct Cut {
    tcp: TcpStream,
    at: Option<usize>,
    /// How long the first flight was.
    first: usize,
}

impl Read for Cut {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.at = None;
        self.tcp.read(buffer)
    }
}

impl Write for Cut {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let Some(at) = self.at.take() else {
            return self.tcp.write(bytes);
        };
        self.first = bytes.len();
        let at = at.min(bytes.len());
        self.tcp.write_all(&bytes[..at])?;
        // So that it is read in two pieces, mostly. Both are right.
        std::thread::yield_now();
        self.tcp.write_all(&bytes[at..])?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.tcp.flush()
    }
}

/// A client whose ClientHello has about `length` octets: a list of application protocols makes it so long.
fn client(length: usize) -> SslContext {
    let mut context = SslContext::builder(SslMethod::tls_client()).unwrap();
    let mut protocols = Vec::new();
    while protocols.len() + 300 < length {
        protocols.push(255);
        protocols.extend([b'x'; 255]);
    }
    if !protocols.is_empty() {
        context.set_alpn_protos(&protocols).unwrap();
    }
    context.build()
}

/// A handshake with that hello, cut there, and a request with its answer; how long the hello was.
fn shake(context: &SslContext, address: std::net::SocketAddr, at: usize) -> usize {
    let tcp = TcpStream::connect(address).unwrap();
    tcp.set_nodelay(true).unwrap();
    tcp.set_read_timeout(Some(PATIENCE)).unwrap();
    let cut = Cut {
        tcp,
        at: Some(at),
        first: 0,
    };
    let mut stream = SslStream::new(Ssl::new(context).unwrap(), cut).unwrap();
    stream
        .connect()
        .unwrap_or_else(|error| panic!("cut at {at}: {error}"));
    stream.write_all(OPTIONS).unwrap();
    let mut answer = vec![0; OK.len()];
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(answer, OK);
    stream.get_ref().first
}

#[test]
fn a_client_hello_cut_anywhere() {
    let pki = Pki::new();
    let engine = Engine::with(PoolConfig::default(), |recorder| {
        recorder.answer = true;
        recorder.quiet = true;
    });
    let listener = engine.listen(&pki.server(&Spec::default()));
    let mut done = 0;
    for (length, step) in [(0, 1), (1_500, 3), (16_000, 101), (40_000, 1_009)] {
        let context = client(length);
        let whole = shake(&context, listener.address(), usize::MAX);
        // A longer one goes in several writes; the first is as long as a record can be.
        let least = length.min(16_000) * 3 / 4;
        assert!(whole >= least, "{whole} of {length}");
        for at in (1..whole).step_by(step) {
            shake(&context, listener.address(), at);
            done += 1;
        }
    }
    engine.wait_for("all of them", |counts| counts.established_in == done + 4);
}

/// One that is too long for OpenSSL (128 KiB) is refused with its reason.
#[test]
fn a_client_hello_without_end() {
    let pki = Pki::new();
    let engine = Engine::new();
    let listener = engine.listen(&pki.server(&Spec::default()));
    let mut tcp = TcpStream::connect(listener.address()).unwrap();
    // A handshake record that says: a ClientHello of 200,000 octets.
    let mut record = vec![22, 3, 1, 0x40, 0, 1, 3, 0x0D, 0x40, 3, 3];
    record.resize(5 + 0x4000, 0);
    tcp.write_all(&record).unwrap();
    let reason = engine.refused();
    assert_eq!(
        (reason.code, reason.side),
        (Code::HandshakeTooLong, Side::Theirs),
        "{reason}"
    );
}

#[test]
fn chains_of_ten_thousand_octets() {
    let pki = Pki::new();
    let between = Cert::make(
        &Spec {
            cn: "between",
            dns: &[],
            ca: true,
            ballast: 5_000,
            ..Spec::default()
        },
        Some(&pki.ca),
    );
    let leaf = Cert::make(
        &Spec {
            ballast: 5_000,
            ..Spec::default()
        },
        Some(&between),
    );
    let mut long = pki.own(&leaf);
    let chain = [leaf.pem(), between.pem()].concat();
    assert!(between.x509.to_der().unwrap().len() + leaf.x509.to_der().unwrap().len() > 10_000);
    long.cert_file = Some(pki.dir.write("chain.pem", &chain));
    let verified = |version: Method, config: ProfileConfig| ProfileConfig {
        ca_list_file: Some(pki.ca_file.clone()),
        verify_server: true,
        verify_client: true,
        require_client_cert: true,
        method: version,
        ..config
    };
    for version in [Method::Tls12, Method::Tls13] {
        // Both ends show it, and both verify it.
        let config = verified(version, long.clone());
        let (server_side, client_side) = meet(&config, &config, NAME);
        assert_eq!(server_side.unwrap().faults, []);
        assert_eq!(client_side.unwrap().faults, []);
    }
    // Without the one between it leads nowhere.
    let alone = ProfileConfig {
        cert_file: Some(pki.dir.write("alone.pem", &leaf.pem())),
        ..long
    };
    let (_, client_side) = meet(
        &ProfileConfig {
            verify_client: false,
            require_client_cert: false,
            ..verified(Method::Tls12, alone)
        },
        &pki.client(),
        NAME,
    );
    assert_eq!(client_side.unwrap_err().code, Code::CertUntrusted);
}

#[test]
fn versions_of_the_cut_hello_are_known() {
    // What the line about an old phone is made from comes in pieces too.
    let pki = Pki::new();
    let engine = Engine::new();
    let listener = engine.listen(&pki.server(&Spec::default()));
    let mut context = SslContext::builder(SslMethod::tls_client()).unwrap();
    context.set_security_level(0);
    context
        .set_max_proto_version(Some(SslVersion::TLS1))
        .unwrap();
    let context = context.build();
    for at in 1..20 {
        let tcp = TcpStream::connect(listener.address()).unwrap();
        tcp.set_nodelay(true).unwrap();
        let cut = Cut {
            tcp,
            at: Some(at),
            first: 0,
        };
        let mut stream = SslStream::new(Ssl::new(&context).unwrap(), cut).unwrap();
        assert!(stream.connect().is_err());
        let reason = engine.refused();
        assert_eq!(
            reason.version,
            Some(HelloVersion {
                from_client: true,
                number: 0x0301
            }),
            "{at}: {reason}"
        );
    }
}
