//! What goes out.

use super::{Action, Agreement, Description, Exchange, Negotiation, State, Step, Terms};
use crate::sdes::CryptoLine;
use crate::sdes::age::KeyAge;
use crate::sdes::lines::{Entropy, NoEntropy};

impl Negotiation {
    /// Prepares our description: the answer to the peer's offer, or an offer.
    ///
    /// `local_age`: of the key that we send with. One that nears the end of its lifetime is followed by a new one in our
    /// next offer.
    ///
    /// # Errors
    ///
    /// A key is needed and cannot be made.
    pub fn describe(
        &self,
        exchange: Exchange,
        terms: &Terms<'_>,
        local_age: KeyAge,
        entropy: &mut dyn Entropy,
    ) -> Result<Description, NoEntropy> {
        let answers = matches!(exchange, Exchange::TheirOffer | Exchange::Unknown);
        let (lines, action, next) = match &self.state {
            State::Idle => {
                let offer = first_offer(terms, entropy)?;
                (offer.clone(), Action::None, State::Offering { offer })
            }
            // It goes out once more.
            State::Offering { offer } => (offer.clone(), Action::None, self.state.clone()),
            State::Reanswering { proposed, .. } if exchange == Exchange::Unknown => {
                // The peer is told now: from here on our new key may be used.
                let agreed = proposed.clone();
                (
                    vec![agreed.local.clone()],
                    Action::Commit(agreed.lifetimes()),
                    State::Agreed {
                        agreed,
                        offer: Vec::new(),
                    },
                )
            }
            State::Answering { agreed: answer }
            | State::Agreed { agreed: answer, .. }
            | State::Reoffering { agreed: answer, .. }
            | State::Reanswering {
                proposed: answer, ..
            } if answers => (vec![answer.local.clone()], Action::None, self.state.clone()),
            State::Answering { agreed } => {
                let offer = next_offer(agreed, &[], terms, local_age, entropy)?;
                let commit = Action::Commit(agreed.lifetimes());
                (offer.clone(), commit, reoffering(agreed, offer))
            }
            State::Agreed { agreed, .. } => {
                let offer = next_offer(agreed, &[], terms, local_age, entropy)?;
                (offer.clone(), Action::None, reoffering(agreed, offer))
            }
            State::Reoffering { agreed, offer } => {
                let offer = next_offer(agreed, offer, terms, local_age, entropy)?;
                (offer.clone(), Action::None, reoffering(agreed, offer))
            }
            State::Reanswering { agreed, .. } => {
                // What the peer offered and was not answered was refused.
                let offer = next_offer(agreed, &[], terms, local_age, entropy)?;
                (offer.clone(), Action::Cancel, reoffering(agreed, offer))
            }
        };
        Ok(Description {
            lines,
            step: Step::new(action, next),
        })
    }
}

fn reoffering(agreed: &Agreement, offer: Vec<CryptoLine>) -> State {
    State::Reoffering {
        agreed: agreed.clone(),
        offer,
    }
}

/// A line for each suite.
fn first_offer(terms: &Terms<'_>, entropy: &mut dyn Entropy) -> Result<Vec<CryptoLine>, NoEntropy> {
    (1..)
        .zip(terms.offer)
        .map(|(tag, suite)| CryptoLine::generate(tag, *suite, terms.lifetime, entropy))
        .collect()
}

/// The line in force once more, or one with a new key when the old one's time is over. `open`: the offer that is already
/// out; a new key in it is offered again, not another one.
fn next_offer(
    agreed: &Agreement,
    open: &[CryptoLine],
    terms: &Terms<'_>,
    local_age: KeyAge,
    entropy: &mut dyn Entropy,
) -> Result<Vec<CryptoLine>, NoEntropy> {
    let local = &agreed.local;
    if open.iter().any(|line| !line.same_keys(local)) {
        return Ok(open.to_vec());
    }
    if local_age < KeyAge::Old {
        return Ok(vec![local.clone()]);
    }
    let mut renewed = CryptoLine::generate(local.tag, local.suite, terms.lifetime, entropy)?;
    renewed.old_name = local.old_name;
    renewed.params = local.params;
    Ok(vec![renewed])
}
