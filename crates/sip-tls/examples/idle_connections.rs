//! How much memory an idle connection takes, and what a handshake costs beside `openssl s_server`.
//!
//! `cargo run --release -p sip-tls --example idle_connections [CONNECTIONS]`
//!
//! The clients are in a process of their own (this program again, with `client`), so that only the server's side is measured.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use openssl::ssl::{SslConnector, SslMethod, SslSessionCacheMode, SslVerifyMode, SslVersion};
use sip_tls::{
    Conn, Host, ListenerConfig, ListenerEvent, LoopFailure, Pool, PoolConfig, Profile,
    ProfileConfig, Reason, SocketOptions, TlsInfo,
};

struct Quiet;

impl Host for Quiet {
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
        eprintln!("{remote}: {reason}");
    }
    fn connected(&self, _: &Conn, _: TlsInfo) {}
    fn message(&self, (): &mut (), _: &Conn, _: &[u8]) {}
    fn malformed(&self, _: &Conn, _: &sip_tls::frame::Fault<'_>) {}
    fn write_done(&self, _: &Conn, _: u64, _: Result<(), Reason>) {}
    fn closed(&self, _: &Conn, _: Reason) {}
    fn listener_event(&self, (): &(), event: ListenerEvent) {
        eprintln!("{event:?}");
    }
    fn loop_failed(&self, failure: &LoopFailure) {
        eprintln!("{failure:?}");
    }
}

/// A field of `/proc/PID/status` in kB.
fn rss_kb(pid: u32) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("a process");
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .expect("VmRSS");
    line.trim()
        .trim_end_matches(" kB")
        .parse()
        .expect("a number")
}

/// User and system time of a process.
fn cpu(pid: u32) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("a process");
    let after = stat.rsplit(')').next().expect("fields");
    let ticks: u64 = after
        .split_whitespace()
        .skip(11)
        .take(2)
        .map(|field| field.parse::<u64>().expect("ticks"))
        .sum();
    // USER_HZ is 100 on every Linux that this runs on.
    Duration::from_millis(ticks * 10)
}

/// Connects and holds the connections until standard input ends.
fn client(address: &str, count: usize, version: &str, hold: bool) {
    let mut connector = SslConnector::builder(SslMethod::tls()).expect("OpenSSL");
    connector.set_verify(SslVerifyMode::NONE);
    connector.set_session_cache_mode(SslSessionCacheMode::OFF);
    let only = if version == "1.2" {
        SslVersion::TLS1_2
    } else {
        SslVersion::TLS1_3
    };
    connector
        .set_min_proto_version(Some(only))
        .expect("version");
    connector
        .set_max_proto_version(Some(only))
        .expect("version");
    let connector = connector.build();
    let mut held = Vec::new();
    for _ in 0..count {
        let tcp = TcpStream::connect(address).expect("a TCP connection");
        let tls = connector
            .connect("sip.example.com", tcp)
            .expect("a handshake");
        if hold {
            held.push(tls);
        }
    }
    println!("done");
    std::io::stdout().flush().expect("a pipe");
    let _ = std::io::stdin().read_to_end(&mut Vec::new());
}

/// Runs the clients in another process until they are connected.
fn clients(address: SocketAddr, count: usize, version: &str, hold: bool) -> (Child, Duration) {
    let start = Instant::now();
    let mut child = Command::new(std::env::current_exe().expect("this program"))
        .args([
            "client",
            &address.to_string(),
            &count.to_string(),
            version,
            if hold { "hold" } else { "drop" },
        ])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("a child");
    let mut line = String::new();
    BufReader::new(child.stdout.take().expect("a pipe"))
        .read_line(&mut line)
        .expect("a line");
    assert_eq!(line, "done\n", "the clients failed");
    (child, start.elapsed())
}

fn certificate(dir: &Path) -> ProfileConfig {
    let (cert, key) = (dir.join("cert.pem"), dir.join("key.pem"));
    let made = Command::new("openssl")
        .args([
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
            "-subj",
            "/CN=sip.example.com",
        ])
        .args([Path::new("-keyout"), &key, Path::new("-out"), &cert])
        .stderr(Stdio::null())
        .status();
    assert!(
        made.is_ok_and(|status| status.success()),
        "openssl req failed"
    );
    ProfileConfig {
        cert_file: Some(cert),
        priv_key_file: Some(key),
        ..ProfileConfig::default()
    }
}

fn s_server(config: &ProfileConfig) -> (Child, SocketAddr) {
    let address = TcpListener::bind("127.0.0.1:0")
        .and_then(|socket| socket.local_addr())
        .expect("a port");
    let child = Command::new("openssl")
        .args([
            "s_server",
            "-quiet",
            "-naccept",
            "1000000",
            "-accept",
            &address.port().to_string(),
            "-cert",
        ])
        .arg(config.cert_file.as_ref().expect("set above"))
        .arg("-key")
        .arg(config.priv_key_file.as_ref().expect("set above"))
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("openssl s_server");
    while TcpStream::connect(address).is_err() {
        std::thread::sleep(Duration::from_millis(20));
    }
    (child, address)
}

fn report(what: &str, count: usize, cpu: Duration, wall: Duration) {
    println!(
        "{what}: {:.0} us of server CPU per handshake, {:.0} handshakes/s by one client",
        cpu.as_secs_f64() * 1e6 / count as f64,
        count as f64 / wall.as_secs_f64()
    );
}

/// One version, in a process that has served no other: memory that was freed would be taken again unseen.
fn measure(count: usize, version: &str) {
    let dir = std::env::temp_dir().join(format!("idle-connections-{}", std::process::id()));
    std::fs::create_dir_all(&dir).expect("a directory");
    let config = certificate(&dir);
    let me = std::process::id();
    let (pool, loops) = Pool::new(Arc::new(Quiet), PoolConfig::default()).expect("a pool");
    let threads: Vec<_> = loops
        .into_iter()
        .map(|io| std::thread::spawn(move || io.run()))
        .collect();
    let listener = ListenerConfig {
        address: "127.0.0.1:0".parse().expect("an address"),
        profile: Arc::new(Profile::load(&config).expect("a profile").0),
        options: SocketOptions::default(),
    };
    let listener = pool.listen(listener, ()).expect("a listener");
    let settle = |open: u64| {
        while pool.counts().open != open {
            std::thread::sleep(Duration::from_millis(10));
        }
        std::thread::sleep(Duration::from_millis(200));
    };

    // One after the other, as for s_server below; they also pay for what is shared.
    let used = cpu(me);
    let (mut child, wall) = clients(listener.address(), count, version, false);
    drop(child.stdin.take());
    let _ = child.wait();
    settle(0);
    report(
        &format!("TLS {version}, this crate"),
        count,
        cpu(me) - used,
        wall,
    );
    let rss = rss_kb(me);
    let (mut child, _) = clients(listener.address(), count, version, true);
    settle(count as u64);
    println!(
        "TLS {version}, {count} idle connections: {:.1} kB of RSS each",
        (rss_kb(me) - rss) / count as f64
    );
    drop(child.stdin.take());
    let _ = child.wait();

    let (mut server, address) = s_server(&config);
    let used = cpu(server.id());
    let (mut child, wall) = clients(address, count, version, false);
    report(
        &format!("TLS {version}, openssl s_server"),
        count,
        cpu(server.id()) - used,
        wall,
    );
    drop(child.stdin.take());
    let _ = (child.wait(), server.kill(), server.wait());
    pool.shutdown();
    threads
        .into_iter()
        .for_each(|thread| thread.join().expect("a loop"));
    let _ = std::fs::remove_dir_all(&dir);
}

fn main() {
    let args: Vec<String> = std::env::args().collect();
    match args.iter().map(String::as_str).collect::<Vec<_>>()[1..] {
        ["client", address, count, version, hold] => {
            client(
                address,
                count.parse().expect("a count"),
                version,
                hold == "hold",
            );
        }
        ["measure", count, version] => measure(count.parse().expect("a count"), version),
        ref rest => {
            let count = rest.first().copied().unwrap_or("1000");
            for version in ["1.2", "1.3"] {
                let me = std::env::current_exe().expect("this program");
                let done = Command::new(me).args(["measure", count, version]).status();
                assert!(
                    done.is_ok_and(|status| status.success()),
                    "measuring failed"
                );
            }
        }
    }
}
