//! Media of the harness's own: the far legs of the load, and the probes.
//!
//! One thread serves them all: it sends each leg's packet every 20 ms and times its way to the other end, or back. It runs before every ordinary
//! thread, so that what it measures is Asterisk and not itself. RTCP that comes is not read.

use std::net::{SocketAddr, UdpSocket};
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::sync::{Arc, Mutex};
use std::thread::{JoinHandle, sleep, spawn};
use std::time::{Duration, Instant};

use host_harness::peer::{Key, Srtp};

use crate::cores;

/// Milliseconds of audio in a packet of G.711; at one of as many turns a leg sends.
const PERIOD: u64 = 20;
/// A packet that arrives later than this is late: the next one has left meanwhile.
pub const LATE: Duration = Duration::from_millis(PERIOD);
const SAMPLES: usize = 160;
const HEADER: usize = 12;

/// What a leg is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// The far end of a call of the caller's, which gives its packets back. Read once in 20 ms.
    Load,
    /// One end of a call between two legs, each of which hears the other. Read every millisecond: a packet counts as up to
    /// one later than it was.
    Probe,
}

/// A leg that has been answered.
#[derive(Debug)]
pub struct Leg {
    /// What it is for.
    pub role: Role,
    /// Its port.
    pub socket: UdpSocket,
    /// Asterisk's.
    pub to: SocketAddr,
    /// What it sends with, and what Asterisk does; `None`: plain RTP.
    pub keys: Option<(Key, Key)>,
}

/// Packets that were sent in a window, and what became of them.
#[derive(Debug, Clone, Copy, Default)]
pub struct Tally {
    /// Sent.
    pub sent: u64,
    /// Arrived, late or not.
    pub arrived: u64,
    /// Arrived in time.
    pub in_time: u64,
    /// The longest way that one had which arrived.
    pub longest: Duration,
}

impl Tally {
    /// The part of them that was late or lost, from 0 to 1.
    pub fn late(&self) -> f64 {
        1.0 - self.in_time as f64 / self.sent.max(1) as f64
    }

    /// The part of them that was lost, from 0 to 1.
    pub fn lost(&self) -> f64 {
        1.0 - self.arrived as f64 / self.sent.max(1) as f64
    }
}

/// What is counted: packets that leave between `from` and `until`, from the thread's start.
#[derive(Debug, Default)]
struct Window {
    from: Duration,
    until: Duration,
    load: Tally,
    probes: Tally,
}

impl Window {
    fn tally(&mut self, role: Role, left: Duration) -> Option<&mut Tally> {
        let counted = self.from <= left && left < self.until;
        counted.then_some(match role {
            Role::Load => &mut self.load,
            Role::Probe => &mut self.probes,
        })
    }
}

/// The thread that serves the legs; it ends with this.
#[derive(Debug)]
pub struct Legs {
    began: Instant,
    window: Arc<Mutex<Window>>,
    add: Option<Sender<Leg>>,
    thread: Option<JoinHandle<()>>,
}

impl Legs {
    /// Without a leg.
    pub fn start() -> Self {
        let began = Instant::now();
        let window = Arc::<Mutex<Window>>::default();
        let (add, added) = channel();
        let shared = Arc::clone(&window);
        let thread = spawn(move || serve(began, &added, &shared));
        Self {
            began,
            window,
            add: Some(add),
            thread: Some(thread),
        }
    }

    /// One more.
    pub fn add(&self, leg: Leg) {
        let add = self.add.as_ref().expect("open until it is dropped");
        add.send(leg).expect("the thread runs");
    }

    /// What became of the packets that leave within `time` from now: of the load's, and of the probes'.
    pub fn measure(&self, time: Duration) -> (Tally, Tally) {
        {
            // A packet leaves under the same lock: it is counted in this window both when it leaves and when it arrives, or neither time.
            let mut window = self.window.lock().expect("no panic");
            let from = self.began.elapsed();
            *window = Window {
                from,
                until: from + time,
                ..Window::default()
            };
        }
        // Whatever has not arrived by then is lost.
        sleep(time + 5 * LATE);
        let window = self.window.lock().expect("no panic");
        (window.load, window.probes)
    }
}

impl Drop for Legs {
    fn drop(&mut self) {
        self.add = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn serve(began: Instant, added: &Receiver<Leg>, window: &Mutex<Window>) {
    cores::real_time();
    let mut talkers: Vec<Talker> = Vec::new();
    for tick in 1.. {
        sleep((began + Duration::from_millis(tick)).saturating_duration_since(Instant::now()));
        match added.try_recv() {
            Ok(leg) => talkers.push(Talker::new(leg, talkers.len() as u32)),
            Err(TryRecvError::Empty) => {}
            Err(TryRecvError::Disconnected) => return,
        }
        let mut window = window.lock().expect("no panic");
        for (place, talker) in (0..).zip(&mut talkers) {
            let its_turn = tick % PERIOD == place % PERIOD;
            if its_turn || talker.role == Role::Probe {
                talker.hear(began, &mut window);
            }
            if its_turn {
                talker.send(began, &mut window);
            }
        }
    }
}

/// A leg in the thread.
struct Talker {
    role: Role,
    socket: UdpSocket,
    to: SocketAddr,
    srtp: Option<(Srtp, Srtp)>,
    packet: [u8; HEADER + SAMPLES],
    sequence: u16,
    timestamp: u32,
}

impl Talker {
    fn new(leg: Leg, ssrc: u32) -> Self {
        leg.socket.set_nonblocking(true).expect("a socket");
        let mut packet = [0xff; HEADER + SAMPLES];
        packet[..2].copy_from_slice(&[0x80, 0]);
        packet[8..HEADER].copy_from_slice(&ssrc.to_be_bytes());
        Self {
            role: leg.role,
            socket: leg.socket,
            to: leg.to,
            srtp: leg
                .keys
                .map(|(ours, theirs)| (Srtp::sender(&ours, ssrc, 0), Srtp::receiver(&theirs))),
            packet,
            sequence: 0,
            timestamp: 0,
        }
    }

    /// The next packet; its first octets of audio are the time.
    fn send(&mut self, began: Instant, window: &mut Window) {
        self.sequence = self.sequence.wrapping_add(1);
        self.timestamp = self.timestamp.wrapping_add(SAMPLES as u32);
        let now = began.elapsed();
        self.packet[2..4].copy_from_slice(&self.sequence.to_be_bytes());
        self.packet[4..8].copy_from_slice(&self.timestamp.to_be_bytes());
        self.packet[HEADER..HEADER + 8].copy_from_slice(&(now.as_nanos() as u64).to_be_bytes());
        let sent = match &mut self.srtp {
            Some((send, _)) => self.socket.send_to(&send.protect(&self.packet), self.to),
            None => self.socket.send_to(&self.packet, self.to),
        };
        sent.expect("loopback takes it");
        if let Some(tally) = window.tally(self.role, now) {
            tally.sent += 1;
        }
    }

    /// Everything that has come.
    fn hear(&mut self, began: Instant, window: &mut Window) {
        let mut buffer = [0; 512];
        while let Ok(length) = self.socket.recv(&mut buffer) {
            let plain = match &mut self.srtp {
                Some((_, receive)) => receive.unprotect(&buffer[..length]).ok(),
                None => Some(buffer[..length].to_vec()),
            };
            let Some(packet) = plain.filter(|packet| packet.len() == HEADER + SAMPLES) else {
                continue;
            };
            let left = packet[HEADER..HEADER + 8].try_into().expect("eight octets");
            let left = Duration::from_nanos(u64::from_be_bytes(left));
            if let Some(tally) = window.tally(self.role, left) {
                tally.arrived += 1;
                let took = began.elapsed().saturating_sub(left);
                tally.in_time += u64::from(took <= LATE);
                tally.longest = tally.longest.max(took);
            }
        }
    }
}
