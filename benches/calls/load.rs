//! Bridged calls: the harness's phone sends a packet every 20 ms, and the caller gives it back. Ten of them are probes: both ends are the
//! harness's, and a packet is timed from one to the other. Or calls of one leg to an echo, which cost the Asterisk under test less than half.

use std::net::UdpSocket;
use std::thread;

use host_harness::lab::Lab;
use host_harness::peer::srtp::AES_80;
use host_harness::peer::{Description, Key, Phone};
use host_harness::pjsip::Encryption;

use crate::legs::{Leg, Legs, Role};
use crate::world::{FAR, Kind, PROBE, UNDER_TEST, World};

const PROBES: u32 = 10;

/// The calls that are up.
pub struct Calls<'a> {
    lab: &'a Lab,
    pub world: &'a World<'a>,
    pub kind: &'a Kind,
    pub legs: Legs,
    far: Phone,
    probe: Phone,
    /// How many, the probes among them.
    pub up: u32,
}

impl<'a> Calls<'a> {
    /// The probes alone.
    pub fn start(lab: &'a Lab, world: &'a World<'a>, kind: &'a Kind) -> Self {
        let mut calls = Self {
            lab,
            world,
            kind,
            legs: Legs::start(),
            far: Phone::new(lab, FAR, UNDER_TEST),
            probe: Phone::new(lab, PROBE, UNDER_TEST),
            up: 0,
        };
        for _ in 0..PROBES {
            calls.probe();
        }
        calls
    }

    /// So many, the probes among them.
    pub fn raise_to(&mut self, calls: u32) {
        while self.up < calls {
            self.world.originate("far", "application Echo");
            let leg = far_leg(self.lab, self.kind, &mut self.far, self.up, Role::Load);
            self.legs.add(leg);
            self.up += 1;
        }
        self.world.wait_for_bridges(self.up);
    }

    /// So many, the probes among them; the others are the harness's phone's, to the echo of the Asterisk under test.
    pub fn raise_with_echoes_to(&mut self, calls: u32) {
        while self.up < calls {
            let at = socket(self.lab, FAR, self.up);
            let far = &mut self.far;
            let leg = calling_leg(self.kind, far, "echo", at, self.up, Role::Load);
            self.legs.add(leg);
            self.up += 1;
        }
        let channels = self.up + PROBES;
        self.world.under_test.wait_for_channels(channels as usize);
    }

    /// A call from the harness to the harness.
    fn probe(&mut self) {
        let (lab, kind, n) = (self.lab, self.kind, self.up);
        let at = socket(lab, PROBE, n);
        let (far, probe) = (&mut self.far, &mut self.probe);
        let (far, probe) = thread::scope(|scope| {
            let far = scope.spawn(|| far_leg(lab, kind, far, n, Role::Probe));
            let probe = calling_leg(kind, probe, "far", at, n, Role::Probe);
            (far.join().expect("the far end answers"), probe)
        });
        self.legs.add(far);
        self.legs.add(probe);
        self.up += 1;
    }
}

/// The phone answers the `n`-th call.
fn far_leg(lab: &Lab, kind: &Kind, far: &mut Phone, n: u32, role: Role) -> Leg {
    let (socket, port) = socket(lab, FAR, n);
    let mut keys = None;
    let offer = far.answer(|offer| {
        if kind.encryption == Encryption::Plain {
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
    Leg {
        role,
        socket,
        to: offer.media(),
        keys,
    }
}

/// The phone's `n`-th call to an extension, with its media at this port.
fn calling_leg(
    kind: &Kind,
    phone: &mut Phone,
    extension: &str,
    (socket, port): (UdpSocket, u16),
    n: u32,
    role: Role,
) -> Leg {
    let ours = Key::new(AES_80, n as u8);
    let encrypted = kind.encryption != Encryption::Plain;
    let crypto: Vec<String> = encrypted.then(|| ours.line(1, "")).into_iter().collect();
    let answer = phone.call(extension, &Description::new(port, &crypto));
    let answer = answer.unwrap_or_else(|status| panic!("{extension} was refused: {status}"));
    Leg {
        role,
        socket,
        to: answer.media(),
        keys: encrypted.then(|| (ours, Key::of_line(&answer.crypto()[0]))),
    }
}

/// The `n`-th media port at `host`.
fn socket(lab: &Lab, host: &str, n: u32) -> (UdpSocket, u16) {
    let port = 10_000 + 2 * u16::try_from(n).expect("so many calls no core carries");
    (lab.udp(&format!("{host}:{port}")), port)
}
