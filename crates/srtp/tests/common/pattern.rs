//! Packet patterns of `tests/peers/packets`: a peer that sends as the lines say, and what a receiver of ours hears.
//!
//! | line | what |
//! |---|---|
//! | `send SSRC ROC:SEQ COUNT HEARD` | packets one after the other; so many of them are to be heard |
//! | `bare SSRC ROC:SEQ COUNT HEARD` | the same without the MKI that was announced |
//! | `old SSRC ROC:SEQ COUNT HEARD` | the same with the key before this one |
//! | `lose SSRC ROC:SEQ COUNT` | they do not arrive |
//! | `again SSRC ROC:SEQ COUNT HEARD` | they were sent before |
//! | `rtcp SSRC COUNT HEARD` | SRTCP, whose index of each SSRC counts from its first |
//! | `rtcp-clear SSRC COUNT HEARD` | RTCP in clear |
//! | `key N` | a description with another key; key 1 is there from the beginning |
//! | `mki HEX` | both sides' lines have this MKI, from the beginning |
//! | `gap MS` | silence |
//!
//! `HEARD` with a `+` behind it: so many or more.

use std::collections::HashMap;

use srtp::{LocalSsrc, MAX_TRAILER, MasterKey, Mki, Policy, Session, Suite, kernels};

const SUITE: Suite = Suite::AesCm128HmacSha1_80;
/// Milliseconds between two packets.
const SPACING: u64 = 20;
/// The rollover counter of a sender that was never used follows its sequence numbers in steps below half a turn.
const STEP: u64 = 0x3000;

struct Peer {
    /// By key and SSRC: the sender with its counter there, and the next index.
    senders: HashMap<(u8, u32), (Session, u64)>,
    key: u8,
    mki: Option<Mki>,
    receiver: Session,
    now: u64,
}

fn policy(key: u8, mki: Option<&Mki>) -> Policy {
    let key = MasterKey::new(SUITE, &vec![key; SUITE.key_salt_len()]).expect("its length");
    Policy::new(SUITE, key, mki.cloned()).expect("it fits")
}

fn rtp(ssrc: u32, index: u64) -> Vec<u8> {
    let mut packet = vec![0x80, 0];
    packet.extend((index as u16).to_be_bytes());
    packet.extend((index as u32).wrapping_mul(160).to_be_bytes());
    packet.extend(ssrc.to_be_bytes());
    packet.extend(format!("audio {index}").bytes());
    packet
}

fn rtcp(ssrc: u32) -> Vec<u8> {
    let mut packet = vec![0x80, 201, 0, 1];
    packet.extend(ssrc.to_be_bytes());
    packet
}

impl Peer {
    fn new() -> Self {
        Self {
            senders: HashMap::new(),
            key: 1,
            mki: None,
            receiver: Session::new(kernels()),
            now: 0,
        }
    }

    /// Takes the keys in force: those of the beginning, or of a new description.
    fn describe(&mut self) {
        let policy = policy(self.key, self.mki.as_ref());
        self.receiver
            .set_remote(&[policy], false, self.now)
            .expect("room");
        self.receiver.commit();
    }

    /// A packet as it is on the wire.
    fn protect(&mut self, key: u8, mki: Option<&Mki>, ssrc: u32, index: u64) -> Vec<u8> {
        let new = || {
            let mut sender = Session::new(kernels());
            sender
                .set_local(LocalSsrc::Any, &policy(key, mki))
                .expect("room");
            (sender, 0)
        };
        let sender = self.senders.entry((key, ssrc)).or_insert_with(new);
        if sender.1 > index {
            // It was sent before: from the beginning once more.
            *sender = new();
        }
        let mut out = vec![0; 64 + MAX_TRAILER];
        let mut seal = |sender: &mut Session, index| {
            let packet = rtp(ssrc, index);
            let length = sender.protect_rtp(&packet, &mut out).expect("a new index");
            out[..length].to_vec()
        };
        while sender.1 + STEP < index {
            seal(&mut sender.0, sender.1);
            sender.1 += STEP;
        }
        sender.1 = index + 1;
        seal(&mut sender.0, index)
    }

    /// How many of these packets are heard.
    fn send(&mut self, key: u8, mki: Option<&Mki>, ssrc: u32, from: u64, count: u64) -> u64 {
        let mut heard = 0;
        for index in from..from + count {
            let mut packet = self.protect(key, mki, ssrc, index);
            self.now += SPACING;
            if let Ok(length) = self.receiver.unprotect_rtp(&mut packet, self.now) {
                assert_eq!(packet[..length], rtp(ssrc, index), "heard wrongly");
                heard += 1;
            }
        }
        heard
    }

    fn send_rtcp(&mut self, ssrc: u32, count: u64, clear: bool) -> u64 {
        let mut sender = Session::new(kernels());
        let policy = policy(self.key, self.mki.as_ref());
        sender.set_local(LocalSsrc::Any, &policy).expect("room");
        let mut heard = 0;
        for _ in 0..count {
            let mut packet = rtcp(ssrc);
            if !clear {
                let mut out = vec![0; 64 + MAX_TRAILER];
                let length = sender.protect_rtcp(&packet, &mut out).expect("room");
                packet = out[..length].to_vec();
            }
            self.now += SPACING;
            heard += u64::from(self.receiver.unprotect_rtcp(&mut packet, self.now).is_ok());
        }
        heard
    }
}

fn number(text: &str) -> u64 {
    text.parse()
        .unwrap_or_else(|_| panic!("{text:?} is no number"))
}

fn index(text: &str) -> u64 {
    let (roc, sequence) = text.split_once(':').expect("ROC:SEQ");
    (number(roc) << 16) + number(sequence)
}

/// Runs the lines; what was heard otherwise than they say.
pub fn run(lines: &[String]) -> Result<(), String> {
    let mut peer = Peer::new();
    let mut described = false;
    let mut wrong = Vec::new();
    for line in lines {
        let words: Vec<&str> = line.split(' ').collect();
        if !described && words[0] != "mki" {
            peer.describe();
            described = true;
        }
        let key = peer.key;
        let mki = peer.mki.clone();
        let heard = match &words[..] {
            ["send" | "again", ssrc, at, count, _] => peer.send(
                key,
                mki.as_ref(),
                number(ssrc) as u32,
                index(at),
                number(count),
            ),
            ["bare", ssrc, at, count, _] => {
                peer.send(key, None, number(ssrc) as u32, index(at), number(count))
            }
            ["old", ssrc, at, count, _] => peer.send(
                key - 1,
                mki.as_ref(),
                number(ssrc) as u32,
                index(at),
                number(count),
            ),
            ["lose", ..] => continue,
            ["rtcp", ssrc, count, _] => peer.send_rtcp(number(ssrc) as u32, number(count), false),
            ["rtcp-clear", ssrc, count, _] => {
                peer.send_rtcp(number(ssrc) as u32, number(count), true)
            }
            ["key", n] => {
                peer.key = number(n) as u8;
                peer.describe();
                continue;
            }
            ["mki", hex] => {
                let octet = u8::from_str_radix(hex, 16).expect("one octet in hexadecimal");
                peer.mki = Some(Mki::new(&[octet]).expect("its length"));
                continue;
            }
            ["gap", ms] => {
                peer.now += number(ms);
                continue;
            }
            _ => panic!("{line:?} is no line of a pattern"),
        };
        let expected = words[words.len() - 1];
        let as_expected = match expected.strip_suffix('+') {
            Some(least) => heard >= number(least),
            None => heard == number(expected),
        };
        if !as_expected {
            wrong.push(format!("{line}: {heard} heard"));
        }
    }
    match wrong.is_empty() {
        true => Ok(()),
        false => Err(wrong.join("; ")),
    }
}
