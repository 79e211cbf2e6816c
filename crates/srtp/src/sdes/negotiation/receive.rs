//! What comes in.

use std::net::SocketAddr;

use super::{Action, Agreement, Exchange, Keys, Negotiation, Refusal, State, Step, Terms};
use crate::sdes::CryptoLine;
use crate::sdes::lines::Entropy;

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
        let remote = CryptoLine::parse(value, &terms.rules)?;
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

    /// The peer's offer, to which our answer may still be a refusal.
    fn receive_offer(&self, incoming: &mut Incoming<'_>) -> Result<Step, Refusal> {
        match &self.state {
            State::Idle | State::Offering { .. } => {
                let agreed = incoming.with_fresh_key(None)?;
                Ok(Step {
                    action: Action::Begin(Keys::of(&agreed, false)?),
                    next: State::Answering { agreed },
                })
            }
            // Asterisk reads an offer more than once.
            State::Answering { agreed } if agreed.remote.same_keys(&incoming.remote) => Ok(Step {
                action: Action::None,
                next: State::Answering {
                    agreed: incoming.with_key_of(agreed),
                },
            }),
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
            return Ok(Step {
                action: Action::None,
                next: State::Reanswering {
                    agreed: agreed.clone(),
                    proposed: incoming.with_key_of(before),
                },
            });
        }
        // The local key stays while the suite does, so that its rollover counter can (RFC 3711 section 3.3.1).
        let proposed = match incoming.keeps_suite(agreed) {
            true => incoming.with_key_of(agreed),
            false => incoming.with_fresh_key(Some(agreed))?,
        };
        if agreed.is(&proposed.local, &proposed.remote) {
            return Ok(Step {
                action: match before {
                    Some(_) => Action::Cancel,
                    None => Action::None,
                },
                next: State::Agreed {
                    agreed: proposed,
                    offer: Vec::new(),
                },
            });
        }
        Ok(Step {
            action: Action::Propose(Keys::of(&proposed, agreed.moved(proposed.peer))?),
            next: State::Reanswering {
                agreed: agreed.clone(),
                proposed,
            },
        })
    }

    /// What the peer offered, read once more: our answer stands.
    fn answer_stands(&self, incoming: &Incoming<'_>) -> Result<Step, Refusal> {
        match &self.state {
            State::Answering { agreed: answered }
            | State::Reanswering {
                proposed: answered, ..
            } if answered.remote.same_keys(&incoming.remote) => {
                let agreed = incoming.with_key_of(answered);
                Ok(Step {
                    action: Action::Commit(agreed.lifetimes()),
                    next: State::Agreed {
                        agreed,
                        offer: Vec::new(),
                    },
                })
            }
            _ => self.receive_answer(incoming),
        }
    }

    /// The peer's answer. A forked call has several.
    fn receive_answer(&self, incoming: &Incoming<'_>) -> Result<Step, Refusal> {
        match &self.state {
            State::Idle => Err(Refusal::NotOffered),
            State::Offering { offer } => {
                let agreed = incoming.with(chosen(offer, &incoming.remote)?, None);
                Ok(Step {
                    action: Action::Begin(Keys::of(&agreed, false)?),
                    next: State::Agreed {
                        agreed,
                        offer: offer.clone(),
                    },
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
        // Our key would be another one: the answer must fit the line that has it.
        let renews = open && offer.iter().any(|line| !line.same_keys(&agreed.local));
        let local = match chosen(offer, &incoming.remote) {
            Ok(line) => line,
            // What was agreed, once more or with another key of the peer's; whatever its tag, ours stays.
            Err(_) if !renews && incoming.keeps_suite(agreed) => &agreed.local,
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
            action,
            next: State::Agreed {
                agreed: next,
                offer: offer.to_vec(),
            },
        })
    }

    /// An offer or an answer, in a call that does not tell which.
    fn receive_unknown(&self, incoming: &mut Incoming<'_>) -> Result<Step, Refusal> {
        let (agreed, offer) = match &self.state {
            State::Idle => {
                let agreed = incoming.with_fresh_key(None)?;
                return Ok(Step {
                    action: Action::Begin(Keys::of(&agreed, false)?),
                    next: State::Agreed {
                        agreed,
                        offer: Vec::new(),
                    },
                });
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

/// The line of our offer that `remote` answers (RFC 4568 section 5.1.3: the same tag and suite).
fn chosen<'a>(offer: &'a [CryptoLine], remote: &CryptoLine) -> Result<&'a CryptoLine, Refusal> {
    offer
        .iter()
        .find(|line| line.tag == remote.tag && line.suite == remote.suite)
        .ok_or(Refusal::NotOffered)
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
