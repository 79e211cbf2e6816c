//! Phones that lose their connection all at once and register again, beside calls.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use host_harness::lab::Lab;
use host_harness::pjsip;
use host_harness::sip::{Connection, status};
use openssl::ssl::{ShutdownState, SslContext, SslSession};

use crate::client;
use crate::cores::Cores;
use crate::load::Calls;
use crate::servers::{Certificates, P256};
use crate::world::{KINDS, UNDER_TEST, World};

/// So many phones are on their way at once.
const AT_ONCE: usize = 64;
/// A phone that was not taken tries again after that.
const AGAIN: Duration = Duration::from_millis(200);
/// That no phone is registered after so long is a fault, and not a measure.
const LONGEST: Duration = Duration::from_secs(600);

/// Until the last phone was registered.
#[derive(Debug, Clone)]
pub struct Back {
    pub seconds: f64,
    /// The part of the calls' packets that was late or lost.
    pub late: f64,
    /// Handshakes that resumed a session.
    pub resumed: u32,
    /// Tries that were in vain: no connection, or another answer than 200.
    pub in_vain: u32,
}

/// With full handshakes, and with resumption.
pub struct Avalanche {
    pub phones: u32,
    pub calls: u32,
    /// The calls' packets that were late with no phone on its way.
    pub quiet: f64,
    pub full: Back,
    pub resumed: Back,
}

/// In an Asterisk of its own: ours or stock.
pub fn measure(ours: bool, phones: u32, calls: u32, cores: &Cores) -> Avalanche {
    let lab = Lab::new("bench-tls-calls");
    let certificates = Certificates::new(&lab);
    let mut conf = pjsip::tls(&certificates.p256, &certificates.authority);
    conf += "\n[phone](!)\ntype = endpoint\ncontext = default\ndisallow = all\nallow = ulaw\n";
    for number in 0..phones {
        writeln!(
            conf,
            "[p{number}](phone)\naors = p{number}\n[p{number}]\ntype = aor\nmax_contacts = 1\nremove_existing = yes"
        )
        .expect("a String takes it");
    }
    let kind = &KINDS[if ours { 2 } else { 1 }];
    let world = World::with(&lab, kind, cores, |setup| setup.pjsip(&conf));
    let mut load = Calls::start(&lab, &world, kind);
    load.raise_to(calls);
    let quiet = load.legs.measure(Duration::from_secs(2)).1.late();
    let context = client::context(None);
    let go = |mut earlier: Vec<Connection>, resume: bool| {
        for connection in &mut earlier {
            // Without a word to the server; OpenSSL would not resume a session whose connection had no proper end.
            let both = ShutdownState::SENT | ShutdownState::RECEIVED;
            connection.stream.set_shutdown(both);
        }
        let sessions: Vec<SslSession> = earlier
            .iter()
            .filter(|_| resume)
            .filter_map(|it| Some(it.stream.ssl().session()?.to_owned()))
            .collect();
        drop(earlier);
        let over = AtomicBool::new(false);
        thread::scope(|scope| {
            let audio = scope.spawn(|| {
                let (mut sent, mut in_time) = (0, 0);
                while !over.load(Ordering::Relaxed) {
                    let tally = load.legs.measure(Duration::from_millis(500)).1;
                    sent += tally.sent;
                    in_time += tally.in_time;
                }
                1.0 - in_time as f64 / f64::max(sent as f64, 1.0)
            });
            let (up, back) = come_back(&lab, &context, phones, &sessions);
            over.store(true, Ordering::Relaxed);
            let late = audio.join().expect("no panic");
            (up, Back { late, ..back })
        })
    };
    let (up, _) = go(Vec::new(), false);
    let (up, full) = go(up, false);
    let (_, resumed) = go(up, true);
    Avalanche {
        phones,
        calls,
        quiet,
        full,
        resumed,
    }
}

/// Every phone connects and registers, with the session of its earlier connection if there is one; their connections in the phones' order.
fn come_back(
    lab: &Lab,
    context: &SslContext,
    phones: u32,
    sessions: &[SslSession],
) -> (Vec<Connection>, Back) {
    let (next, in_vain, resumed) = (AtomicU32::new(0), AtomicU32::new(0), AtomicU32::new(0));
    let at = format!("{UNDER_TEST}:{P256}");
    let began = Instant::now();
    let mut up: Vec<(u32, Connection)> = thread::scope(|scope| {
        let work = || {
            let mut up = Vec::new();
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= phones {
                    return up;
                }
                let session = sessions.get(number as usize).map(|it| &**it);
                let connection = loop {
                    let connection = client::connect(lab, context, number, &at, session);
                    if let Some(connection) = connection.ok().and_then(|it| register(it, number)) {
                        break connection;
                    }
                    in_vain.fetch_add(1, Ordering::Relaxed);
                    assert!(
                        began.elapsed() < LONGEST,
                        "phone {number} of {phones} is not registered after {LONGEST:?}"
                    );
                    thread::sleep(AGAIN);
                };
                if connection.stream.ssl().session_reused() {
                    resumed.fetch_add(1, Ordering::Relaxed);
                }
                up.push((number, connection));
            }
        };
        let all: Vec<_> = (0..AT_ONCE).map(|_| scope.spawn(work)).collect();
        let ended = all.into_iter().map(|it| it.join().expect("no panic"));
        ended.flatten().collect()
    });
    let seconds = began.elapsed().as_secs_f64();
    up.sort_by_key(|(number, _)| *number);
    let up = up.into_iter().map(|(_, connection)| connection).collect();
    let back = Back {
        seconds,
        late: 0.0,
        resumed: resumed.into_inner(),
        in_vain: in_vain.into_inner(),
    };
    (up, back)
}

/// The connection, if the phone is registered by it.
fn register(mut connection: Connection, number: u32) -> Option<Connection> {
    let (local, id) = (connection.local(), number);
    let request = format!(
        "REGISTER sip:{UNDER_TEST} SIP/2.0\r\nVia: SIP/2.0/TLS {local};rport;branch=z9hG4bKphone{id}x{port}\r\nMax-Forwards: 70\r\n\
         From: <sip:p{id}@{UNDER_TEST}>;tag={port}\r\nTo: <sip:p{id}@{UNDER_TEST}>\r\nCall-ID: {id}-{port}@phone\r\n\
         CSeq: 1 REGISTER\r\nContact: <sip:p{id}@{local};transport=tls>\r\nExpires: 3600\r\nContent-Length: 0\r\n\r\n",
        port = local.port(),
    );
    connection.send(request.as_bytes()).ok()?;
    (status(&connection.try_receive()?) == 200).then_some(connection)
}
