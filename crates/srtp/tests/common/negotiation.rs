//! A negotiation driven by octets: descriptions come and go in every order, and what must hold is checked after each step.
//! For the property test and the fuzz target.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use srtp::sdes::negotiation::{Action, Exchange, Keys, Negotiation, Terms, Warning};
use srtp::sdes::{CryptoLine, Entropy, KeyAge, MkiRule, NoEntropy, Rules};
use srtp::{LocalSsrc, Session, SessionParams, Suite};

const ACCEPTED: [Suite; 3] = [
    Suite::AesCm128HmacSha1_80,
    Suite::AesCm128HmacSha1_32,
    Suite::AeadAes128Gcm,
];
const ALLOWED: SessionParams = SessionParams {
    unencrypted_srtp: false,
    unencrypted_srtcp: true,
    unauthenticated_srtp: false,
};
const TERMS: Terms<'static> = Terms {
    rules: Rules {
        suites: &ACCEPTED,
        mki: MkiRule::One,
        params: ALLOWED,
    },
    offer: &[Suite::AesCm128HmacSha1_80, Suite::AeadAes128Gcm],
    lifetime: Some(1 << 30),
};

/// No octets twice.
struct Counting {
    next: u64,
    empty: bool,
}

impl Entropy for Counting {
    fn fill(&mut self, octets: &mut [u8]) -> Result<(), NoEntropy> {
        if self.empty {
            return Err(NoEntropy);
        }
        self.next += 1;
        octets.fill(0xee);
        octets[..8].copy_from_slice(&self.next.to_be_bytes());
        Ok(())
    }
}

struct World {
    negotiation: Negotiation,
    session: Option<Session>,
    entropy: Counting,
    /// Every local key that was in a description of ours, and the suite there.
    told: BTreeSet<(Vec<u8>, &'static str)>,
    /// Every local key that a session had.
    used: BTreeSet<Vec<u8>>,
    in_force: Option<Keys>,
    pending: Option<Keys>,
    /// We have described our answer since the peer's last offer.
    answered: bool,
    age: KeyAge,
}

/// Takes octets one by one; zeros when there are none left.
struct Script<'a>(&'a [u8]);

impl Script<'_> {
    fn next(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else {
            return 0;
        };
        self.0 = rest;
        *first
    }
}

/// Runs a script, and panics where something does not hold.
pub fn run(script: &[u8]) {
    let mut script = Script(script);
    let mut world = World {
        negotiation: Negotiation::new(),
        session: None,
        entropy: Counting {
            next: 0,
            empty: false,
        },
        told: BTreeSet::new(),
        used: BTreeSet::new(),
        in_force: None,
        pending: None,
        answered: false,
        age: KeyAge::Fresh,
    };
    while !script.0.is_empty() {
        let operation = script.next();
        // One in sixteen has no randomness, one in sixteen cannot be done.
        world.entropy.empty = operation & 0xf0 == 0x10;
        let fails = operation & 0xf0 == 0x20;
        match operation & 0x0f {
            0..=5 => world.receive(&mut script, fails),
            6..=11 => world.describe(&mut script, fails),
            12 => world.age = KeyAge::Old,
            13 => world.age = KeyAge::Fresh,
            _ => {
                world.session = None;
                world.in_force = None;
                world.pending = None;
                world.negotiation.session_lost();
                assert!(!world.negotiation.has_keys());
            }
        }
    }
}

fn exchange(octet: u8) -> Exchange {
    [
        Exchange::OurOffer,
        Exchange::TheirOffer,
        Exchange::TheirAnswer,
        Exchange::OurAnswer,
        Exchange::Unknown,
    ][usize::from(octet) % 5]
}

/// An `a=crypto` value of the peer's. Some are not acceptable.
fn line(script: &mut Script<'_>) -> String {
    let (choice, key, more) = (script.next(), script.next(), script.next());
    let (suite, length) = [
        ("AES_CM_128_HMAC_SHA1_80", 30),
        ("AES_CM_128_HMAC_SHA1_32", 30),
        ("AEAD_AES_128_GCM", 28),
        // Not accepted.
        ("AES_256_CM_HMAC_SHA1_80", 46),
        ("AES_CM_128_HMAC_SHA1_81", 30),
    ][usize::from(choice >> 4) % 5];
    let tag = choice & 3;
    // Base64 of `length` octets that all encode to the same letter but the last few.
    let letter = char::from(b'A' + key % 4);
    let digits = length * 4_usize;
    let mut key: String = std::iter::repeat_n(letter, digits / 3).collect();
    match digits % 3 {
        0 => {}
        1 => key.push_str("A=="),
        _ => key.push_str("A="),
    }
    let params = [
        "",
        "",
        " UNENCRYPTED_SRTCP",
        " UNENCRYPTED_SRTP",
        " UNAUTHENTICATED_SRTP",
        " WSH=64",
        " KDR=1",
    ][usize::from(more & 0x0f) % 7];
    let fields =
        ["", "|2^20", "|2^10", "|1:4", "|2:4", "|2^49", " | 2^31"][usize::from(more >> 4) % 7];
    format!("{tag} {suite} inline:{key}{fields}{params}")
}

fn local_key(keys: &Keys) -> Vec<u8> {
    keys.local.key().key_salt().to_vec()
}

impl World {
    fn receive(&mut self, script: &mut Script<'_>, fails: bool) {
        let mut exchange = exchange(script.next());
        let value = line(script);
        let peer = [None, Some("192.0.2.1:7000"), Some("192.0.2.2:7000")]
            [usize::from(script.next()) % 3]
            .map(|address| address.parse::<SocketAddr>().expect("an address"));
        // An answer of ours that stands has gone out.
        if exchange == Exchange::OurAnswer && !self.answered {
            exchange = Exchange::TheirOffer;
        }
        let received = self
            .negotiation
            .receive(exchange, &value, peer, &TERMS, &mut self.entropy);
        let Ok(step) = received else {
            return;
        };
        if matches!(step.warning, Some(Warning::StaysAsItWas(_))) {
            assert!(self.in_force.is_some(), "there is nothing to stay");
            assert!(matches!(step.action, Action::None | Action::Cancel));
            assert!(CryptoLine::parse(&value, &TERMS.rules).is_err());
            if !fails {
                let action = step.action.clone();
                self.negotiation.enter(step);
                self.apply(action, exchange);
            }
            return;
        }
        let parsed = CryptoLine::parse(&value, &TERMS.rules).expect("it was taken");
        if let Action::Begin(keys) | Action::Propose(keys) | Action::PutInForce(keys) = &step.action
        {
            self.check(keys, &parsed);
            // An answer brings no other suite than the one that our key was offered under.
            if exchange == Exchange::TheirAnswer {
                let is_in_force = |now: &Keys| {
                    local_key(now) == local_key(keys) && now.local.suite() == keys.local.suite()
                };
                assert!(self.has_told(keys) || self.in_force.as_ref().is_some_and(is_in_force));
            }
        }
        if fails {
            return;
        }
        // What comes without its exchange known may be an offer too.
        if matches!(exchange, Exchange::TheirOffer | Exchange::Unknown) {
            self.answered = false;
        }
        let action = step.action.clone();
        self.negotiation.enter(step);
        self.apply(action, exchange);
        assert!(self.negotiation.has_keys());
    }

    /// Nothing weaker than the rules, and both sides alike.
    fn check(&self, keys: &Keys, parsed: &CryptoLine) {
        let suite = keys.local.suite();
        assert!(ACCEPTED.contains(&suite));
        assert_eq!(suite, parsed.suite);
        assert_eq!(keys.remote.len(), parsed.keys.len());
        for (remote, param) in keys.remote.iter().zip(&parsed.keys) {
            assert_eq!(remote.suite(), suite);
            assert_eq!(remote.params(), keys.local.params());
            assert_eq!(remote.key().key_salt(), param.key.key_salt());
            assert!(remote.mki().is_none_or(|mki| mki.octets().ends_with(&[1])));
        }
        let params = keys.local.params();
        assert!(!params.unencrypted_srtp && !params.unauthenticated_srtp);
        let previous = self.in_force.is_some();
        assert!(previous || !keys.peer_moved, "it was nowhere before");
    }

    fn apply(&mut self, action: Action, exchange: Exchange) {
        let ssrc = LocalSsrc::Specific(1);
        match action {
            Action::None => {}
            Action::Begin(keys) => {
                assert!(self.session.is_none(), "keys are in force");
                let key = local_key(&keys);
                let answers_us = self.has_told(&keys);
                assert!(answers_us || exchange != Exchange::TheirAnswer);
                assert!(!self.used.contains(&key), "a key stream would begin again");
                let mut session = Session::new(srtp::kernels());
                session.set_remote(&keys.remote, false, 0).expect("fits");
                session.set_local(ssrc, &keys.local).expect("fits");
                self.session = Some(session);
                self.now_in_force(keys);
            }
            Action::Propose(keys) => {
                let session = self.session.as_mut().expect("keys are in force");
                session.cancel(0);
                session
                    .set_remote(&keys.remote, keys.peer_moved, 0)
                    .expect("fits");
                session.stage_local(ssrc, &keys.local).expect("fits");
                self.pending = Some(keys);
            }
            Action::PutInForce(keys) => {
                let session = self.session.as_mut().expect("keys are in force");
                session.cancel(0);
                session
                    .set_remote(&keys.remote, keys.peer_moved, 0)
                    .expect("fits");
                session.set_local(ssrc, &keys.local).expect("fits");
                session.commit();
                self.pending = None;
                self.local_may_become(&keys);
                self.now_in_force(keys);
            }
            Action::Commit(_) => {
                self.session.as_mut().expect("keys are in force").commit();
                if let Some(keys) = self.pending.take() {
                    self.local_may_become(&keys);
                    self.now_in_force(keys);
                }
            }
            Action::Cancel => {
                self.session.as_mut().expect("keys are in force").cancel(0);
                assert!(self.pending.take().is_some(), "nothing was pending");
            }
        }
    }

    fn has_told(&self, keys: &Keys) -> bool {
        self.told
            .contains(&(local_key(keys), keys.local.suite().name()))
    }

    /// The local key never changes without the peer being told.
    fn local_may_become(&self, keys: &Keys) {
        let now = self.in_force.as_ref().map(local_key);
        let next = local_key(keys);
        assert!(
            now.as_ref() == Some(&next) || self.has_told(keys),
            "the peer does not know our new key"
        );
    }

    fn now_in_force(&mut self, keys: Keys) {
        self.used.insert(local_key(&keys));
        self.in_force = Some(keys);
    }

    fn describe(&mut self, script: &mut Script<'_>, fails: bool) {
        let exchange = exchange(script.next());
        let described = self
            .negotiation
            .describe(exchange, &TERMS, self.age, &mut self.entropy);
        let Ok(description) = described else {
            return;
        };
        let lines = &description.lines;
        assert!(!lines.is_empty());
        let answers = matches!(exchange, Exchange::TheirOffer | Exchange::Unknown);
        if let Some(keys) = self.pending.as_ref().or(self.in_force.as_ref())
            && answers
        {
            assert_eq!(lines.len(), 1);
            assert_eq!(
                lines[0].keys[0].key.key_salt(),
                local_key(keys),
                "the answer has the key that we use"
            );
            assert_eq!(lines[0].suite, keys.local.suite());
        }
        if fails {
            return;
        }
        for line in lines {
            assert_eq!(line.keys.len(), 1);
            let key = line.keys[0].key.key_salt().to_vec();
            self.told.insert((key, line.suite.name()));
        }
        self.answered |= answers;
        let action = description.step.action.clone();
        self.negotiation.enter(description.step);
        self.apply(action, exchange);
        assert!(
            !answers
                || self.in_force.is_none()
                || exchange == Exchange::TheirOffer
                || self.pending.is_none()
        );
    }
}
