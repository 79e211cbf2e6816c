//! The SDES negotiation of one media stream (RFC 4568): which of our lines goes out, which of the peer's is taken.

use std::ffi::CStr;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Weak};

use log::Level;
use srtp::Policy;
use srtp::sdes::{CryptoLine, Rules};
use zeroize::Zeroizing;

use crate::config::{self, Srtp};
use crate::ffi::module_ref::ModuleRef;
use crate::ffi::rtp::RtpInstance;
use crate::ffi::session::{self, Call, Exchange};
use crate::ffi::srtp_engine;
use crate::limited;

use super::lifetime::{Age, Lifetimes};
use super::lines::{new_line, offer, reply_with, same, shown};
use super::policy::PolicyBuilder;
use super::refusal::{self, Refusal};
use super::registry;
use super::session::Session;

/// What stands in a description.
pub enum Lines {
    /// The node's own line, and the nodes behind it as they are.
    Own,
    /// The node's line alone: a choice was made.
    Only,
    /// A new offer: the node's line, and these behind it.
    WithFollowers(Vec<Crypto>),
}

/// How many refused lines are remembered.
const MOST_REFUSED: usize = 16;

/// Two lines for one stream.
struct Pair {
    /// Our line, with the key that we send with.
    local: CryptoLine,
    /// The peer's, with the keys that it sends with.
    remote: CryptoLine,
    /// The session that has them. It is gone when Asterisk destroyed it, and then so is all that was agreed.
    session: Weak<Session>,
}

/// `struct ast_sdp_crypto`.
pub struct Crypto {
    /// Our lines: those of an offer, until one is chosen.
    offered: Vec<CryptoLine>,
    /// What is in force.
    agreed: Option<Pair>,
    /// The peer's offer and our answer to it, which may still be refused.
    proposed: Option<Pair>,
    rules: Option<Arc<Srtp>>,
    /// The line of this node as C wants it, with its NUL. It holds a key.
    line: Zeroizing<Vec<u8>>,
    /// The latest lines that were refused, so that each is told once though Asterisk asks again.
    refused: Vec<u64>,
    _module: ModuleRef,
}

impl Crypto {
    /// A stream about which nothing is agreed.
    pub fn new() -> Self {
        Self {
            offered: Vec::new(),
            agreed: None,
            proposed: None,
            rules: None,
            line: Zeroizing::default(),
            refused: Vec::new(),
            _module: ModuleRef::take(),
        }
    }

    fn with_line(line: &CryptoLine) -> Self {
        let mut crypto = Self::new();
        crypto.set_line(line);
        crypto
    }

    fn set_line(&mut self, line: &CryptoLine) {
        let text = line.to_sdp();
        // In one piece: growing would leave copies of the key behind.
        let mut bytes = Vec::with_capacity(text.len() + 1);
        bytes.extend_from_slice(text.as_bytes());
        bytes.push(0);
        self.line = Zeroizing::new(bytes);
    }

    /// This node's line, once there is one.
    pub fn line(&self) -> Option<&CStr> {
        CStr::from_bytes_until_nul(&self.line).ok()
    }

    /// Prepares what goes out: the answer to the peer's offer, or an offer. `tag_32`: the endpoint's `srtp_tag_32`.
    pub fn lines(&mut self, tag_32: bool, call: Option<Call>) -> Lines {
        let answers = call
            .as_ref()
            .is_none_or(|call| call.exchange == Exchange::TheirOffer);
        if !answers {
            // What the peer offered before and was not answered was refused.
            self.withdraw();
        }
        if let Some(pair) = self.proposed.as_ref().or(self.agreed.as_ref()) {
            let mut local = pair.local.clone();
            if !answers {
                // A key that nears the end of its lifetime is followed by another one.
                let old = pair.session.upgrade();
                if old.is_some_and(|session| session.local_age() >= Age::Old) {
                    local = new_line(local.tag, local.suite, self.lifetime()).unwrap_or(local);
                }
                self.offered = vec![local.clone()];
            }
            self.set_line(&local);
            return Lines::Only;
        }
        if !self.line.is_empty() {
            // A follower's line, or an offer that goes out once more.
            return Lines::Own;
        }
        let rules = self.rules(call.as_ref());
        let suites = offer(&rules.offer, tag_32);
        self.offered = (1..)
            .zip(suites)
            .filter_map(|(tag, suite)| new_line(tag, suite, rules.lifetime))
            .collect();
        let Some((first, rest)) = self.offered.split_first() else {
            return Lines::Own;
        };
        let followers = rest.iter().map(Self::with_line).collect();
        let first = first.clone();
        self.set_line(&first);
        Lines::WithFollowers(followers)
    }

    /// Reads one `a=crypto` value of the peer's. `true`: taken.
    ///
    /// An offer's keys are tried beside those in force, and the local key changes when our answer stands, for which
    /// Asterisk has the same value read once more. An answer's are in force at once. So are those of a call that is not
    /// known: nobody would tell when they are.
    pub fn receive(&mut self, rtp: RtpInstance, value: &str) -> bool {
        let call = session::call_of(rtp);
        let srtp = self.rules(call.as_ref());
        let rules = Rules {
            suites: &srtp.accept,
            mki: srtp.mki,
            params: srtp.allow,
        };
        let remote = match CryptoLine::parse(value, &rules) {
            Ok(remote) => remote,
            Err(reason) => {
                self.refuse(rtp, call, value, reason.into());
                return false;
            }
        };
        let live = registry::of(rtp);
        let gone = |pair: &mut Pair| !pair.is_of(live.as_ref());
        self.agreed.take_if(gone);
        self.proposed.take_if(gone);
        let taken = match call.as_ref().map(|call| call.exchange) {
            Some(Exchange::TheirOffer) => self.offer_came(rtp, live, remote),
            Some(Exchange::OurAnswer) => self.answer_stands(rtp, live, remote),
            Some(Exchange::TheirAnswer | Exchange::OurOffer) => self.answer_came(rtp, live, remote),
            None => self.keys_came(rtp, live, remote),
        };
        if let Err(reason) = taken {
            self.refuse(rtp, call, value, reason);
            return false;
        }
        true
    }

    /// The configuration of the call: that of its begin, so that a reload is for new calls. One that is not known has today's.
    fn rules(&mut self, call: Option<&Call>) -> Arc<Srtp> {
        if let Some(rules) = &self.rules {
            return Arc::clone(rules);
        }
        let rules = Arc::new(
            config::current()
                .srtp_of(call.map(|call| call.endpoint.as_str()))
                .clone(),
        );
        if call.is_some() {
            self.rules = Some(Arc::clone(&rules));
        }
        rules
    }

    /// The peer's offer.
    fn offer_came(
        &mut self,
        rtp: RtpInstance,
        live: Option<Arc<Session>>,
        remote: CryptoLine,
    ) -> Result<(), Refusal> {
        if self.agreed.is_some() {
            // An offer of ours that was not answered was refused.
            self.offered.clear();
        }
        let before = self.proposed.take_if(|pair| same(&pair.remote, &remote));
        let local = self.reply(&remote, before.as_ref())?;
        let session = match live {
            Some(session) => {
                let again = before.is_some()
                    || self.agreed.as_ref().is_some_and(|agreed| {
                        self.proposed.is_none() && agreed.is(&local, &remote)
                    });
                if !again && !session.offered(&policies(&remote)?, &policy(&local)?) {
                    return Err(Refusal::NotInForce);
                }
                session
            }
            // The stream's first keys: there is nothing that a refusal could leave as it was.
            None => begin(rtp, &local, &remote)?,
        };
        self.proposed = Some(Pair::new(local, remote, &session));
        Ok(())
    }

    /// What the peer offered, read again when our answer stands.
    fn answer_stands(
        &mut self,
        rtp: RtpInstance,
        live: Option<Arc<Session>>,
        remote: CryptoLine,
    ) -> Result<(), Refusal> {
        if let Some(pair) = self.proposed.take_if(|pair| same(&pair.remote, &remote)) {
            if let Some(session) = pair.session.upgrade() {
                session.stands();
            }
            self.agree(pair);
            return Ok(());
        }
        self.answer_came(rtp, live, remote)
    }

    /// The peer's answer. A forked call has several.
    fn answer_came(
        &mut self,
        rtp: RtpInstance,
        live: Option<Arc<Session>>,
        remote: CryptoLine,
    ) -> Result<(), Refusal> {
        self.withdraw();
        let local = self
            .chosen(&remote)
            .or(self.in_use(&remote))
            .ok_or(Refusal::NotOffered)?;
        let local = reply_with(local, &remote);
        let session = match live {
            Some(session) => {
                let again = self
                    .agreed
                    .as_ref()
                    .is_some_and(|agreed| agreed.is(&local, &remote));
                if !again && !session.answered(&policies(&remote)?, &policy(&local)?) {
                    return Err(Refusal::NotInForce);
                }
                session
            }
            None => begin(rtp, &local, &remote)?,
        };
        self.agree(Pair::new(local, remote, &session));
        Ok(())
    }

    /// The peer's offer or answer in a call that is not known.
    fn keys_came(
        &mut self,
        rtp: RtpInstance,
        live: Option<Arc<Session>>,
        remote: CryptoLine,
    ) -> Result<(), Refusal> {
        self.offer_came(rtp, live, remote)?;
        if let Some(pair) = self.proposed.take() {
            self.agree(pair);
        }
        if let Some(session) = registry::of(rtp) {
            session.stands();
        }
        Ok(())
    }

    /// The peer's offer was refused: as if it had never come. The first one of a stream was in force at once, and stays.
    fn withdraw(&mut self) {
        if self.agreed.is_none()
            && let Some(first) = self.proposed.take()
        {
            self.agree(first);
        }
        if let Some(session) = self.proposed.take().and_then(|pair| pair.session.upgrade()) {
            session.withdrawn();
        }
    }

    /// The line of our last offer that `remote` answers.
    fn chosen(&self, remote: &CryptoLine) -> Option<&CryptoLine> {
        let chosen = |line: &&CryptoLine| line.tag == remote.tag && line.suite == remote.suite;
        self.offered.iter().find(chosen)
    }

    /// Our line in force, if it has the suite of `remote`.
    fn in_use(&self, remote: &CryptoLine) -> Option<&CryptoLine> {
        let local = self.agreed.as_ref().map(|pair| &pair.local);
        local.filter(|local| local.suite == remote.suite)
    }

    /// That of new keys of ours.
    fn lifetime(&self) -> Option<u64> {
        self.rules.as_ref().and_then(|rules| rules.lifetime)
    }

    /// It is in force.
    fn agree(&mut self, pair: Pair) {
        let again = self
            .agreed
            .as_ref()
            .is_some_and(|agreed| agreed.is(&pair.local, &pair.remote));
        if !again && let Some(session) = pair.session.upgrade() {
            let strict = self
                .rules
                .as_ref()
                .is_some_and(|rules| rules.strict_lifetime);
            session.begin_ages(Lifetimes::of(&pair.local, &pair.remote, strict));
        }
        self.agreed = Some(pair);
    }

    /// Our line in answer to `remote`. The local key stays while suite and session do, so that its rollover counter can
    /// (RFC 3711 section 3.3.1); another suite gets a new key, once (`before`).
    fn reply(&self, remote: &CryptoLine, before: Option<&Pair>) -> Result<CryptoLine, Refusal> {
        let known = self
            .in_use(remote)
            .or(self.chosen(remote))
            .or(before.map(|pair| &pair.local));
        match known {
            Some(local) => Ok(reply_with(local, remote)),
            None => new_line(remote.tag, remote.suite, self.lifetime())
                .map(|line| reply_with(&line, remote))
                .ok_or(Refusal::NotInForce),
        }
    }

    /// What would have been taken, where that is a matter of suites.
    fn needed(&self, reason: Refusal) -> String {
        let suites: Vec<&str> = match (reason, &self.rules) {
            (Refusal::NotOffered, _) => self.offered.iter().map(|line| line.suite.name()).collect(),
            (Refusal::Line(error), Some(rules)) if error.is_other_suite() => {
                rules.accept.iter().map(|suite| suite.name()).collect()
            }
            _ => return String::new(),
        };
        format!("; needed: {}", suites.join(" or "))
    }

    /// Kept with the call; and, once for each line, counted and told in the log: who, which line, why.
    fn refuse(&mut self, rtp: RtpInstance, call: Option<Call>, value: &str, reason: Refusal) {
        session::keep_refusal(rtp, reason);
        let mut hasher = DefaultHasher::new();
        (value, reason.code()).hash(&mut hasher);
        let hash = hasher.finish();
        if self.refused.contains(&hash) {
            return;
        }
        // A peer that offers ever new lines gets a line in the log for each, but no memory of ours.
        self.refused.truncate(MOST_REFUSED - 1);
        self.refused.insert(0, hash);
        refusal::count(reason);
        let call = call.unwrap_or_default();
        limited::log(
            Level::Warn,
            &format!("crypto line refused, {}", reason.code()),
            &call.endpoint,
            format_args!(
                "a=crypto line ({}) of endpoint '{}' refused, reason {}: {reason}{}. Media line {}, peer {}, Call-ID {}",
                shown(value),
                call.endpoint,
                reason.code(),
                self.needed(reason),
                call.media,
                call.peer,
                call.call_id
            ),
        );
    }
}

impl Pair {
    fn new(local: CryptoLine, remote: CryptoLine, session: &Arc<Session>) -> Self {
        Self {
            local,
            remote,
            session: Arc::downgrade(session),
        }
    }

    /// Whether these lines are the same again.
    fn is(&self, local: &CryptoLine, remote: &CryptoLine) -> bool {
        same(&self.local, local) && same(&self.remote, remote)
    }

    /// Whether the stream still has the session with these keys. An instance's address alone would not tell: it is used
    /// again for the next one.
    fn is_of(&self, live: Option<&Arc<Session>>) -> bool {
        live.is_some_and(|live| std::ptr::eq(self.session.as_ptr(), Arc::as_ptr(live)))
    }
}

fn policies(line: &CryptoLine) -> Result<Vec<Policy>, Refusal> {
    line.policies().map_err(|_| Refusal::NotInForce)
}

/// Of our line, which has one key.
fn policy(line: &CryptoLine) -> Result<Policy, Refusal> {
    policies(line)?
        .into_iter()
        .next()
        .ok_or(Refusal::NotInForce)
}

/// Makes the stream's session.
fn begin(
    rtp: RtpInstance,
    local: &CryptoLine,
    remote: &CryptoLine,
) -> Result<Arc<Session>, Refusal> {
    let local = PolicyBuilder::negotiated(policies(local)?, Some(rtp.ssrc()));
    let remote = PolicyBuilder::negotiated(policies(remote)?, None);
    let made = srtp_engine::activate(rtp, remote, local);
    made.then(|| registry::of(rtp))
        .flatten()
        .ok_or(Refusal::NotInForce)
}
