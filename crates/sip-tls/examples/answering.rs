//! A server of this crate alone that answers each SIP request with 200: what `make test-tls` asks.
//!
//! `cargo run --release -p sip-tls --example answering ADDRESS CERTIFICATE KEY [CIPHERS]`
//!
//! Why a connection was refused or closed is printed. It ends when its standard input ends.

use std::io::Read as _;
use std::net::SocketAddr;
use std::sync::Arc;

use sip_tls::frame::Fault;
use sip_tls::{
    Conn, Host, ListenerConfig, ListenerEvent, LoopFailure, Pool, PoolConfig, Profile,
    ProfileConfig, Reason, SocketOptions, TlsInfo,
};

const OK: &[u8] =
    b"SIP/2.0 200 OK\r\nVia: SIP/2.0/TLS x\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n";

struct Answering;

impl Host for Answering {
    type Listener = ();
    type Conn = Conn;
    type Local = ();
    fn local(&self, _: usize) -> std::io::Result<()> {
        Ok(())
    }
    fn accepted(&self, (): &(), conn: &Conn, _: TlsInfo) -> Option<Conn> {
        Some(conn.clone())
    }
    fn refused(&self, (): &(), remote: SocketAddr, reason: Reason) {
        println!("{remote}: {reason}");
    }
    fn connected(&self, _: &Conn, _: TlsInfo) {}
    fn message(&self, (): &mut (), conn: &Conn, _: &[u8]) {
        let _ = conn.send(OK, 0);
    }
    fn malformed(&self, conn: &Conn, fault: &Fault<'_>) {
        println!("{}: {:?}", conn.remote(), fault.kind);
    }
    fn write_done(&self, _: &Conn, _: u64, _: Result<(), Reason>) {}
    fn closed(&self, conn: &Conn, reason: Reason) {
        println!("{}: {reason}", conn.remote());
    }
    fn listener_event(&self, (): &(), event: ListenerEvent) {
        println!("{event:?}");
    }
    fn loop_failed(&self, failure: &LoopFailure) {
        println!("{failure:?}");
    }
}

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [address, certificate, key, ciphers @ ..] = args.as_slice() else {
        panic!("ADDRESS CERTIFICATE KEY [CIPHERS]");
    };
    let config = ProfileConfig {
        cert_file: Some(certificate.into()),
        priv_key_file: Some(key.into()),
        cipher: ciphers.first().cloned(),
        ..ProfileConfig::default()
    };
    let (pool, loops) = Pool::new(Arc::new(Answering), PoolConfig::default()).expect("a pool");
    let threads: Vec<_> = loops
        .into_iter()
        .map(|io| std::thread::spawn(move || io.run()))
        .collect();
    let listener = ListenerConfig {
        address: address.parse().expect("an address"),
        profile: Arc::new(Profile::load(&config).expect("a profile").0),
        options: SocketOptions::default(),
    };
    let _listener = pool.listen(listener, ()).expect("a listener");
    println!("listening");
    let _ = std::io::stdin().read_to_end(&mut Vec::new());
    pool.shutdown();
    threads
        .into_iter()
        .for_each(|thread| thread.join().expect("a loop"));
}
