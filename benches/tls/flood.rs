//! What a flood of handshakes does to SIP by UDP.

use std::net::UdpSocket;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use host_harness::lab::Lab;

use crate::servers::{P256, Server};
use crate::{client, cores, percentile};

const PERIOD: Duration = Duration::from_millis(5);
const ATTACKERS: u32 = 2;
/// Where the clients are that have nothing to do with the other measurements.
const FROM: u32 = 1 << 17;

/// The 99th percentile of an answer's time, milliseconds.
#[derive(Debug, Clone)]
pub struct Flood {
    pub quiet: f64,
    pub flooded: f64,
    /// Requests without an answer in the flood.
    pub lost: u32,
    /// Handshakes per second in the flood.
    pub rate: f64,
}

/// With a flood and without one.
pub fn measure(lab: &Lab, server: &Server<'_>, seconds: u32) -> Flood {
    let time = Duration::from_secs(seconds.into());
    let socket = lab.udp("127.0.0.50:5060");
    socket
        .connect(server.at(5060))
        .expect("an address of loopback");
    socket
        .set_read_timeout(Some(Duration::from_secs(1)))
        .expect("a socket");
    // What the first ones find cold is no measure.
    probe(&socket, Duration::from_millis(200));
    let (quiet, _) = probe(&socket, time);
    let (over, done) = (AtomicBool::new(false), AtomicU32::new(0));
    let ((flooded, lost), took) = thread::scope(|scope| {
        for attacker in 0..ATTACKERS {
            let (over, done) = (&over, &done);
            scope.spawn(move || {
                let context = client::context(None);
                for number in (FROM + attacker..).step_by(ATTACKERS as usize) {
                    if over.load(Ordering::Relaxed) {
                        return;
                    }
                    let at = server.at(P256);
                    if let Ok(connection) = client::connect(lab, &context, number, &at, None) {
                        done.fetch_add(1, Ordering::Relaxed);
                        connection.reset();
                    }
                }
            });
        }
        let began = Instant::now();
        let flooded = probe(&socket, time);
        let took = began.elapsed();
        over.store(true, Ordering::Relaxed);
        (flooded, took)
    });
    Flood {
        quiet,
        flooded,
        lost,
        rate: f64::from(done.into_inner()) / took.as_secs_f64(),
    }
}

/// The percentile, and how many had no answer. It runs before every ordinary thread: what is measured is the server.
fn probe(socket: &UdpSocket, time: Duration) -> (f64, u32) {
    thread::scope(|scope| {
        let probe = scope.spawn(|| {
            cores::real_time();
            let (began, mut waits, mut lost) = (Instant::now(), Vec::new(), 0);
            for number in 0_u32.. {
                let asked = began.elapsed();
                if asked >= time {
                    break;
                }
                let id = format!("{}x{number}", asked.as_nanos());
                let question = format!(
                    "OPTIONS sip:server SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.50:5060;rport;branch=z9hG4bK{id}\r\n\
                     Max-Forwards: 70\r\nFrom: <sip:probe@127.0.0.50>;tag={number}\r\nTo: <sip:server>\r\n\
                     Call-ID: {id}@probe\r\nCSeq: {number} OPTIONS\r\nContact: <sip:probe@127.0.0.50>\r\nContent-Length: 0\r\n\r\n"
                );
                socket.send(question.as_bytes()).expect("loopback takes it");
                let mut answer = [0; 4096];
                // An answer to an earlier one is not its.
                let key = format!("{id}@probe");
                let answered = loop {
                    match socket.recv(&mut answer) {
                        Ok(length) => {
                            let text = String::from_utf8_lossy(&answer[..length]);
                            if text.contains(&key) {
                                break text.starts_with("SIP/2.0 200 ");
                            }
                        }
                        Err(_) => break false,
                    }
                };
                if answered {
                    waits.push(began.elapsed() - asked);
                } else {
                    lost += 1;
                }
                thread::sleep(PERIOD.saturating_sub(began.elapsed() - asked));
            }
            (percentile(&mut waits, 99).as_secs_f64() * 1000.0, lost)
        });
        probe.join().expect("no panic")
    })
}
