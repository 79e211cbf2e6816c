//! Many connections, and bad ones among good ones.

use std::io::Write as _;
use std::os::fd::AsRawFd as _;
use std::thread;
use std::time::{Duration, Instant};

use host_harness::asterisk::Asterisk;
use host_harness::lab::Lab;
use host_harness::process;
use host_harness::sip::{Client, Connection};
use openssl::ssl::SslContext;

use crate::tls_world::{World, address, assert_serves, wait_until_idle};

/// Stock stops at 1,021.
const MANY: usize = 1500;

fn connect_many(lab: &Lab, context: &SslContext, count: usize) -> Vec<Connection> {
    (0..count)
        .map(|number| {
            let tcp = lab
                .tcp(&address())
                .unwrap_or_else(|error| panic!("connection {number}: {error}"));
            let mut connection = Connection::new(context, tcp)
                .unwrap_or_else(|error| panic!("connection {number}: {error}"));
            // At once: Asterisk closes who asks for nothing in 32 seconds.
            let answer = connection.options();
            assert_eq!(
                answer.unwrap_or_else(|error| panic!("connection {number}: {error}")),
                200
            );
            connection
        })
        .collect()
}

#[test]
fn fifteen_hundred() {
    process::raise_file_limit(4096);
    let world = World::new("many");
    let ours = Asterisk::start(&world.lab, &world.setup(""));
    let context = Client::new().build();
    // Its first connections make what stays.
    drop(connect_many(&world.lab, &context, 20));
    wait_until_idle(&ours);
    let (memory, files) = (
        process::resident(ours.pid()),
        process::open_files(ours.pid()),
    );
    let begin = Instant::now();
    let mut connections = connect_many(&world.lab, &context, MANY);
    let connected = begin.elapsed();
    assert_eq!(ours.count("TLS connections"), MANY as u64);
    let each = process::resident(ours.pid()).saturating_sub(memory) / MANY;
    for (number, connection) in connections.iter_mut().enumerate() {
        assert_eq!(
            connection
                .options()
                .unwrap_or_else(|error| panic!("connection {number}: {error}")),
            200
        );
    }
    eprintln!("{MANY} connections in {connected:?}, {each} octets of memory each");
    drop(connections);
    wait_until_idle(&ours);
    ours.wait_until("the files to be closed", |ours| {
        (process::open_files(ours.pid()) <= files).then_some(())
    });
    assert_eq!(ours.count("Panics caught"), 0);
}

#[test]
fn who_does_not_read() {
    let world = World::new("deaf");
    // Not by the other limit: TCP gives up after 32 s, which is before the queue is full on a busy machine.
    let setup = world.setup("").file(
        "ciphertrunk.conf",
        "[tls]\ntcp_user_timeout = 0\nwrite_queue = 65536\n",
    );
    let ours = Asterisk::start(&world.lab, &setup);
    let mut good = world.connect();
    let mut deaf = world.connect();
    let local = deaf.local();
    // It asks and asks and never reads an answer: until the queue to it is full.
    let question = deaf.request("", "");
    deaf.stream
        .get_ref()
        .set_write_timeout(Some(Duration::from_millis(200)))
        .expect("a socket");
    let key = format!("connection with {local} closed");
    let line = ours.wait_until("who does not read to be closed", |ours| {
        for _ in 0..400 {
            if deaf.stream.write_all(question.as_bytes()).is_err() {
                break;
            }
        }
        // 503: PJSIP has more to do than it likes, and says so.
        let status = good.options().expect("an answer");
        assert!(matches!(status, 200 | 503), "{status}");
        ours.log_lines(&key).pop()
    });
    assert!(
        line.contains("it does not read what we send") && line.contains("(to change there)"),
        "{line}"
    );
    ours.wait_until("PJSIP to have time again", |_| {
        (good.options().expect("an answer") == 200).then_some(())
    });
    assert_serves(&ours, &mut good);
}

#[test]
fn reset_in_the_middle_of_a_record() {
    let world = World::new("reset");
    let ours = Asterisk::start(&world.lab, &world.setup(""));
    let mut good = world.connect();
    for _ in 0..20 {
        let mut bad = world.connect();
        assert_eq!(bad.options().expect("an answer"), 200);
        // A record of 1,000 octets begins, and the connection is reset.
        let tcp = bad.stream.get_mut();
        tcp.write_all(b"\x17\x03\x03\x03\xe8half of it")
            .expect("it is up");
        // Makes it likely that the half is read. When it is not, the reset is all that comes, and the same.
        thread::sleep(Duration::from_millis(5));
        let linger = libc::linger {
            l_onoff: 1,
            l_linger: 0,
        };
        // SAFETY: the option's own structure and size, on a socket that is open.
        let set = unsafe {
            libc::setsockopt(
                tcp.as_raw_fd(),
                libc::SOL_SOCKET,
                libc::SO_LINGER,
                (&raw const linger).cast(),
                size_of::<libc::linger>() as libc::socklen_t,
            )
        };
        assert_eq!(set, 0);
        drop(bad);
    }
    ours.wait_until("the resets", |ours| {
        (ours.count("Ended peer-reset") == 20).then_some(())
    });
    assert_serves(&ours, &mut good);
    assert_eq!(ours.count("TLS connections"), 1);
}

/// Prints it; a processor that others use too is no measure.
#[test]
fn handshakes_beside_openssl() {
    const HANDSHAKES: usize = 400;
    let world = World::new("cost");
    let ours = Asterisk::start(&world.lab, &world.setup(""));
    let certificate = &world.certificate;
    let server = world.lab.spawn(
        "openssl",
        "openssl",
        &[
            "s_server",
            "-quiet",
            "-accept",
            "127.0.0.20:5061",
            "-cert",
            &certificate.certificate,
            "-key",
            &certificate.key,
        ],
    );
    host_harness::wait::until(
        "s_server",
        host_harness::wait::SOON,
        || world.lab.tcp("127.0.0.20:5061").ok(),
        || server.output(),
    );
    // Full handshakes: a context of its own for each.
    let cost = |pid: u32, address: &str| {
        let before = process::processor_time(pid);
        for _ in 0..HANDSHAKES {
            drop(
                Client::new()
                    .connect(&world.lab, address)
                    .expect("a connection"),
            );
        }
        process::processor_time(pid) - before
    };
    let (ours_took, openssl_took) = (
        cost(ours.pid(), &address()),
        cost(server.pid(), "127.0.0.20:5061"),
    );
    eprintln!(
        "{HANDSHAKES} handshakes: Asterisk {ours_took:?}, openssl s_server {openssl_took:?} of processor time"
    );
    assert_eq!(ours.count("TLS handshakes in"), HANDSHAKES as u64);
}
