//! What comes in.

use std::net::SocketAddr;

use super::{Action, Agreement, Exchange, Keys, Negotiation, Refusal, State, Step, Terms, Warning};
use crate::sdes::lines::Entropy;
use crate::sdes::{CryptoLine, SdesError};

impl Negotiation {
    /// Reads one `a=crypto` value of the peer's. `peer`: where its description wants the stream's media.
    ///
    /// # Errors
    ///
    /// The line is not taken, and nothing has changed: another one of the same description may be.
    pub fn receive(
        &self,
        exchange: Exchange,
        value: &str,
        peer: Option<SocketAddr>,
        terms: &Terms<'_>,
        entropy: &mut dyn Entropy,
    ) -> Result<Step, Refusal> {
        let remote = match CryptoLine::parse(value, &terms.rules) {
            Ok(remote) => remote,
            Err(error) => {
                return self
                    .stay(exchange, value, error, peer, terms)
                    .ok_or(error.into());
            }
        };
        let mut incoming = Incoming {
            remote,
            peer,
            lifetime: terms.lifetime,
            entropy,
        };
        match exchange {
            Exchange::TheirOffer => self.receive_offer(&mut incoming),
            Exchange::OurAnswer => self.answer_stands(&incoming),
            Exchange::TheirAnswer | Exchange::OurOffer => self.receive_answer(&incoming),
            Exchange::Unknown => self.receive_unknown(&mut incoming),
        }
    }

    /// What an answer means that is refused for `error`: its sender goes by it already. If that is a lifetime alone, and the
    /// keys are those in force on both sides, the call can go on as it was.
    fn stay(
        &self,
        exchange: Exchange,
        value: &str,
        error: SdesError,
        peer: Option<SocketAddr>,
        terms: &Terms<'_>,
    ) -> Option<Step> {
        let (agreed, offer) = match &self.state {
            State::Agreed { agreed, offer } | State::Reoffering { agreed, offer } => {
                (agreed, &offer[..])
            }
            State::Reanswering { agreed, .. } => (agreed, &[][..]),
            State::Idle | State::Offering { .. } | State::Answering { .. } => return None,
        };
        let answers = matches!(exchange, Exchange::TheirAnswer | Exchange::OurOffer);
        let of_lifetime = matches!(
            error,
            SdesError::Lifetime | SdesError::LifetimeTooShort | SdesError::LifetimeTooLong
        );
        if !answers || !of_lifetime {
            return None;
        }
        let remote = CryptoLine::parse_without_lifetimes(value, &terms.rules).ok()?;
        if !agreed.remote.same_keys(&remote) || renews(agreed, offer, self.is_open()) {
            return None;
        }
        let agreed = Agreement {
            peer: peer.or(agreed.peer),
            ..agreed.clone()
        };
        let action = match self.state {
            State::Reanswering { .. } => Action::Cancel,
            _ => Action::None,
        };
        let offer = offer.to_vec();
        Some(Step {
            warning: Some(Warning::StaysAsItWas(error)),
            ..Step::new(action, State::Agreed { agreed, offer })
        })
    }

    /// Whether an offer of ours waits for its answer while keys are in force.
    fn is_open(&self) -> bool {
        matches!(self.state, State::Reoffering { .. })
    }

    /// The peer's offer, to which our answer may still be a refusal.
    fn receive_offer(&self, incoming: &mut Incoming<'_>) -> Result<Step, Refusal> {
        match &self.state {
            State::Idle | State::Offering { .. } => {
                let agreed = incoming.with_fresh_key(None)?;
                Ok(Step::new(
                    Action::Begin(Keys::of(&agreed, false)?),
                    State::Answering { agreed },
                ))
            }
            // Asterisk reads an offer more than once.
            State::Answering { agreed } if agreed.remote.same_keys(&incoming.remote) => {
                Ok(Step::new(
                    Action::None,
                    State::Answering {
                        agreed: incoming.with_key_of(agreed),
                    },
                ))
            }
            State::Answering { agreed }
            | State::Agreed { agreed, .. }
            | State::Reoffering { agreed, .. } => self.receive_new_offer(agreed, None, incoming),
            State::Reanswering { agreed, proposed } => {
                self.receive_new_offer(agreed, Some(proposed), incoming)
            }
        }
    }

    /// The peer's offer while `agreed` is in force. `before`: what it offered before, if that has not been answered.
    fn receive_new_offer(
        &self,
        agreed: &Agreement,
        before: Option<&Agreement>,
        incoming: &mut Incoming<'_>,
    ) -> Result<Step, Refusal> {
        if let Some(before) = before
            && before.remote.same_keys(&incoming.remote)
        {
            return Ok(Step::new(
                Action::None,
                State::Reanswering {
                    agreed: agreed.clone(),
                    proposed: incoming.with_key_of(before),
                },
            ));
        }
        // The local key stays while the suite does, so that its rollover counter can (RFC 3711 section 3.3.1).
        let proposed = match incoming.keeps_suite(agreed) {
            true => incoming.with_key_of(agreed),
            false => incoming.with_fresh_key(Some(agreed))?,
        };
        if agreed.is(&proposed.local, &proposed.remote) {
            return Ok(Step::new(
                match before {
                    Some(_) => Action::Cancel,
                    None => Action::None,
                },
                State::Agreed {
                    agreed: proposed,
                    offer: Vec::new(),
                },
            ));
        }
        Ok(Step::new(
            Action::Propose(Keys::of(&proposed, agreed.moved(proposed.peer))?),
            State::Reanswering {
                agreed: agreed.clone(),
                proposed,
            },
        ))
    }

    /// What the peer offered, read once more: our answer stands.
    fn answer_stands(&self, incoming: &Incoming<'_>) -> Result<Step, Refusal> {
        match &self.state {
            State::Answering { agreed: answered }
            | State::Reanswering {
                proposed: answered, ..
            } if answered.remote.same_keys(&incoming.remote) => {
                let agreed = incoming.with_key_of(answered);
                Ok(Step::new(
                    Action::Commit(agreed.lifetimes()),
                    State::Agreed {
                        agreed,
                        offer: Vec::new(),
                    },
                ))
            }
            _ => self.receive_answer(incoming),
        }
    }

    /// The peer's answer. A forked call has several.
    fn receive_answer(&self, incoming: &Incoming<'_>) -> Result<Step, Refusal> {
        match &self.state {
            State::Idle => Err(Refusal::NotOffered),
            State::Offering { offer } => {
                let local = chosen(offer, &incoming.remote)?;
                let agreed = incoming.with(local, None);
                Ok(Step {
                    warning: other_tag(local, &incoming.remote),
                    ..Step::new(
                        Action::Begin(Keys::of(&agreed, false)?),
                        State::Agreed {
                            agreed,
                            offer: offer.clone(),
                        },
                    )
                })
            }
            State::Answering { agreed } => self.answer_over(agreed, &[], false, incoming),
            State::Agreed { agreed, offer } => self.answer_over(agreed, offer, false, incoming),
            State::Reoffering { agreed, offer } => self.answer_over(agreed, offer, true, incoming),
            State::Reanswering { agreed, .. } => self.answer_over(agreed, &[], false, incoming),
        }
    }

    /// An answer while `agreed` is in force. `open`: `offer` has not been answered yet.
    fn answer_over(
        &self,
        agreed: &Agreement,
        offer: &[CryptoLine],
        open: bool,
        incoming: &Incoming<'_>,
    ) -> Result<Step, Refusal> {
        let (local, warning) = match chosen(offer, &incoming.remote) {
            Ok(line) => (line, other_tag(line, &incoming.remote)),
            // What was agreed, once more or with another key of the peer's; whatever its tag, ours stays.
            Err(_) if !renews(agreed, offer, open) && incoming.keeps_suite(agreed) => {
                (&agreed.local, None)
            }
            Err(refusal) => return Err(refusal),
        };
        let next = incoming.with(local, Some(agreed));
        let pending = matches!(self.state, State::Reanswering { .. });
        let action = match (agreed.is(&next.local, &next.remote), pending) {
            (true, true) => Action::Cancel,
            (true, false) => match self.state {
                State::Answering { .. } => Action::Commit(next.lifetimes()),
                _ => Action::None,
            },
            (false, _) => Action::PutInForce(Keys::of(&next, agreed.moved(next.peer))?),
        };
        Ok(Step {
            warning,
            ..Step::new(
                action,
                State::Agreed {
                    agreed: next,
                    offer: offer.to_vec(),
                },
            )
        })
    }

    /// An offer or an answer, in a call that does not tell which.
    fn receive_unknown(&self, incoming: &mut Incoming<'_>) -> Result<Step, Refusal> {
        let (agreed, offer) = match &self.state {
            State::Idle => {
                let agreed = incoming.with_fresh_key(None)?;
                return Ok(Step::new(
                    Action::Begin(Keys::of(&agreed, false)?),
                    State::Agreed {
                        agreed,
                        offer: Vec::new(),
                    },
                ));
            }
            // Our offer is out.
            State::Offering { .. } | State::Reoffering { .. } => {
                return self.receive_answer(incoming);
            }
            State::Answering { agreed } => (agreed, &[][..]),
            State::Agreed { agreed, offer } => (agreed, &offer[..]),
            State::Reanswering { agreed, proposed } => {
                if proposed.remote.same_keys(&incoming.remote) {
                    return self.receive_new_offer(agreed, Some(proposed), incoming);
                }
                (agreed, &[][..])
            }
        };
        // With a key that the peer knows of: whichever it is, both sides agree.
        if incoming.keeps_suite(agreed) || chosen(offer, &incoming.remote).is_ok() {
            return self.answer_over(agreed, offer, false, incoming);
        }
        // A new key of ours: not before the peer has been told.
        self.receive_new_offer(agreed, None, incoming)
    }
}

/// The line of our offer that `remote` answers: the one with its suite (RFC 4568 section 5.1.3). Its tag should be the
/// same. Peers that count their lines anew send another one, and where one line has the suite, that is the one.
fn chosen<'a>(offer: &'a [CryptoLine], remote: &CryptoLine) -> Result<&'a CryptoLine, Refusal> {
    let mut same_suite = offer.iter().filter(|line| line.suite == remote.suite);
    let same_tag = same_suite.clone().find(|line| line.tag == remote.tag);
    match (same_tag, same_suite.next(), same_suite.next()) {
        (Some(line), ..) | (None, Some(line), None) => Ok(line),
        _ => Err(Refusal::NotOffered),
    }
}

/// What is to be said of the tag of an answer to `local`.
fn other_tag(local: &CryptoLine, remote: &CryptoLine) -> Option<Warning> {
    (local.tag != remote.tag).then_some(Warning::OtherTag {
        answered: remote.tag,
        offered: local.tag,
    })
}

/// Whether an answer to `offer`, which is `open`, puts another key of ours in force: it must fit the line that has it.
fn renews(agreed: &Agreement, offer: &[CryptoLine], open: bool) -> bool {
    open && offer.iter().any(|line| !line.same_keys(&agreed.local))
}

/// A line of the peer's that is about to be taken.
struct Incoming<'a> {
    remote: CryptoLine,
    peer: Option<SocketAddr>,
    /// Of a new key of ours.
    lifetime: Option<u64>,
    entropy: &'a mut dyn Entropy,
}

impl Incoming<'_> {
    /// With a new key on our side.
    fn with_fresh_key(&mut self, before: Option<&Agreement>) -> Result<Agreement, Refusal> {
        let (tag, suite) = (self.remote.tag, self.remote.suite);
        let local = CryptoLine::generate(tag, suite, self.lifetime, self.entropy)?;
        Ok(self.with(&local, before))
    }

    /// With `local` on our side. `before`: what it follows; where the peer is, stays known.
    fn with(&self, local: &CryptoLine, before: Option<&Agreement>) -> Agreement {
        Agreement {
            local: local.paired_with(&self.remote),
            remote: self.remote.clone(),
            peer: self.peer.or(before.and_then(|before| before.peer)),
        }
    }

    /// With the key that we had in `before`.
    fn with_key_of(&self, before: &Agreement) -> Agreement {
        self.with(&before.local, Some(before))
    }

    /// Whether our key of `agreed` fits the peer's line.
    fn keeps_suite(&self, agreed: &Agreement) -> bool {
        agreed.local.suite == self.remote.suite
    }
}
