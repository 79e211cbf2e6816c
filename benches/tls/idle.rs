//! Connections that are up and have nothing to say, and one of them that has.

use std::thread;
use std::time::{Duration, Instant};

use host_harness::lab::Lab;
use host_harness::sip::{Connection, status};

use crate::client;
use crate::cores;
use crate::percentile;
use crate::servers::{P256, Server, Talk};

/// Requests on the busy connection that have no answer yet.
const WINDOW: usize = 20;
/// A thousand requests per second, one after the other.
const PACED: Duration = Duration::from_millis(1);
/// Those that make what stays.
const FIRST: u32 = 20;

/// What was measured.
#[derive(Debug, Clone)]
pub struct Idle {
    /// How many.
    pub connections: u32,
    /// KiB of the server's memory for each.
    pub each: f64,
    /// How many answered when all were up.
    pub answered: u32,
    /// On one of them, if it is SIP: a thousand requests per second.
    pub paced: Option<Busy>,
    /// The same with as many as it answers.
    pub busy: Option<Busy>,
}

/// One connection with much to ask.
#[derive(Debug, Clone)]
pub struct Busy {
    /// Answers 200 per second.
    pub rate: f64,
    /// Answers of another kind.
    pub refused: u64,
    /// Microseconds of the server's processor time for each answer.
    pub cost: f64,
    /// The 99th percentile of how long another connection's requests wait meanwhile, milliseconds.
    pub neighbour: f64,
}

/// So many connections, or as many as the server takes.
pub fn measure(
    lab: &Lab,
    server: &Server<'_>,
    wanted: u32,
    seconds: u32,
) -> Result<Option<Idle>, String> {
    let connections = wanted.min(server.most);
    if connections == 0 {
        return Ok(None);
    }
    let context = client::context(None);
    let connect = |number: u32| {
        let mut connection = client::connect(lab, &context, number, &server.at(P256), None)?;
        // At once: Asterisk closes who asks for nothing in 32 seconds.
        if client::ask(&mut connection, server.talk) {
            Ok(connection)
        } else {
            Err(format!("{}: connection {number}: no answer", server.name))
        }
    };
    for connection in (0..FIRST).map(connect).collect::<Result<Vec<_>, _>>()? {
        client::close(connection);
    }
    server.settled_time();
    let before = server.memory();
    let mut up = (0..connections)
        .map(connect)
        .collect::<Result<Vec<_>, _>>()?;
    server.settled_time();
    let each = (server.memory() as f64 - before as f64) / f64::from(connections);
    let mut answered = 0;
    for connection in &mut up {
        answered += u32::from(client::ask(connection, server.talk));
    }
    let (paced, busy) = match up.as_mut_slice() {
        [busy, neighbour, ..] if server.talk == Talk::Sip => (
            Some(keep_busy(server, busy, neighbour, seconds, Some(PACED))),
            Some(keep_busy(server, busy, neighbour, seconds, None)),
        ),
        _ => (None, None),
    };
    Ok(Some(Idle {
        connections,
        each,
        answered,
        paced,
        busy,
    }))
}

/// A request each `period`, or always some under way. The neighbour runs before every ordinary thread: what is measured is the server, and
/// not how it shares the clients' core with the busy one.
fn keep_busy(
    server: &Server<'_>,
    busy: &mut Connection,
    neighbour: &mut Connection,
    seconds: u32,
    period: Option<Duration>,
) -> Busy {
    let time = Duration::from_secs(seconds.into());
    let before = server.settled_time();
    let began = Instant::now();
    let (good, refused, mut waits) = thread::scope(|scope| {
        let neighbour = scope.spawn(|| {
            cores::real_time();
            let mut waits = Vec::new();
            while began.elapsed() < time {
                let asked = Instant::now();
                if client::ask(neighbour, Talk::Sip) {
                    waits.push(asked.elapsed());
                }
                thread::sleep(Duration::from_millis(10));
            }
            waits
        });
        let (mut good, mut refused, mut waiting) = (0_u64, 0_u64, 0);
        let window = if period.is_some() { 1 } else { WINDOW };
        for turn in 0.. {
            let due = period.map_or(Duration::ZERO, |period| period * turn);
            thread::sleep(due.saturating_sub(began.elapsed()));
            if began.elapsed() >= time {
                break;
            }
            while waiting < window {
                let request = client::options(busy);
                if busy.send(request.as_bytes()).is_err() {
                    break;
                }
                waiting += 1;
            }
            match busy.try_receive() {
                Some(answer) if status(&answer) == 200 => good += 1,
                Some(_) => refused += 1,
                None => break,
            }
            waiting -= 1;
        }
        for _ in 0..waiting {
            let _ = busy.try_receive();
        }
        (good, refused, neighbour.join().expect("no panic"))
    });
    let took = began.elapsed().as_secs_f64();
    let cost = server.settled_time() - before;
    Busy {
        rate: good as f64 / took,
        refused,
        cost: cost.as_secs_f64() * 1e6 / (good + refused).max(1) as f64,
        neighbour: percentile(&mut waits, 99).as_secs_f64() * 1000.0,
    }
}
