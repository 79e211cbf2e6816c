//! Peers of each kind over long calls with silence, loss, holds, new keys and replays: a stream is heard again within 2 seconds
//! of its audio (100 packets that arrive) where its index was never heard, and no packet is handed up twice.
//!
//! libsrtp is the peer. What may be heard is kept here in a way of its own: each accepted index, and the stretches that they
//! make. `make properties` runs 10^7 packets a model; `cargo test` a few. A failure names its seed, and with `PROPERTY_SEED` each
//! model runs that call alone.

#![cfg(not(without_libsrtp))]

#[path = "common/libsrtp.rs"]
#[allow(dead_code)]
mod libsrtp;
#[path = "common/random.rs"]
#[allow(dead_code)]
mod random;

use std::collections::{HashMap, HashSet};

use libsrtp::{LibSrtp, Setup};
use random::Random;
use srtp::{MasterKey, Policy, Session, Suite, kernels};

const TURN: u64 = 1 << 16;
/// Milliseconds from packet to packet.
const TICK: u64 = 20;
/// Packets that may be lost before a stream is heard again: 2 seconds.
const PATIENCE: u32 = 100;
/// Turns that a stream is followed, each way.
const AHEAD: u64 = 46;
/// What a receiver knows of one stream: the run that it hears and 8 others.
const STRETCHES: usize = 9;
/// Packets of a call, and of its streams together.
const CALL: usize = 20_000;

/// How a peer counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Model {
    /// As RFC 3711 says: its counter lives as long as its SSRC.
    KeepsRoc,
    /// Its counter begins anew with each hold and each key, and its sequence numbers go on.
    ResetsRoc,
    /// Its sequence number jumps, with a hold and without one; its counter stays, or goes up where the number went down.
    JumpsSequence,
    /// Each hold brings a new SSRC.
    NewSsrc,
    /// Two sources under one key, each with silences of its own.
    TwoSsrcs,
}

/// One source of the peer's.
struct Source {
    ssrc: u32,
    /// Of the next packet.
    index: u64,
    /// `None`: its counter was set otherwise than libsrtp would go on.
    sender: Option<LibSrtp>,
    /// Arrived and not heard, though their indexes were never heard, in a row.
    deaf: u32,
    /// Forgeries and replays that came in between: each may take the place of a try.
    others: u32,
    /// Packets for which it does not arrive.
    silent: u64,
}

impl Source {
    fn new(ssrc: u32, index: u64) -> Self {
        Source {
            ssrc,
            index,
            sender: None,
            deaf: 0,
            others: 0,
            silent: 0,
        }
    }

    fn go_to(&mut self, index: u64) {
        if index != self.index {
            self.index = index;
            self.sender = None;
            self.begin_anew();
        }
    }

    /// The peer's count moved, or its key changed: the 2 seconds begin here. What failed before tells nothing of where the
    /// stream is now, and under a new key there are up to 138 indexes to try (46 turns ahead, behind and from zero) at two
    /// a packet, so no receiver is through with them before 69 more packets, however long it was deaf before.
    fn begin_anew(&mut self) {
        self.deaf = 0;
        self.others = 0;
    }
}

/// Both ends inclusive: what was heard in a row, gaps of a window left out.
type Stretch = (u64, u64);

/// What was heard of one (key, SSRC).
#[derive(Default)]
struct Known {
    indexes: HashSet<u64>,
    stretches: Vec<Stretch>,
}

impl Known {
    fn accept(&mut self, index: u64) -> bool {
        const GAP: u64 = 128;
        let near = |s: &Stretch| index + GAP > s.0 && index < s.1 + GAP;
        let (mut low, mut high) = (index, index);
        self.stretches.retain(|s| {
            let joins = near(s);
            if joins {
                (low, high) = (low.min(s.0), high.max(s.1));
            }
            !joins
        });
        self.stretches.push((low, high));
        self.indexes.insert(index)
    }

    /// Whether an index is certainly one that was never heard.
    fn is_free(&self, index: u64) -> bool {
        let lowest = self.stretches.iter().map(|s| s.0).min();
        let highest = self.stretches.iter().map(|s| s.1).max();
        let (Some(lowest), Some(highest)) = (lowest, highest) else {
            return true;
        };
        if index < lowest || index > highest {
            return true;
        }
        // What lies between more of them than are remembered may count as heard.
        self.stretches.len() < STRETCHES
            && self.stretches.iter().all(|s| index < s.0 || index > s.1)
    }
}

/// What came up, so that a run proves something.
#[derive(Default, Debug)]
struct Tally {
    sent: u64,
    heard: u64,
    holds: u32,
    keys: u32,
    silences: u32,
    replays: u64,
    unsafe_lost: u64,
    longest: u32,
    longest_attacked: u32,
}

struct Call<'a> {
    r: Random,
    /// What it is made of: `PROPERTY_SEED` repeats it.
    seed: u64,
    model: Model,
    suite: Suite,
    rx: Session,
    now: u64,
    key: u8,
    sources: Vec<Source>,
    known: HashMap<(u8, u32), Known>,
    /// The index that was heard last of an SSRC, under any key.
    last: HashMap<u32, u64>,
    recorded: Vec<Vec<u8>>,
    delayed: Vec<Vec<u8>>,
    /// Somebody sends forgeries and replays.
    attacked: bool,
    tally: &'a mut Tally,
}

fn key_salt(suite: Suite, key: u8) -> Vec<u8> {
    (0..suite.key_salt_len()).map(|i| i as u8 ^ key).collect()
}

fn policy(suite: Suite, key: u8) -> Policy {
    let master = MasterKey::new(suite, &key_salt(suite, key)).unwrap();
    Policy::new(suite, master, None).unwrap()
}

impl<'a> Call<'a> {
    fn new(seed: u64, model: Model, tally: &'a mut Tally) -> Self {
        let mut r = Random(seed << 8 | model as u64);
        let suite = [Suite::AesCm128HmacSha1_80, Suite::AesCm128HmacSha1_32][r.below(2)];
        let mut rx = Session::new(kernels());
        rx.set_remote(&[policy(suite, 0)], false, 0).unwrap();
        let sources = if model == Model::TwoSsrcs { 2 } else { 1 };
        let sources = (0..sources)
            .map(|n| Source::new(1 + n, r.below(TURN as usize) as u64))
            .collect();
        let attacked = r.one_in(2);
        Call {
            r,
            seed,
            model,
            suite,
            rx,
            now: 0,
            key: 0,
            sources,
            known: HashMap::new(),
            last: HashMap::new(),
            recorded: Vec::new(),
            delayed: Vec::new(),
            attacked,
            tally,
        }
    }

    /// A description of the peer's, with the key in force or a new one; the new one may be refused.
    fn hold(&mut self) {
        self.tally.holds += 1;
        let rekeys = self.r.one_in(2) && self.key < u8::MAX;
        if rekeys {
            let next = policy(self.suite, self.key + 1);
            self.rx.set_remote(&[next], false, self.now).unwrap();
            if self.r.one_in(4) {
                self.rx.cancel(self.now);
            } else {
                self.rx.commit();
                self.tally.keys += 1;
                self.key += 1;
                for source in &mut self.sources {
                    source.sender = None;
                    source.begin_anew();
                }
            }
        } else {
            self.rx.renew();
        }
        let source = &mut self.sources[0];
        match self.model {
            Model::KeepsRoc | Model::TwoSsrcs => (),
            Model::ResetsRoc => source.go_to(source.index % TURN),
            Model::JumpsSequence => jump(&mut self.r, source),
            Model::NewSsrc => {
                let index = self.r.below(TURN as usize) as u64;
                *source = Source::new(source.ssrc + 1, index);
            }
        }
        // The music, or nothing.
        if self.r.one_in(2) {
            self.silence(0);
        }
    }

    /// Nothing of a source arrives; the peer counts, or does not.
    fn silence(&mut self, which: usize) {
        self.tally.silences += 1;
        let source = &mut self.sources[which];
        let most = 1_usize << self.r.below(18);
        let packets = 1 + self.r.below(most) as u64;
        if self.r.one_in(3) {
            // Longer than a call of this test: some turns at once.
            let turns = self.r.below(AHEAD as usize - 2) as u64;
            source.go_to(source.index + packets + TURN * turns);
            self.now += TICK * (packets + TURN * turns);
        } else if self.r.one_in(2) {
            source.go_to(source.index + packets);
            self.now += TICK * packets;
        } else {
            source.silent = packets % 500;
        }
    }

    fn seal(&mut self, which: usize) -> Vec<u8> {
        let (suite, key) = (self.suite, self.key);
        let source = &mut self.sources[which];
        let mut packet = vec![0x80, 0];
        packet.extend((source.index as u16).to_be_bytes());
        packet.extend([0; 4]);
        packet.extend(source.ssrc.to_be_bytes());
        packet.push(key);
        packet.extend(source.index.to_be_bytes());
        let stream = Some((source.ssrc, (source.index / TURN) as u32));
        let sender = source.sender.get_or_insert_with(|| {
            LibSrtp::new(&Setup {
                stream,
                ..Setup::new(suite, &key_salt(suite, key), false)
            })
        });
        source.index += 1;
        sender.protect_rtp(&packet).expect("libsrtp protects")
    }

    /// Whether an index is as near as it is looked for: some turns from the last one, at zero, or, under a key with nothing of
    /// the SSRC heard, some turns from zero.
    fn is_near(&self, ssrc: u32, index: u64, is_new: bool) -> bool {
        let near = |other: u64| (index / TURN).abs_diff(other / TURN) < AHEAD;
        let last = self.last.get(&ssrc);
        index < TURN || (is_new && near(0)) || last.is_some_and(|last| near(*last))
    }

    /// Hands a packet to the receiver. Whether it was heard.
    fn arrive(&mut self, wire: &[u8]) -> bool {
        let mut buffer = wire.to_vec();
        match self.rx.unprotect_rtp(&mut buffer, self.now) {
            Ok(len) => {
                let ssrc = u32::from_be_bytes(buffer[8..12].try_into().unwrap());
                let key = buffer[12];
                let index = u64::from_be_bytes(buffer[13..21].try_into().unwrap());
                assert_eq!(len, 21);
                assert_eq!(index as u16, u16::from_be_bytes([buffer[2], buffer[3]]));
                let known = self.known.entry((key, ssrc)).or_default();
                assert!(
                    known.accept(index),
                    "{:?}, seed {}: {index:#x} twice",
                    self.model,
                    self.seed
                );
                self.last.insert(ssrc, index);
                self.tally.heard += 1;
                true
            }
            Err(_) => {
                assert_eq!(buffer, wire);
                false
            }
        }
    }

    /// The next packet of a source: lost, late, or there; with what an attacker has to add.
    fn step(&mut self, which: usize) {
        let index = self.sources[which].index;
        let ssrc = self.sources[which].ssrc;
        let wire = self.seal(which);
        self.tally.sent += 1;
        let source = &mut self.sources[which];
        if source.silent > 0 {
            source.silent -= 1;
            return;
        }
        if self.r.one_in(50) {
            return;
        }
        if self.r.one_in(50) {
            self.delayed.push(wire);
            return;
        }
        if self.recorded.len() < 5_000 {
            self.recorded.push(wire.clone());
        } else {
            let at = self.r.below(5_000);
            self.recorded[at].clone_from(&wire);
        }
        let known = self.known.get(&(self.key, ssrc));
        let is_free = known.is_none_or(|known| known.is_free(index))
            && self.is_near(ssrc, index, known.is_none());
        let heard = self.arrive(&wire);
        let source = &mut self.sources[which];
        if heard {
            let longest = match source.others {
                0 => &mut self.tally.longest,
                _ => &mut self.tally.longest_attacked,
            };
            *longest = (*longest).max(source.deaf);
            source.deaf = 0;
            source.others = 0;
        } else if is_free {
            source.deaf += 1;
            assert!(
                source.deaf <= PATIENCE * (1 + source.others),
                "{:?}, seed {}: deaf at {index:#x} of {ssrc}, key {}; heard {:x?}, last {:x?}",
                self.model,
                self.seed,
                self.key,
                self.known.get(&(self.key, ssrc)).map(|k| &k.stretches),
                self.last.get(&ssrc)
            );
        } else {
            self.tally.unsafe_lost += 1;
            source.deaf = 0;
            source.others = 0;
        }
        if self.attacked {
            self.attack(which, wire, heard);
        }
        if self.r.one_in(5)
            && let Some(late) = self.delayed.pop()
        {
            self.arrive(&late);
            self.sources[which].others += 1;
        }
    }

    fn attack(&mut self, which: usize, wire: Vec<u8>, heard: bool) {
        let before = self.tally.replays;
        if self.r.one_in(50) {
            self.tally.replays += 1;
            assert!(!self.arrive(&wire) || !heard, "a duplicate");
        }
        if self.r.one_in(20) {
            let old = self.recorded[self.r.below(self.recorded.len())].clone();
            self.tally.replays += 1;
            self.arrive(&old);
        }
        if self.r.one_in(20) {
            let mut forged = wire;
            let bit = self.r.below(8 * forged.len());
            forged[bit / 8] ^= 1 << (bit % 8);
            self.tally.replays += 1;
            assert!(!self.arrive(&forged), "a forgery");
        }
        self.sources[which].others += (self.tally.replays - before) as u32;
    }

    fn run(mut self) {
        for _ in 0..CALL / self.sources.len() {
            self.now += TICK;
            if self.r.one_in(2_000) {
                self.hold();
            }
            for which in 0..self.sources.len() {
                if self.r.one_in(3_000) {
                    self.silence(which);
                }
                if self.model == Model::JumpsSequence && self.r.one_in(4_000) {
                    jump(&mut self.r, &mut self.sources[which]);
                }
                self.step(which);
            }
        }
    }
}

/// Another sequence number; the counter stays, or goes up where the number went down.
fn jump(r: &mut Random, source: &mut Source) {
    let sequence = r.below(TURN as usize) as u64;
    let stays = source.index / TURN * TURN + sequence;
    let goes_up = stays < source.index && r.one_in(2);
    source.go_to(stays + if goes_up { TURN } else { 0 });
}

/// Packets a model: `PROPERTY_PACKETS`, or a few.
fn packets() -> u64 {
    let wanted = std::env::var("PROPERTY_PACKETS").ok();
    wanted.map_or(100_000, |wanted| wanted.parse().expect("a number"))
}

fn holds(model: Model) {
    let mut tally = Tally::default();
    if let Ok(seed) = std::env::var("PROPERTY_SEED") {
        Call::new(seed.parse().expect("a number"), model, &mut tally).run();
        println!("{model:?}: the call of seed {seed}, {tally:?}");
        return;
    }
    let mut seed = 0;
    while tally.sent < packets() {
        Call::new(seed, model, &mut tally).run();
        seed += 1;
    }
    println!("{model:?}: {seed} calls, {tally:?}");
    assert!(tally.heard > tally.sent / 2, "{tally:?}");
    assert!(
        tally.holds > 10 && tally.keys > 3 && tally.silences > 10,
        "{tally:?}"
    );
    assert!(tally.replays > 1_000 && tally.longest > 10, "{tally:?}");
}

#[test]
fn a_peer_that_keeps_its_counter() {
    holds(Model::KeepsRoc);
}

/// 41 turns ahead, and 80 packets later, four short of the one that is tried there, a new key: it is heard 45 packets on.
#[test]
fn a_new_key_while_the_peer_is_looked_for() {
    let mut tally = Tally::default();
    Call::new(413, Model::KeepsRoc, &mut tally).run();
    assert!(tally.longest > 40, "{tally:?}");
}

#[test]
fn a_peer_that_resets_its_counter() {
    holds(Model::ResetsRoc);
}

#[test]
fn a_peer_whose_sequence_number_jumps() {
    holds(Model::JumpsSequence);
}

#[test]
fn a_peer_with_a_new_ssrc_each_hold() {
    holds(Model::NewSsrc);
}

#[test]
fn a_peer_with_two_ssrcs() {
    holds(Model::TwoSsrcs);
}
