//! The most bridged calls that one core carries without late packets.
//!
//! The caller calls the Asterisk under test, which dials the harness's phone. That one sends a packet every 20 ms; the caller
//! only gives it back, which costs it half of what the call costs the Asterisk under test: two Asterisks on one core each,
//! tone and echo between them, fill the caller's first. Probes (plain RTP, whatever the kind) call the Echo of the Asterisk
//! under test meanwhile, and time what comes back.

use std::time::{Duration, Instant};

use host_harness::lab::Lab;
use host_harness::peer::srtp::AES_80;
use host_harness::peer::{Description, Key, Phone};
use host_harness::pjsip::Encryption;
use host_harness::process::processor_time;

use crate::cores::{Cores, Load};
use crate::legs::{Leg, Legs, Role, Tally};
use crate::world::{FAR, Kind, PROBE, UNDER_TEST, World};

/// Late packets that are still good: one in a thousand is a gap every 20 s in a call, and the least that the probes'
/// packets of one measurement tell from none. Where the core is full nearly all are late, so that the number of calls
/// hardly depends on it.
const LIMIT: f64 = 0.001;
/// From here on, what is full is the caller's cores.
const FULL: f64 = 0.95;
const PROBES: u32 = 10;
const SETTLE: Duration = Duration::from_secs(2);
const MEASURE: Duration = Duration::from_secs(5);
/// A number of calls that is not carried is measured once more: what else the machine does only adds.
const TRIES: usize = 2;

/// A number of calls, and how they were carried.
#[derive(Debug, Clone, Copy)]
pub struct Step {
    pub calls: u32,
    /// CPU time of the Asterisk under test, of its core's: 0 to 1.
    pub under_test: f64,
    /// How full the others' cores were: 0 to 1.
    pub others: f64,
    /// The probes' packets.
    pub probes: Tally,
    /// The far legs' packets, on their way to the caller and back.
    pub load: Tally,
}

impl Step {
    fn carried(&self) -> bool {
        self.probes.late() <= LIMIT
    }
}

/// The last step that was carried, and the first that was not.
#[derive(Debug, Clone, Copy)]
pub struct Most {
    pub carried: Option<Step>,
    pub refused: Step,
}

impl Most {
    /// Whether it was the caller that had no more to give.
    pub fn is_lower_bound(&self) -> bool {
        self.refused.others >= FULL
    }
}

/// Goes up from 60 % of what `cost` (milliseconds per call and second) promises for one core.
pub fn find(kind: &Kind, cost: f64, cores: &Cores) -> Most {
    let promised = 1000.0 / cost;
    let lab = Lab::new("bench-calls");
    let world = World::start(&lab, kind, cores);
    let mut load = Calls::start(&lab, &world, kind);
    let mut carried = None;
    for percent in (60..).step_by(4) {
        load.raise_to((promised * f64::from(percent) / 100.0) as u32);
        let step = load.measure(cores);
        eprintln!(
            "{}: {} calls, {:.2} % late, {:.1} % of the load back; core {:.0} %, the others' {:.0} %",
            kind.name,
            step.calls,
            step.probes.late() * 100.0,
            step.load.back() * 100.0,
            step.under_test * 100.0,
            step.others * 100.0
        );
        if !step.carried() {
            return Most {
                carried,
                refused: step,
            };
        }
        assert!(
            step.load.back() > 0.9,
            "the probes' packets come back and the calls' do not: {step:?}"
        );
        carried = Some(step);
    }
    unreachable!("the steps have no end")
}

/// The calls that are up.
struct Calls<'a> {
    lab: &'a Lab,
    world: &'a World<'a>,
    kind: &'a Kind,
    legs: Legs,
    far: Phone,
    /// Kept for its socket: Asterisk may yet ask something.
    _probe: Phone,
    up: u32,
}

impl<'a> Calls<'a> {
    /// The probes alone.
    fn start(lab: &'a Lab, world: &'a World<'a>, kind: &'a Kind) -> Self {
        let legs = Legs::start();
        let mut probe = Phone::new(lab, PROBE, UNDER_TEST);
        for n in 0..PROBES {
            let (socket, port) = socket(lab, PROBE, n);
            let answer = probe.call("echo", &Description::new(port, &[]));
            let to = answer.expect("a probe may call").media();
            legs.add(Leg {
                role: Role::Probe,
                socket,
                to,
                keys: None,
            });
        }
        Self {
            lab,
            world,
            kind,
            legs,
            far: Phone::new(lab, FAR, UNDER_TEST),
            _probe: probe,
            up: 0,
        }
    }

    fn raise_to(&mut self, calls: u32) {
        for n in self.up..calls {
            let (socket, port) = socket(self.lab, FAR, n);
            let mut keys = None;
            self.world.originate("far", "application Echo");
            let offer = self.far.answer(|offer| {
                if self.kind.encryption == Encryption::Plain {
                    return Description::new(port, &[]);
                }
                let lines = offer.crypto();
                let line = lines.iter().find(|line| line.contains(AES_80.name));
                let line = line.expect("the suite that everyone has");
                let ours = Key::new(AES_80, n as u8);
                let tag = line.split(' ').next().and_then(|tag| tag.parse().ok());
                let answer = ours.line(tag.expect("a tag"), "");
                keys = Some((ours, Key::of_line(line)));
                Description::new(port, &[answer])
            });
            self.legs.add(Leg {
                role: Role::Load,
                socket,
                to: offer.media(),
                keys,
            });
        }
        self.up = self.up.max(calls);
        self.world.assert_bridged(self.up, PROBES);
    }

    fn measure(&self, cores: &Cores) -> Step {
        let mut tries = 0;
        loop {
            tries += 1;
            std::thread::sleep(SETTLE);
            let step = self.measure_once(cores);
            if step.carried() || tries == TRIES {
                return step;
            }
        }
    }

    fn measure_once(&self, cores: &Cores) -> Step {
        let under_test = &self.world.under_test;
        let protected = || {
            self.kind
                .ours
                .then(|| under_test.count("RTP protected") as f64)
        };
        let protected_before = protected();
        let (cpu, others) = (processor_time(under_test.pid()), Load::of(&cores.others));
        let began = Instant::now();
        let (load, probes) = self.legs.measure(MEASURE);
        let time = began.elapsed().as_secs_f64();
        let step = Step {
            calls: self.up,
            under_test: (processor_time(under_test.pid()) - cpu).as_secs_f64() / time,
            others: Load::of(&cores.others).since(others),
            probes,
            load,
        };
        if let (Some(before), Some(after)) = (protected_before, protected()) {
            // Each packet that came back was encrypted twice by the Asterisk under test.
            let expected = 2.0 * load.back as f64;
            assert!(
                after - before > expected * 0.9,
                "{} packets protected, about {expected} expected",
                after - before
            );
            assert_eq!(under_test.count("Authentication failures"), 0);
        }
        step
    }
}

/// The `n`-th media port at `host`.
fn socket(lab: &Lab, host: &str, n: u32) -> (std::net::UdpSocket, u16) {
    let port = 10_000 + 2 * u16::try_from(n).expect("so many calls no core carries");
    (lab.udp(&format!("{host}:{port}")), port)
}
