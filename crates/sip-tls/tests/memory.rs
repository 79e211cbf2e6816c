//! What a client makes us keep once its connection is gone. In a file of its own, for it looks at the process's memory.

mod common;

use std::io::Read;
use std::net::{SocketAddr, TcpStream};

use common::*;
use openssl::ssl::{
    SslConnector, SslMethod, SslOptions, SslSessionCacheMode, SslVerifyMode, SslVersion,
};
use sip_tls::*;

/// Resident memory in octets.
fn resident() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: usize = statm.split(' ').nth(1).unwrap().parse().unwrap();
    pages * 4096
}

/// A client's certificate whose chain has about so many octets.
fn chain(octets: usize) -> (Cert, Vec<Cert>) {
    let names: Vec<String> = (0..40)
        .map(|i| format!("{i:03}.{}.example.com", "x".repeat(200)))
        .collect();
    let names: Vec<&'static str> = names
        .into_iter()
        .map(|name| &*Box::leak(name.into_boxed_str()))
        .collect();
    let spec = Spec {
        cn: "phone",
        dns: Box::leak(names.into_boxed_slice()),
        ..Spec::default()
    };
    let own = Cert::make(
        &Spec {
            cn: "phone",
            ..Spec::default()
        },
        None,
    );
    let mut more = Vec::new();
    let mut length = own.x509.to_der().unwrap().len();
    while length < octets {
        let next = Cert::make(&spec, None);
        length += next.x509.to_der().unwrap().len();
        more.push(next);
    }
    (own, more)
}

/// A client that keeps no ticket, so that a server with a cache of sessions would keep the session.
fn connector(octets: usize) -> SslConnector {
    let (own, more) = chain(octets);
    let mut connector = SslConnector::builder(SslMethod::tls()).unwrap();
    connector.set_verify(SslVerifyMode::NONE);
    connector
        .set_max_proto_version(Some(SslVersion::TLS1_2))
        .unwrap();
    connector.set_options(SslOptions::NO_TICKET);
    connector.set_session_cache_mode(SslSessionCacheMode::OFF);
    connector.set_certificate(&own.x509).unwrap();
    connector.set_private_key(&own.key).unwrap();
    for cert in more {
        connector.add_extra_chain_cert(cert.x509).unwrap();
    }
    connector.build()
}

/// How much memory has grown by each of many connections that are gone.
fn growth(engine: &Engine, mut connect: impl FnMut()) -> usize {
    const MANY: usize = 300;
    for _ in 0..50 {
        connect();
    }
    let before = resident();
    for _ in 0..MANY {
        connect();
    }
    assert_eq!(engine.pool.counts().open, 0);
    resident().saturating_sub(before) / MANY
}

#[test]
fn little_stays_of_a_client_with_a_long_chain_that_is_gone() {
    let pki = Pki::new();
    let engine = Engine::with(
        PoolConfig {
            loops: 1,
            ..PoolConfig::default()
        },
        |_| {},
    );
    let server = ProfileConfig {
        require_client_cert: true,
        ..pki.server(&Spec::default())
    };
    let listener = engine.listen(&server);
    let address: SocketAddr = listener.address();

    // As long as we take it.
    let taken = connector(MAX_CERTIFICATES * 7 / 10);
    let stays = growth(&engine, || {
        let tcp = TcpStream::connect(address).unwrap();
        let mut phone = taken.connect("sip.example.com", tcp).unwrap();
        let (_, info) = engine.accepted();
        assert_eq!((info.version, info.resumed), ("TLSv1.2", false));
        phone.shutdown().unwrap();
        engine.closed();
        let _ = phone.read(&mut [0]);
    });
    assert!(stays < 4096, "{stays} octets stay for each");

    // Longer: it is refused, and told so.
    let refused = connector(60_000);
    let stays = growth(&engine, || {
        let tcp = TcpStream::connect(address).unwrap();
        assert!(refused.connect("sip.example.com", tcp).is_err());
        let reason = engine.refused();
        assert_eq!(
            (reason.code, reason.stage, reason.side),
            (Code::HandshakeTooLong, Stage::Certificate, Side::Theirs),
            "{reason:?}"
        );
        while engine.pool.loads() != [0] {
            std::thread::yield_now();
        }
    });
    assert!(stays < 4096, "{stays} octets stay for each");
    engine.finish();
}
