//! Profiles for some of a transport's peers: which one a connection gets, and that each option does what it says. Each row has a twin
//! that differs in that option alone and is refused.

#[path = "../common/mod.rs"]
mod common;

mod chosen;
mod loaded;
mod options;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;

use common::*;
use openssl::hash::{MessageDigest, hash};
use openssl::ssl::{Ssl, SslContext, SslContextBuilder, SslMethod, SslStream};
use openssl::x509::X509;
use sip_tls::select::{Destination, Selectors};
use sip_tls::verify::PeerName;
use sip_tls::*;

const NAME: &str = "sip.example.com";

fn words(words: &[&str]) -> Vec<Destination> {
    let parsed = words.iter().map(|word| Destination::parse(word).unwrap());
    parsed.collect()
}

/// A profile that is chosen by these words.
fn named(name: &str, by: Selectors, config: &ProfileConfig) -> Named {
    let config = ProfileConfig {
        name: Some(name.into()),
        ..config.clone()
    };
    Named {
        name: name.into(),
        selectors: by,
        profile: Ok(load(&config)),
    }
}

fn by_destination(by: &[&str]) -> Selectors {
    Selectors {
        destinations: words(by),
        ..Selectors::default()
    }
}

fn by_server_name(by: &[&str]) -> Selectors {
    Selectors {
        server_names: words(by),
        ..Selectors::default()
    }
}

fn with(config: &ProfileConfig, named: Vec<Named>) -> Arc<Profile> {
    Arc::new(Profile::load_with(config, named).unwrap().0)
}

fn listen(engine: &Engine, profile: Arc<Profile>) -> Listener<()> {
    let config = ListenerConfig {
        address: "0.0.0.0:0".parse().unwrap(),
        profile,
        options: SocketOptions::default(),
    };
    engine.pool.listen(config, ()).unwrap()
}

fn call(engine: &Engine, port: u16, name: &str, profile: &Arc<Profile>) -> Conn {
    let name = PeerName::parse(name);
    let target = Target {
        remote: SocketAddr::from(([127, 0, 0, 1], port)),
        local: None,
        profile: profile.to(&name).unwrap(),
        name,
        options: SocketOptions::default(),
    };
    engine.pool.connect(target, Clone::clone).unwrap()
}

fn sha256(bytes: &[u8]) -> String {
    let digest = hash(MessageDigest::sha256(), bytes).unwrap();
    let digits: String = digest.iter().map(|octet| format!("{octet:02x}")).collect();
    format!("SHA256:{digits}")
}

fn x509(config: &ProfileConfig) -> X509 {
    let pem = std::fs::read(config.cert_file.as_ref().unwrap()).unwrap();
    X509::from_pem(&pem).unwrap()
}

/// What a client of TLS sees, or that it is refused.
fn visit(
    from: [u8; 4],
    to: SocketAddr,
    server_name: Option<&str>,
    tune: impl FnOnce(&mut SslContextBuilder),
) -> Option<SslStream<TcpStream>> {
    let mut context = SslContext::builder(SslMethod::tls_client()).unwrap();
    tune(&mut context);
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from((from, 0)).into()).unwrap();
    let to = SocketAddr::from(([127, 0, 0, 1], to.port()));
    socket.connect(&to.into()).unwrap();
    let mut ssl = Ssl::new(&context.build()).unwrap();
    if let Some(name) = server_name {
        ssl.set_hostname(name).unwrap();
    }
    let mut stream = SslStream::new(ssl, TcpStream::from(socket)).unwrap();
    stream.connect().ok()?;
    Some(stream)
}

const HERE: [u8; 4] = [127, 0, 0, 1];
const PHONE: [u8; 4] = [127, 0, 0, 2];

fn cn(stream: &SslStream<TcpStream>) -> String {
    let peer = stream.ssl().peer_certificate().unwrap();
    CertInfo::of(&peer).unwrap().subject.cn
}
