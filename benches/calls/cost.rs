//! What a call costs: the CPU time of the Asterisk under test, per call and second, and for its beginning and end.

use std::thread::sleep;
use std::time::{Duration, Instant};

use host_harness::lab::Lab;
use host_harness::process::processor_time;

use crate::cores::Cores;
use crate::world::{Kind, World};

/// What the caller calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// One leg.
    Echo,
    /// A bridge with a second leg, back to the caller.
    Bridge,
}

impl Target {
    /// The extension.
    pub fn name(self) -> &'static str {
        match self {
            Self::Echo => "echo",
            Self::Bridge => "bridge",
        }
    }
}

/// What was measured.
#[derive(Debug, Clone)]
pub struct Cost {
    /// Milliseconds of CPU per call and second, while the calls are up.
    pub second: f64,
    /// Milliseconds of CPU per call for all else, from the first call's beginning to the last one's record: set-up, the
    /// packets of meanwhile, the end.
    pub ends: f64,
    /// The kernel, if it was ours.
    pub kernel: Option<String>,
}

/// Makes so many calls, lets them be for so many seconds, and ends them.
pub fn measure(kind: &Kind, target: Target, calls: u32, seconds: u32, cores: &Cores) -> Cost {
    let lab = Lab::new("bench-calls");
    let world = World::start(&lab, kind, cores);
    let under_test = &world.under_test;
    let first = processor_time(under_test.pid());
    for _ in 0..calls {
        world.originate(target.name(), "extension tone@default");
    }
    let channels = match target {
        Target::Echo => calls,
        Target::Bridge => calls * 2,
    };
    under_test.wait_for_channels(channels as usize);
    if target == Target::Bridge {
        world.wait_for_bridges(calls);
    }
    // Past the set-up of the last call.
    sleep(Duration::from_secs(2));
    let (before, began) = (processor_time(under_test.pid()), Instant::now());
    sleep(Duration::from_secs(seconds.into()));
    let used = processor_time(under_test.pid()) - before;
    let time = began.elapsed().as_secs_f64();
    under_test.wait_for_channels(channels as usize);
    if kind.ours {
        // The figures are only ours if we carried the packets.
        let packets = f64::from(channels) * time * 50.0;
        let protected = under_test.count("RTP protected") as f64;
        assert!(
            protected > packets * 0.9,
            "{protected} packets protected, about {packets} expected"
        );
        assert_eq!(under_test.count("Authentication failures"), 0);
    }
    let second = used.as_secs_f64() * 1000.0 / time / f64::from(calls);
    let kernel = kind.ours.then(|| under_test.status("Kernel"));
    world.hang_up(calls, kind.proof);
    let rest = processor_time(under_test.pid()) - first - used;
    let ends = rest.as_secs_f64() * 1000.0 / f64::from(calls);
    Cost {
        second,
        ends,
        kernel,
    }
}
