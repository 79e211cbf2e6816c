//! The same work with different secrets, step by step: all that can be seen from outside must be the same.

use std::fmt::Display;

use packet_crypto::Kernels;

use crate::observed::{Kind, Observer, code, is_ours};
use crate::steps::{Step, Stepper};
use crate::work::{self, Room, Tag, Watch};

/// Sets of secrets that are compared: all zeros, all ones, a random one.
const SETS: u64 = 3;

/// What is looked at.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    All,
    /// Openings alone.
    Openings,
}

/// A look at one piece of code.
pub struct Stepped {
    scope: Scope,
    stepper: Stepper,
    observer: Observer,
    /// What the first set of secrets showed.
    first: Vec<(Kind, u64)>,
    /// How much of it the present set has been compared with.
    compared: usize,
    set: u64,
    random: u64,
    steps: usize,
    leak: Option<String>,
}

impl Watch for Stepped {
    fn secret(&mut self, octets: &mut [u8]) {
        match self.set {
            0 => octets.fill(0),
            1 => octets.fill(0xff),
            _ => octets.fill_with(|| {
                // xorshift64*
                self.random ^= self.random >> 12;
                self.random ^= self.random << 25;
                self.random ^= self.random >> 27;
                (self.random.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 56) as u8
            }),
        }
    }

    fn watch(&mut self, what: &dyn Display, work: &mut dyn FnMut()) {
        match self.scope {
            Scope::All => self.step(what, work, |_| true),
            Scope::Openings => work(),
        }
    }

    fn open(&mut self, tag: Tag, what: &dyn Display, work: &mut dyn FnMut()) {
        // One decision by the whole of a forged tag may leave other flags each time, of which it reads one: the same branch
        // is taken.
        self.step(what, work, |kind| {
            tag == Tag::Known || kind != Kind::Condition
        });
    }
}

impl Stepped {
    /// Does the work by steps, and compares what is `seen` of them with what the first set of secrets showed.
    fn step(&mut self, what: &dyn Display, work: &mut dyn FnMut(), seen: impl Fn(Kind) -> bool) {
        if self.leak.is_some() {
            return work();
        }
        let steps = self.stepper.steps(work);
        self.steps += steps.len();
        let (first, compared) = (&mut self.first, &mut self.compared);
        let mut leak = None;
        let first_set = self.set == 0;
        self.observer.observe(steps, |step, kind, value| {
            if !seen(kind) {
                return;
            }
            if first_set {
                first.push((kind, value));
            } else if leak.is_none() && first.get(*compared) != Some(&(kind, value)) {
                leak = Some((step, kind, value, first.get(*compared).copied()));
            }
            *compared += 1;
        });
        self.leak = leak.map(|leak| describe(what, steps, leak));
    }
}

fn describe(
    what: &dyn Display,
    steps: &[Step],
    (step, kind, value, before): (usize, Kind, u64, Option<(Kind, u64)>),
) -> String {
    let at = steps[step.saturating_sub(usize::from(kind == Kind::Branch))].ip();
    format!(
        "{what}: {kind:?} {value:#x}, before {before:x?}, step {step} at {at:#x}{}",
        place(at)
    )
}

/// The function and line of an address in this program, if binutils are there.
fn place(ip: u64) -> String {
    let (Ok(program), true) = (std::env::current_exe(), is_ours(ip)) else {
        return String::new();
    };
    let output = std::process::Command::new("addr2line")
        .args(["-Cfipe"])
        .arg(&program)
        .arg(format!("{:#x}", ip - code().start))
        .output();
    output.map_or(String::new(), |o| {
        format!(" ({})", String::from_utf8_lossy(&o.stdout).trim())
    })
}

/// What was executed, or the first thing that depended on a secret.
pub fn look(scope: Scope, mut work: impl FnMut(&mut dyn Watch)) -> Result<Stepped, String> {
    let mut stepped = Stepped {
        scope,
        stepper: Stepper::new(),
        observer: Observer::new(),
        first: Vec::new(),
        compared: 0,
        set: 0,
        random: 0x1234_5678_9abc_def1,
        steps: 0,
        leak: None,
    };
    for set in 0..SETS {
        (stepped.set, stepped.compared) = (set, 0);
        work(&mut stepped);
        if let Some(leak) = stepped.leak {
            return Err(leak);
        }
        if stepped.compared != stepped.first.len() {
            return Err("less was done than before".into());
        }
    }
    Ok(stepped)
}

/// What a level's name says, and the feature that the CPU must then have; none of the others'.
const NAMED: [(&str, &str); 4] = [
    ("SHA-NI", "SHA"),
    ("VAES", "VAES"),
    ("AVX", "AVX"),
    ("AVX512", "AVX512F"),
];

/// A level's work with each set of secrets.
pub fn level(k: &'static Kernels, scope: Scope, room: &mut Room) -> Result<String, String> {
    let stepped = look(scope, |w| work::kernels(k, room, w))?;
    let features = &stepped.observer.features;
    for (named, feature) in NAMED {
        if k.name().contains(named) != features.contains(feature) {
            let features: Vec<&str> = features.iter().map(|f| &**f).collect();
            return Err(format!("what ran is {}", features.join(", ")));
        }
    }
    Ok(format!("{} instructions", stepped.steps))
}
