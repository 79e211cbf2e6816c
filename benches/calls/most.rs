//! The most bridged calls that one core carries without late packets.
//!
//! The caller calls the Asterisk under test, which dials the harness's phone. That one sends a packet every 20 ms; the caller
//! only gives it back, which costs it half of what the call costs the Asterisk under test: two Asterisks on one core each,
//! tone and echo between them, fill the caller's first.
//!
//! Ten of the calls are probes: both ends are the harness's, and a packet is timed from one to the other. They are calls like
//! the others, encrypted as they are. A probe of Echo sees nothing: its thread has so little to do that the kernel's fair
//! scheduler lets it run at once on a core so full that the bridged calls lose a tenth of their packets.

use std::thread::sleep;
use std::time::{Duration, Instant};

use host_harness::lab::Lab;
use host_harness::process::processor_time;

use crate::cores::{Cores, Load};
use crate::legs::Tally;
use crate::load::Calls;
use crate::world::{Kind, World};

/// Late packets that are still good. One in a thousand is a gap every 20 s in a call, which a phone conceals; and the probes
/// send 5000 packets in a measurement, so that it takes more than one hiccup of the machine. One in a hundred gives a few
/// per cent more calls: from there on the late ones double with each step.
const LIMIT: f64 = 0.001;
/// From here on, a core is full.
const FULL: f64 = 0.95;
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
    /// How full that core was, with whatever else ran there: 0 to 1.
    pub core: f64,
    /// How full the others' cores were: 0 to 1.
    pub others: f64,
    /// The probes' packets.
    pub probes: Tally,
    /// The far legs' packets, on their way to the caller and back.
    pub load: Tally,
}

impl Step {
    fn carried(&self) -> bool {
        self.probes.late() <= LIMIT && self.load.lost() <= LIMIT
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
        self.refused.others >= FULL && self.refused.core < FULL
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
        let step = measure(&load, cores);
        eprintln!(
            "{}: {} calls, {:.2} % late, {:.2} % of the load lost; Asterisk {:.0} % of its core ({:.0} % full), the others {:.0} % full",
            kind.name,
            step.calls,
            step.probes.late() * 100.0,
            step.load.lost() * 100.0,
            step.under_test * 100.0,
            step.core * 100.0,
            step.others * 100.0
        );
        if !step.carried() {
            return Most {
                carried,
                refused: step,
            };
        }
        carried = Some(step);
    }
    unreachable!("the steps have no end")
}

fn measure(calls: &Calls<'_>, cores: &Cores) -> Step {
    let mut tries = 0;
    loop {
        tries += 1;
        sleep(SETTLE);
        let step = measure_once(calls, cores);
        if step.carried() || tries == TRIES {
            return step;
        }
    }
}

fn measure_once(calls: &Calls<'_>, cores: &Cores) -> Step {
    let under_test = &calls.world.under_test;
    let protected = || {
        calls
            .kind
            .ours
            .then(|| under_test.count("RTP protected") as f64)
    };
    let protected_before = protected();
    let loads = || (Load::of(&[cores.under_test]), Load::of(&cores.others));
    let (cpu, (core, others)) = (processor_time(under_test.pid()), loads());
    let began = Instant::now();
    let (load, probes) = calls.legs.measure(MEASURE);
    let time = began.elapsed().as_secs_f64();
    let used = processor_time(under_test.pid()) - cpu;
    let (core_now, others_now) = loads();
    let step = Step {
        calls: calls.up,
        under_test: used.as_secs_f64() / time,
        core: core_now.since(core),
        others: others_now.since(others),
        probes,
        load,
    };
    if let (Some(before), Some(after)) = (protected_before, protected()) {
        // Each packet that came back to a far leg was encrypted twice by the Asterisk under test.
        let expected = 2.0 * load.arrived as f64;
        assert!(
            after - before > expected * 0.9,
            "{} packets protected, about {expected} expected",
            after - before
        );
        assert_eq!(under_test.count("Authentication failures"), 0);
    }
    step
}
