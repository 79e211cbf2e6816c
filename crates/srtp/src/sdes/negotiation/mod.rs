//! The offer and answer of SDES (RFC 4568 section 5, RFC 3264) for one media stream: which line of ours goes out, which of
//! the peer's is taken, and when keys come into force.
//!
//! No I/O: descriptions and randomness come in, a [`Step`] goes out. A step carries an [`Action`] for the stream's
//! [`Session`](crate::Session); the caller does it and then [enters](Negotiation::enter) the step. A step that could not
//! be done is dropped, and so is what is refused: both leave everything as it was.
//!
//! # The states
//!
//! | state | in force | may still come |
//! |---|---|---|
//! | `Idle` | nothing | either side's first offer |
//! | `Offering` | nothing | the answer to our first offer |
//! | `Answering` | the keys of the peer's first offer and of our answer | that our answer stands |
//! | `Agreed` | what was agreed | an offer; another answer to our last offer (a forked call); the same once more |
//! | `Reoffering` | what was agreed before | the answer to our new offer |
//! | `Reanswering` | what was agreed before; the peer's new keys are tried beside it | that our answer stands, or that the offer was refused |
//!
//! | what happens | from | to | action |
//! |---|---|---|---|
//! | we describe, for an offer | `Idle` | `Offering` | none |
//! | | `Agreed`, `Answering` | `Reoffering` | none (`Commit` from `Answering`) |
//! | | `Reanswering` (the peer's offer was refused) | `Reoffering` | `Cancel` |
//! | we describe, for an answer | any with keys | the same | none |
//! | the peer's offer | `Idle`, `Offering` | `Answering` | `Begin` |
//! | | `Agreed`, `Reoffering` (ours was refused), `Reanswering` | `Reanswering` | `Propose` |
//! | | one of these, with what is in force | `Agreed` | none (`Cancel` from `Reanswering`) |
//! | | `Answering`, the same once more | `Answering` | none |
//! | | `Answering`, with other keys | `Reanswering` | `Propose` |
//! | our answer stands (the offer is read once more) | `Answering`, `Reanswering` | `Agreed` | `Commit` |
//! | the peer's answer | `Offering` | `Agreed` | `Begin` |
//! | | `Reoffering`, `Agreed` | `Agreed` | `PutInForce` |
//! | | any with keys, refused for a lifetime alone and with the keys in force | the same | none |
//! | the session is gone | `Reoffering` with a new key of ours | `Offering` | |
//! | | any other with keys | `Idle` | |
//!
//! A call whose exchange is not known ([`Exchange::Unknown`], as under chan_sip) tells neither which of both a description
//! is, nor whether an answer stood. While our first offer is out, what comes is the answer to it. Before any offer it is
//! the peer's offer. When something is in force already, keys that leave ours as it is are taken at once; ones that need a
//! new key of ours are pending (`Reanswering`) until that key has gone out in a description.
//!
//! # Invariants
//!
//! - The local key changes only after the line with the new one has gone out. (The first key is in force when the peer's
//!   first offer is here: nothing was sent before it, and our answer has it.)
//! - What is refused changes nothing.
//! - Nothing is taken that the rules do not allow.
//! - What is in force was offered by one side and answered by the other: both lines have one suite and the same session
//!   parameters.

mod describe;
mod receive;
#[cfg(test)]
mod tests;

use std::fmt;
use std::net::SocketAddr;

use super::age::KeyLifetimes;
use super::{CryptoLine, Rules, SdesError};
use crate::error::PolicyError;
use crate::policy::Policy;
use crate::suite::Suite;

/// Where the call's offer and answer (RFC 3264) are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Exchange {
    /// Nothing is agreed yet, or our offer waits for an answer. What goes out is an offer.
    #[default]
    OurOffer,
    /// The peer's offer is here. What goes out is the answer, and the offer may still be refused.
    TheirOffer,
    /// Agreed: the peer answered last.
    TheirAnswer,
    /// Agreed: we answered last, and what we answered stands.
    OurAnswer,
    /// The call is not known (chan_sip tells nothing).
    Unknown,
}

/// What may be negotiated with a peer.
#[derive(Debug, Clone, Copy)]
pub struct Terms<'a> {
    /// What is accepted of the peer.
    pub rules: Rules<'a>,
    /// The suites of our offers, in order; see [`offered_suites`](super::offered_suites).
    pub offer: &'a [Suite],
    /// The lifetime of our keys, in packets, as our lines say it.
    pub lifetime: Option<u64>,
}

/// Why a crypto attribute of the peer's was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// It is malformed, or says what is not accepted.
    Line(SdesError),
    /// It answers our offer with a suite that was not in it (RFC 4568 section 5.1.3).
    NotOffered,
    /// No key could be made for our side.
    NoEntropy,
    /// Its keys make no policy.
    Policy(PolicyError),
}

impl From<SdesError> for Refusal {
    fn from(error: SdesError) -> Self {
        Self::Line(error)
    }
}

impl From<super::NoEntropy> for Refusal {
    fn from(_: super::NoEntropy) -> Self {
        Self::NoEntropy
    }
}

impl From<PolicyError> for Refusal {
    fn from(error: PolicyError) -> Self {
        Self::Policy(error)
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Line(error) => error.fmt(f),
            Self::NotOffered => f.write_str(
                "it answers our offer with a crypto suite that was not in it (RFC 4568 section 5.1.3)",
            ),
            Self::NoEntropy => f.write_str("there are no random octets for a key of ours"),
            Self::Policy(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for Refusal {}

/// The policies of both directions.
#[derive(Debug, Clone)]
pub struct Keys {
    /// What the peer sends with: at least one.
    pub remote: Vec<Policy>,
    /// What we send with.
    pub local: Policy,
    /// The peer's address changed with these keys: its rollover counter is likelier to begin at zero
    /// ([`Session::set_remote`](crate::Session::set_remote)).
    pub peer_moved: bool,
    /// The lifetimes that begin when the keys come into force.
    pub lifetimes: KeyLifetimes,
}

impl Keys {
    fn of(agreement: &Agreement, peer_moved: bool) -> Result<Self, Refusal> {
        let local = agreement.local.policies()?.into_iter().next();
        Ok(Self {
            remote: agreement.remote.policies()?,
            local: local.ok_or(PolicyError::KeyCount)?,
            peer_moved,
            lifetimes: agreement.lifetimes(),
        })
    }
}

/// What is to be done with the stream's session before a [`Step`] is entered.
#[derive(Debug, Clone)]
pub enum Action {
    /// Nothing.
    None,
    /// Make the session: these are the stream's first keys, and in force at once.
    Begin(Keys),
    /// The peer's offer, which may still be refused: forget what is pending, try the remote keys beside those in force, and
    /// keep the local key ready until [`Commit`](Self::Commit).
    Propose(Keys),
    /// Forget what is pending; these keys are in force at once.
    PutInForce(Keys),
    /// What is pending is in force: the answer stands. The lifetimes begin.
    Commit(KeyLifetimes),
    /// What is pending was refused: as if it had never come.
    Cancel,
}

/// What is wrong with a line that was taken all the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Warning {
    /// It answers under a tag that the line of ours with its suite had not (RFC 4568 section 5.1.2: it MUST have). There is
    /// one such line, so nothing else can be meant.
    OtherTag {
        /// The answer's.
        answered: u32,
        /// Our line's.
        offered: u32,
    },
    /// The answer to a new offer of ours says this and would be refused. Its keys are those that are in force, so the call
    /// goes on as it was.
    StaysAsItWas(SdesError),
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OtherTag { answered, offered } => write!(
                f,
                "it has tag {answered}, and our offer has its crypto suite under tag {offered}; taken as the answer to that \
                 line. The peer should answer with the offer's tag (RFC 4568 section 5.1.2)"
            ),
            Self::StaysAsItWas(error) => {
                write!(
                    f,
                    "{error}; its key is the one in force, with which the call goes on"
                )
            }
        }
    }
}

/// A transition that is possible: to be [entered](Negotiation::enter) when its action was done, and dropped when it could
/// not be.
#[derive(Debug)]
#[must_use = "nothing changes before the step is entered"]
pub struct Step {
    /// What is to be done first.
    pub action: Action,
    /// What is wrong with the line nevertheless.
    pub warning: Option<Warning>,
    next: State,
}

impl Step {
    fn new(action: Action, next: State) -> Self {
        Self {
            action,
            warning: None,
            next,
        }
    }
}

/// What goes out in our description.
#[derive(Debug)]
#[must_use = "the step is part of it"]
pub struct Description {
    /// Our crypto attributes: those of an offer in order of preference, or the one of an answer.
    pub lines: Vec<CryptoLine>,
    /// The transition that goes with it.
    pub step: Step,
}

/// Two lines, one of which was offered by one side and answered with the other one by the other side.
#[derive(Debug, Clone)]
struct Agreement {
    /// Our line, with the one key that we send with.
    local: CryptoLine,
    /// The peer's, with the keys that it sends with.
    remote: CryptoLine,
    /// Where the peer wanted its media then, if that is known.
    peer: Option<SocketAddr>,
}

impl Agreement {
    /// Whether these lines are the same again.
    fn is(&self, local: &CryptoLine, remote: &CryptoLine) -> bool {
        self.local.same_keys(local) && self.remote.same_keys(remote)
    }

    /// Whether the peer's media went to another address before than it does now.
    fn moved(&self, now: Option<SocketAddr>) -> bool {
        self.peer
            .zip(now)
            .is_some_and(|(before, now)| before != now)
    }

    fn lifetimes(&self) -> KeyLifetimes {
        KeyLifetimes::of(&self.local, &self.remote)
    }
}

/// See the table of the module's documentation.
#[derive(Debug, Clone, Default)]
enum State {
    #[default]
    Idle,
    Offering {
        offer: Vec<CryptoLine>,
    },
    Answering {
        agreed: Agreement,
    },
    Agreed {
        agreed: Agreement,
        /// The offer of ours that was answered last: another answer to it may come. Empty where the peer offered last.
        offer: Vec<CryptoLine>,
    },
    Reoffering {
        agreed: Agreement,
        offer: Vec<CryptoLine>,
    },
    Reanswering {
        agreed: Agreement,
        proposed: Agreement,
    },
}

/// One stream's negotiation.
#[derive(Debug, Default)]
pub struct Negotiation {
    state: State,
}

impl Negotiation {
    /// Of a stream about which nothing is agreed.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The action of `step` was done.
    pub fn enter(&mut self, step: Step) {
        self.state = step.next;
    }

    /// The stream's session is gone, and all keys with it: what comes next makes a new one. An offer that is still out
    /// stays, but not with a key that the lost session has used: its key stream would begin again (RFC 3711 section 9.1).
    pub fn session_lost(&mut self) {
        self.state = match std::mem::take(&mut self.state) {
            State::Offering { offer } => State::Offering { offer },
            State::Reoffering { agreed, mut offer } => {
                offer.retain(|line| !line.same_keys(&agreed.local));
                match offer.is_empty() {
                    true => State::Idle,
                    false => State::Offering { offer },
                }
            }
            _ => State::Idle,
        };
    }

    /// Whether keys are in force.
    pub fn has_keys(&self) -> bool {
        !matches!(self.state, State::Idle | State::Offering { .. })
    }

    /// The tags and suites of our last offer, for a line that says what would have been taken.
    pub fn offered(&self) -> impl Iterator<Item = (u32, Suite)> {
        let offer = match &self.state {
            State::Offering { offer }
            | State::Agreed { offer, .. }
            | State::Reoffering { offer, .. } => &offer[..],
            _ => &[],
        };
        offer.iter().map(|line| (line.tag, line.suite))
    }
}
