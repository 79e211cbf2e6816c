use super::*;
use crate::sdes::{Entropy, KeyAge, MkiRule, NoEntropy};
use crate::{Session, SessionParams};

const ACCEPTED: [Suite; 3] = [
    Suite::AesCm128HmacSha1_80,
    Suite::AesCm128HmacSha1_32,
    Suite::AeadAes128Gcm,
];
const TERMS: Terms<'static> = Terms {
    rules: Rules {
        suites: &ACCEPTED,
        mki: MkiRule::One,
        params: SessionParams {
            unencrypted_srtp: false,
            unencrypted_srtcp: true,
            unauthenticated_srtp: false,
        },
    },
    offer: &[Suite::AesCm128HmacSha1_80, Suite::AeadAes128Gcm],
    lifetime: None,
};

const AES_80: &str = "AES_CM_128_HMAC_SHA1_80";
const AES_32: &str = "AES_CM_128_HMAC_SHA1_32";
const GCM: &str = "AEAD_AES_128_GCM";

/// The peer's line with its `n`-th key.
fn line(tag: u32, suite: &str, n: u8) -> String {
    let letter = char::from(b'A' + n);
    let key = match suite {
        GCM => format!("{}A==", letter.to_string().repeat(37)),
        _ => letter.to_string().repeat(40),
    };
    format!("{tag} {suite} inline:{key}")
}

struct Counting(u8);

impl Entropy for Counting {
    fn fill(&mut self, octets: &mut [u8]) -> Result<(), NoEntropy> {
        self.0 += 1;
        octets.fill(self.0);
        Ok(())
    }
}

struct Empty;

impl Entropy for Empty {
    fn fill(&mut self, _octets: &mut [u8]) -> Result<(), NoEntropy> {
        Err(NoEntropy)
    }
}

struct Stream {
    negotiation: Negotiation,
    entropy: Counting,
    age: KeyAge,
}

impl Stream {
    fn new() -> Self {
        Self {
            negotiation: Negotiation::new(),
            entropy: Counting(0),
            age: KeyAge::Fresh,
        }
    }

    fn try_receive(&mut self, exchange: Exchange, value: &str) -> Result<Action, Refusal> {
        self.try_receive_at(exchange, value, None)
    }

    fn try_receive_at(
        &mut self,
        exchange: Exchange,
        value: &str,
        peer: Option<&str>,
    ) -> Result<Action, Refusal> {
        let peer = peer.map(|address| address.parse().unwrap());
        let step = self
            .negotiation
            .receive(exchange, value, peer, &TERMS, &mut self.entropy)?;
        let action = step.action.clone();
        self.negotiation.enter(step);
        Ok(action)
    }

    /// What would be done.
    fn step(&mut self, exchange: Exchange, value: &str) -> Result<Step, Refusal> {
        self.negotiation
            .receive(exchange, value, None, &TERMS, &mut self.entropy)
    }

    fn receive(&mut self, exchange: Exchange, value: &str) -> Action {
        self.try_receive(exchange, value)
            .unwrap_or_else(|refusal| panic!("{value}: {refusal}"))
    }

    fn describe(&mut self, exchange: Exchange) -> (Vec<CryptoLine>, Action) {
        let description = self
            .negotiation
            .describe(exchange, &TERMS, self.age, &mut self.entropy)
            .unwrap();
        let action = description.step.action.clone();
        self.negotiation.enter(description.step);
        (description.lines, action)
    }

    fn answer(&mut self) -> CryptoLine {
        let (lines, action) = self.describe(Exchange::TheirOffer);
        assert!(matches!(action, Action::None));
        assert_eq!(lines.len(), 1, "an answer has one line");
        lines[0].clone()
    }

    /// A call in which the peer offered `line(1, AES_80, 0)`; our line.
    fn answered() -> (Self, CryptoLine) {
        let mut stream = Self::new();
        let offer = line(1, AES_80, 0);
        assert!(matches!(
            stream.receive(Exchange::TheirOffer, &offer),
            Action::Begin(_)
        ));
        let ours = stream.answer();
        assert!(matches!(
            stream.receive(Exchange::OurAnswer, &offer),
            Action::Commit(_)
        ));
        (stream, ours)
    }

    /// A call in which the peer answered our offer with `line(1, AES_80, 0)`; our line.
    fn offered() -> (Self, CryptoLine) {
        let mut stream = Self::new();
        let (lines, _) = stream.describe(Exchange::OurOffer);
        let answer = line(1, AES_80, 0);
        assert!(matches!(
            stream.receive(Exchange::TheirAnswer, &answer),
            Action::Begin(_)
        ));
        (stream, lines[0].clone())
    }
}

fn key(policy: &Policy) -> &[u8] {
    policy.key().key_salt()
}

fn key_of(line: &CryptoLine) -> &[u8] {
    line.keys[0].key.key_salt()
}

#[test]
fn the_peers_first_offer_is_in_force_at_once_and_answered_with_a_new_key() {
    let mut stream = Stream::new();
    let Action::Begin(keys) = stream.receive(Exchange::TheirOffer, &line(7, AES_80, 0)) else {
        panic!("the first keys begin a session");
    };
    assert_eq!(keys.remote.len(), 1);
    assert!(!keys.peer_moved);
    let answer = stream.answer();
    assert_eq!((answer.tag, answer.suite), (7, Suite::AesCm128HmacSha1_80));
    assert_eq!(key_of(&answer), key(&keys.local));
    // Asterisk reads an offer more than once.
    assert!(matches!(
        stream.receive(Exchange::TheirOffer, &line(7, AES_80, 0)),
        Action::None
    ));
    assert_eq!(key_of(&stream.answer()), key(&keys.local));
}

#[test]
fn our_offer_has_a_line_for_each_suite_and_the_peer_chooses() {
    let mut stream = Stream::new();
    let (lines, action) = stream.describe(Exchange::OurOffer);
    assert!(matches!(action, Action::None));
    let shape: Vec<_> = lines.iter().map(|line| (line.tag, line.suite)).collect();
    assert_eq!(
        shape,
        [(1, Suite::AesCm128HmacSha1_80), (2, Suite::AeadAes128Gcm)]
    );
    // It goes out once more (authentication, a redirect), with the same keys.
    let (again, _) = stream.describe(Exchange::OurOffer);
    assert_eq!(key_of(&again[0]), key_of(&lines[0]));
    let Action::Begin(keys) = stream.receive(Exchange::TheirAnswer, &line(2, GCM, 0)) else {
        panic!("the first keys begin a session");
    };
    assert_eq!(key(&keys.local), key_of(&lines[1]));
    assert!(matches!(
        stream.receive(Exchange::TheirAnswer, &line(2, GCM, 0)),
        Action::None
    ));
}

#[test]
fn an_answer_with_a_suite_that_was_not_offered_is_refused() {
    for exchange in [Exchange::TheirAnswer, Exchange::Unknown] {
        for answer in [line(1, AES_32, 0), line(2, AES_32, 0), line(3, AES_32, 0)] {
            let mut stream = Stream::new();
            let (lines, _) = stream.describe(exchange);
            assert_eq!(lines.len(), 2);
            assert_eq!(
                stream.try_receive(exchange, &answer).err(),
                Some(Refusal::NotOffered),
                "{answer}"
            );
            assert!(!stream.negotiation.has_keys());
            let needed: Vec<_> = stream.negotiation.offered().collect();
            assert_eq!(
                needed,
                [(1, Suite::AesCm128HmacSha1_80), (2, Suite::AeadAes128Gcm)]
            );
            // The twin is taken after it.
            assert!(matches!(
                stream.receive(exchange, &line(1, AES_80, 0)),
                Action::Begin(_)
            ));
        }
    }
}

/// rtpengine issue #2098: the tag is counted anew.
#[test]
fn an_answer_under_another_tag_is_taken_for_the_line_with_its_suite() {
    for exchange in [Exchange::TheirAnswer, Exchange::Unknown] {
        for (answered, suite, offered) in [
            (0, AES_80, 1),
            (2, AES_80, 1),
            (999_999_999, AES_80, 1),
            (1, GCM, 2),
            (1, AES_80, 1),
        ] {
            let mut stream = Stream::new();
            let (lines, _) = stream.describe(exchange);
            let value = line(answered, suite, 0);
            let step = stream.step(exchange, &value).unwrap();
            let warned = (answered != offered).then_some(Warning::OtherTag { answered, offered });
            assert_eq!(step.warning, warned, "{value}");
            let Action::Begin(keys) = &step.action else {
                panic!("{value}: the first keys");
            };
            let ours = &lines[offered as usize - 1];
            assert_eq!(key(&keys.local), key_of(ours), "{value}");
        }
    }
}

/// The answer to a new offer of ours is refused for its lifetime. The peer has the keys in force, so they stay.
#[test]
fn a_refused_answer_with_the_keys_in_force_leaves_the_call_as_it_was() {
    for refused in ["|2^10", "|2^49", "|x"] {
        let with = |n, more: &str| line(1, AES_80, n) + more;
        let (mut stream, ours) = Stream::offered();
        let _ = stream.describe(Exchange::OurOffer);
        let step = stream
            .step(Exchange::TheirAnswer, &with(0, refused))
            .unwrap();
        assert!(matches!(step.action, Action::None), "{refused}");
        assert!(matches!(step.warning, Some(Warning::StaysAsItWas(_))));
        // Not with another key, nor another fault beside it, nor in an offer, nor where nothing is in force.
        for (exchange, value) in [
            (Exchange::TheirAnswer, with(1, refused)),
            (Exchange::TheirAnswer, with(0, &format!("{refused} KDR=1"))),
            (Exchange::TheirAnswer, with(0, &format!("{refused}|1:4"))),
            (Exchange::TheirOffer, with(0, refused)),
            (Exchange::OurAnswer, with(0, refused)),
        ] {
            assert!(
                matches!(stream.step(exchange, &value), Err(Refusal::Line(_))),
                "{value}"
            );
        }
        stream.negotiation.enter(step);
        assert!(matches!(
            stream.receive(Exchange::TheirAnswer, &line(1, AES_80, 0)),
            Action::None
        ));
        // Nor where our own key is to change with it.
        stream.age = KeyAge::Old;
        let (lines, _) = stream.describe(Exchange::OurOffer);
        assert_ne!(key_of(&lines[0]), key_of(&ours));
        assert!(
            stream
                .step(Exchange::TheirAnswer, &with(0, refused))
                .is_err()
        );
        let mut first = Stream::new();
        let _ = first.describe(Exchange::OurOffer);
        assert!(
            first
                .step(Exchange::TheirAnswer, &with(0, refused))
                .is_err()
        );
    }
}

#[test]
fn an_answer_to_nothing_is_refused() {
    let mut stream = Stream::new();
    assert_eq!(
        stream
            .try_receive(Exchange::TheirAnswer, &line(1, AES_80, 0))
            .err(),
        Some(Refusal::NotOffered)
    );
}

#[test]
fn what_the_rules_do_not_allow_is_refused_and_changes_nothing() {
    let (mut stream, ours) = Stream::answered();
    for bad in [
        "1 AES_256_CM_HMAC_SHA1_80 inline:AAAA".to_owned(),
        format!("{} UNENCRYPTED_SRTP", line(1, AES_80, 1)),
        format!("{}|2:4", line(1, AES_80, 1)),
        "garbage".to_owned(),
    ] {
        let refused = stream.try_receive(Exchange::TheirOffer, &bad);
        assert!(matches!(refused, Err(Refusal::Line(_))), "{bad}");
    }
    assert_eq!(key_of(&stream.answer()), key_of(&ours));
}

#[test]
fn a_step_that_cannot_be_done_changes_nothing() {
    let (mut stream, ours) = Stream::answered();
    let step = stream
        .negotiation
        .receive(
            Exchange::TheirOffer,
            &line(1, AES_32, 1),
            None,
            &TERMS,
            &mut stream.entropy,
        )
        .unwrap();
    assert!(matches!(step.action, Action::Propose(_)));
    drop(step);
    assert_eq!(key_of(&stream.answer()), key_of(&ours));
    let no_key = stream.negotiation.receive(
        Exchange::TheirOffer,
        &line(1, AES_32, 1),
        None,
        &TERMS,
        &mut Empty,
    );
    assert_eq!(no_key.err(), Some(Refusal::NoEntropy));
    assert_eq!(key_of(&stream.answer()), key_of(&ours));
    let nothing =
        Negotiation::new().describe(Exchange::OurOffer, &TERMS, KeyAge::Fresh, &mut Empty);
    assert_eq!(nothing.err(), Some(NoEntropy));
}

#[test]
fn a_new_key_of_the_peers_is_pending_until_our_answer_stands_and_ours_stays() {
    let (mut stream, ours) = Stream::answered();
    let offer = line(4, AES_80, 1);
    let Action::Propose(keys) = stream.receive(Exchange::TheirOffer, &offer) else {
        panic!("it may still be refused");
    };
    assert_eq!(
        key(&keys.local),
        key_of(&ours),
        "its rollover counter goes on"
    );
    assert_eq!(stream.answer().tag, 4);
    assert!(matches!(
        stream.receive(Exchange::TheirOffer, &offer),
        Action::None
    ));
    assert!(matches!(
        stream.receive(Exchange::OurAnswer, &offer),
        Action::Commit(_)
    ));
    // Read once more.
    assert!(matches!(
        stream.receive(Exchange::OurAnswer, &offer),
        Action::None
    ));
}

#[test]
fn another_suite_gets_another_key_of_ours_once() {
    let (mut stream, ours) = Stream::answered();
    let offer = line(1, AES_32, 0);
    let Action::Propose(keys) = stream.receive(Exchange::TheirOffer, &offer) else {
        panic!("it may still be refused");
    };
    assert_ne!(key(&keys.local), key_of(&ours));
    assert!(matches!(
        stream.receive(Exchange::TheirOffer, &offer),
        Action::None
    ));
    assert_eq!(key_of(&stream.answer()), key(&keys.local));
}

#[test]
fn a_refused_offer_is_as_if_it_had_never_come() {
    let (mut stream, ours) = Stream::answered();
    stream.receive(Exchange::TheirOffer, &line(1, AES_32, 1));
    // Our own offer after it: what stood before is in force again.
    let (lines, action) = stream.describe(Exchange::OurAnswer);
    assert!(matches!(action, Action::Cancel));
    assert_eq!(lines.len(), 1);
    assert_eq!(key_of(&lines[0]), key_of(&ours));
    let Action::PutInForce(keys) = stream.receive(Exchange::TheirAnswer, &line(1, AES_80, 2))
    else {
        panic!("the answer has a new key of the peer's");
    };
    assert_eq!(key(&keys.local), key_of(&ours));
}

#[test]
fn an_offer_takes_the_place_of_one_that_was_refused() {
    let (mut stream, ours) = Stream::answered();
    stream.receive(Exchange::TheirOffer, &line(1, AES_32, 1));
    let Action::Propose(keys) = stream.receive(Exchange::TheirOffer, &line(1, AES_80, 2)) else {
        panic!("new keys");
    };
    assert_eq!(key(&keys.local), key_of(&ours));
    // And what is in force, offered again, takes it back.
    assert!(matches!(
        stream.receive(Exchange::TheirOffer, &line(1, AES_80, 0)),
        Action::Cancel
    ));
    assert!(matches!(
        stream.receive(Exchange::TheirOffer, &line(9, AES_80, 0)),
        Action::None
    ));
    assert_eq!(
        stream.answer().tag,
        9,
        "the answer has the tag of this offer"
    );
}

#[test]
fn an_answer_after_a_refused_offer_takes_it_back() {
    let (mut stream, _) = Stream::offered();
    stream.receive(Exchange::TheirOffer, &line(1, AES_32, 1));
    assert!(matches!(
        stream.receive(Exchange::TheirAnswer, &line(1, AES_80, 0)),
        Action::Cancel
    ));
}

#[test]
fn offers_that_cross_and_are_both_refused_change_nothing() {
    let (mut stream, ours) = Stream::answered();
    let (lines, _) = stream.describe(Exchange::OurOffer);
    assert_eq!(key_of(&lines[0]), key_of(&ours));
    stream.receive(Exchange::TheirOffer, &line(1, AES_32, 1));
    let Action::Propose(keys) = stream.receive(Exchange::TheirOffer, &line(1, AES_80, 2)) else {
        panic!("new keys");
    };
    assert_eq!(key(&keys.local), key_of(&ours));
}

#[test]
fn a_first_offer_whose_answer_was_not_read_again_stays_in_force() {
    let mut stream = Stream::new();
    stream.receive(Exchange::TheirOffer, &line(1, AES_80, 0));
    let ours = stream.answer();
    let Action::Propose(_) = stream.receive(Exchange::TheirOffer, &line(1, AES_80, 1)) else {
        panic!("what is in force stays until the answer stands");
    };
    let (lines, action) = stream.describe(Exchange::OurAnswer);
    assert!(matches!(action, Action::Cancel));
    assert_eq!(key_of(&lines[0]), key_of(&ours));

    let mut stream = Stream::new();
    stream.receive(Exchange::TheirOffer, &line(1, AES_80, 0));
    let (_, action) = stream.describe(Exchange::OurOffer);
    assert!(matches!(action, Action::Commit(_)));
}

#[test]
fn a_forked_call_is_answered_more_than_once() {
    let mut stream = Stream::new();
    let (lines, _) = stream.describe(Exchange::OurOffer);
    stream.receive(Exchange::TheirAnswer, &line(1, AES_80, 0));
    let Action::PutInForce(keys) = stream.receive(Exchange::TheirAnswer, &line(2, GCM, 1)) else {
        panic!("another phone chose another line of the same offer");
    };
    assert_eq!(key(&keys.local), key_of(&lines[1]));
    assert_eq!(
        stream
            .try_receive(Exchange::TheirAnswer, &line(3, AES_32, 1))
            .err(),
        Some(Refusal::NotOffered)
    );
    // Back to the first one.
    let Action::PutInForce(keys) = stream.receive(Exchange::TheirAnswer, &line(1, AES_80, 0))
    else {
        panic!("the first line again");
    };
    assert_eq!(key(&keys.local), key_of(&lines[0]));
}

#[test]
fn a_key_near_its_end_is_followed_by_a_new_one_that_counts_when_it_is_answered() {
    let (mut stream, ours) = Stream::offered();
    stream.age = KeyAge::Old;
    let (lines, _) = stream.describe(Exchange::OurAnswer);
    assert_ne!(key_of(&lines[0]), key_of(&ours));
    assert_eq!((lines[0].tag, lines[0].suite), (ours.tag, ours.suite));
    // The same offer goes out once more: it has the same new key.
    let (again, _) = stream.describe(Exchange::OurOffer);
    assert_eq!(key_of(&again[0]), key_of(&lines[0]));
    // An answer to another line is none: the peer would not know with which key we go on.
    assert_eq!(
        stream.step(Exchange::TheirAnswer, &line(1, GCM, 0)).err(),
        Some(Refusal::NotOffered)
    );
    let step = stream.step(Exchange::TheirAnswer, &line(9, AES_80, 0));
    assert!(matches!(
        step.unwrap().warning,
        Some(Warning::OtherTag {
            answered: 9,
            offered: 1
        })
    ));
    let Action::PutInForce(keys) = stream.receive(Exchange::TheirAnswer, &line(1, AES_80, 0))
    else {
        panic!("our key is new");
    };
    assert_eq!(key(&keys.local), key_of(&lines[0]));
    // In an answer the key stays as it is, however old.
    stream.age = KeyAge::Spent;
    stream.receive(Exchange::TheirOffer, &line(1, AES_80, 3));
    assert_eq!(key_of(&stream.answer()), key_of(&lines[0]));
}

#[test]
fn an_answer_under_another_tag_is_taken_where_our_key_stays() {
    let (mut stream, ours) = Stream::answered();
    let _ = stream.describe(Exchange::OurAnswer);
    let Action::PutInForce(keys) = stream.receive(Exchange::TheirAnswer, &line(2, AES_80, 1))
    else {
        panic!("a new key of the peer's");
    };
    assert_eq!(key(&keys.local), key_of(&ours));
    let _ = stream.describe(Exchange::OurOffer);
    assert_eq!(
        stream
            .try_receive(Exchange::TheirAnswer, &line(1, AES_32, 1))
            .err(),
        Some(Refusal::NotOffered),
        "another suite needs another key"
    );
}

#[test]
fn a_new_key_that_was_offered_and_refused_is_not_used() {
    let (mut stream, ours) = Stream::answered();
    stream.age = KeyAge::Old;
    let _ = stream.describe(Exchange::OurAnswer);
    let Action::Propose(keys) = stream.receive(Exchange::TheirOffer, &line(1, AES_80, 1)) else {
        panic!("new keys of the peer's");
    };
    assert_eq!(key(&keys.local), key_of(&ours));
}

#[test]
fn a_lost_session_takes_its_keys_along() {
    let (mut stream, ours) = Stream::answered();
    stream.negotiation.session_lost();
    let Action::Begin(keys) = stream.receive(Exchange::TheirOffer, &line(1, AES_80, 0)) else {
        panic!("there is no session any more");
    };
    assert_ne!(
        key(&keys.local),
        key_of(&ours),
        "no key stream begins again"
    );
    stream.negotiation.session_lost();
    let (lines, _) = stream.describe(Exchange::OurAnswer);
    assert_eq!(lines.len(), 2, "an offer from the beginning");
}

#[test]
fn a_lost_session_leaves_an_offer_whose_keys_it_had_not() {
    let mut stream = Stream::new();
    let (lines, _) = stream.describe(Exchange::OurOffer);
    stream.negotiation.session_lost();
    let Action::Begin(keys) = stream.receive(Exchange::TheirAnswer, &line(1, AES_80, 0)) else {
        panic!("the offer was out before there was a session");
    };
    assert_eq!(key(&keys.local), key_of(&lines[0]));

    for (age, stays) in [(KeyAge::Fresh, false), (KeyAge::Old, true)] {
        let (mut stream, _) = Stream::answered();
        stream.age = age;
        let _ = stream.describe(Exchange::OurAnswer);
        stream.negotiation.session_lost();
        let answer = stream.try_receive(Exchange::TheirAnswer, &line(1, AES_80, 0));
        assert_eq!(answer.is_ok(), stays);
    }
}

#[test]
fn a_call_that_tells_nothing_offers_first() {
    let mut stream = Stream::new();
    let Action::Begin(keys) = stream.receive(Exchange::Unknown, &line(3, AES_80, 0)) else {
        panic!("the first keys");
    };
    let (lines, _) = stream.describe(Exchange::Unknown);
    assert_eq!((lines.len(), lines[0].tag), (1, 3));
    assert_eq!(key_of(&lines[0]), key(&keys.local));
    // Early media and answer: it is described twice.
    let (again, action) = stream.describe(Exchange::Unknown);
    assert_eq!(key_of(&again[0]), key(&keys.local));
    assert!(matches!(action, Action::None));
    // A new key in a re-INVITE, of either side: ours stays, and both sides know it.
    let Action::PutInForce(next) = stream.receive(Exchange::Unknown, &line(3, AES_80, 1)) else {
        panic!("at once");
    };
    assert_eq!(key(&next.local), key(&keys.local));
    assert!(matches!(
        stream.receive(Exchange::Unknown, &line(3, AES_80, 1)),
        Action::None
    ));
}

#[test]
fn a_call_that_tells_nothing_uses_a_new_key_of_ours_when_it_has_gone_out() {
    let mut stream = Stream::new();
    stream.receive(Exchange::Unknown, &line(3, AES_80, 0));
    let (first, _) = stream.describe(Exchange::Unknown);
    let Action::Propose(keys) = stream.receive(Exchange::Unknown, &line(3, AES_32, 1)) else {
        panic!("the peer does not know our new key yet");
    };
    assert_ne!(key(&keys.local), key_of(&first[0]));
    assert!(matches!(
        stream.receive(Exchange::Unknown, &line(3, AES_32, 1)),
        Action::None
    ));
    let (lines, action) = stream.describe(Exchange::Unknown);
    assert_eq!(key_of(&lines[0]), key(&keys.local));
    assert!(matches!(action, Action::Commit(_)));
}

#[test]
fn the_peer_has_moved_when_its_new_keys_come_with_another_address() {
    let moved = |addresses: [Option<&str>; 2]| {
        let mut stream = Stream::new();
        let begin = stream.try_receive_at(Exchange::TheirOffer, &line(1, AES_80, 0), addresses[0]);
        assert!(matches!(begin, Ok(Action::Begin(keys)) if !keys.peer_moved));
        stream.answer();
        stream.receive(Exchange::OurAnswer, &line(1, AES_80, 0));
        let next = stream.try_receive_at(Exchange::TheirOffer, &line(1, AES_80, 1), addresses[1]);
        match next {
            Ok(Action::Propose(keys)) => keys.peer_moved,
            other => panic!("{other:?}"),
        }
    };
    let (here, port, host) = ("192.0.2.1:7000", "192.0.2.1:7002", "192.0.2.2:7000");
    assert!(moved([Some(here), Some(port)]));
    assert!(moved([Some(here), Some(host)]));
    assert!(!moved([Some(here), Some(here)]));
    // On hold, or a name: not known.
    assert!(!moved([Some(here), None]));
    assert!(!moved([None, Some(here)]));
    assert!(!moved([None, None]));
}

#[test]
fn where_the_peer_was_is_known_over_a_hold() {
    let (mut stream, _) = Stream::answered();
    let mut at = |n, address| {
        let value = line(1, AES_80, n);
        let action = stream.try_receive_at(Exchange::TheirOffer, &value, address);
        stream.answer();
        stream.receive(Exchange::OurAnswer, &value);
        match action.unwrap() {
            Action::Propose(keys) => Some(keys.peer_moved),
            _ => None,
        }
    };
    assert_eq!(at(0, Some("192.0.2.1:7000")), None, "the same keys");
    assert_eq!(at(1, None), Some(false), "on hold, with a new key");
    assert_eq!(
        at(2, Some("192.0.2.1:7000")),
        Some(false),
        "back where it was"
    );
    assert_eq!(at(3, Some("192.0.2.1:7002")), Some(true));
    assert_eq!(at(4, Some("192.0.2.1:7002")), Some(false));
}

#[test]
fn an_answer_can_come_from_a_peer_that_moved() {
    let mut stream = Stream::new();
    let _ = stream.describe(Exchange::OurOffer);
    let (here, there) = (Some("192.0.2.1:7000"), Some("192.0.2.1:7002"));
    let begin = stream.try_receive_at(Exchange::TheirAnswer, &line(1, AES_80, 0), here);
    assert!(matches!(begin, Ok(Action::Begin(_))));
    let _ = stream.describe(Exchange::OurOffer);
    match stream.try_receive_at(Exchange::TheirAnswer, &line(1, AES_80, 1), there) {
        Ok(Action::PutInForce(keys)) => assert!(keys.peer_moved),
        other => panic!("{other:?}"),
    }
}

#[test]
fn lifetimes_are_those_of_what_comes_into_force() {
    let mut stream = Stream::new();
    let first = format!("{}|2^20", line(1, AES_80, 0));
    let Action::Begin(keys) = stream.receive(Exchange::TheirOffer, &first) else {
        panic!("the first keys");
    };
    assert_eq!(keys.lifetimes.remote, Some(1 << 20));
    assert_eq!(keys.lifetimes.local, None);
    stream.answer();
    let Action::Commit(lifetimes) = stream.receive(Exchange::OurAnswer, &first) else {
        panic!("it stands");
    };
    assert_eq!(lifetimes, keys.lifetimes);
}

/// The whole way with two real sessions: keys that one side has agreed open what the other one sends.
#[test]
fn two_sides_that_negotiate_hear_each_other() {
    let (mut caller, mut called) = (Stream::new(), Stream::new());
    let (offer, _) = caller.describe(Exchange::OurOffer);
    let offer = offer[1].to_sdp();
    let Action::Begin(at_called) = called.receive(Exchange::TheirOffer, &offer) else {
        panic!("the first keys");
    };
    let answer = called.answer().to_sdp();
    let Action::Begin(at_caller) = caller.receive(Exchange::TheirAnswer, &answer) else {
        panic!("the first keys");
    };
    let session = |keys: &Keys| {
        let mut session = Session::new(crate::kernels());
        session.set_remote(&keys.remote, false, 0).unwrap();
        session
            .set_local(crate::LocalSsrc::Any, &keys.local)
            .unwrap();
        session
    };
    let (mut one, mut other) = (session(&at_caller), session(&at_called));
    let packet = *b"\x80\x00\x00\x01\0\0\0\0\0\0\0\x09hello";
    for _ in 0..2 {
        let mut buffer = [0; 17 + crate::MAX_TRAILER];
        let length = one.protect_rtp(&packet, &mut buffer).unwrap();
        let length = other.unprotect_rtp(&mut buffer[..length], 0).unwrap();
        assert_eq!(buffer[..length], packet);
        std::mem::swap(&mut one, &mut other);
    }
}
