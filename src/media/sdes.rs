//! The SDES negotiation of one media stream: [`Negotiation`] with a call, a session, and a log.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Weak};

use srtp::sdes::negotiation::{Action, Exchange, Keys, Negotiation, Refusal as Declined, Terms};
use srtp::sdes::{Entropy, KeyAge, NoEntropy, Rules, offered_suites};
use zeroize::Zeroizing;

use crate::config::{self, Srtp};
#[cfg(feature = "pjsip")]
use crate::demand;
use crate::drain;
use crate::ffi::module_ref::ModuleRef;
use crate::ffi::rtp::RtpInstance;
use crate::ffi::sdes::{Negotiator, Stream};
use crate::ffi::srtp::{self as engine, Attached};
use crate::keylog;

use super::calls::{self, Call};
use super::chan_sip;
#[cfg(feature = "pjsip")]
use super::clear_keys;
use super::engine::add_keys;
use super::outcome::{self, Details};
use super::policy::PolicyBuilder;
use super::refusal::{self, Refusal};
use super::session::{LiveSession, Session};

/// How many lines that were told are remembered.
const MOST_TOLD: usize = 16;

/// OpenSSL's random octets.
struct OpenSsl;

impl Entropy for OpenSsl {
    fn fill(&mut self, octets: &mut [u8]) -> Result<(), NoEntropy> {
        openssl::rand::rand_bytes(octets).map_err(|error| {
            log::error!("OpenSSL has no random octets for a key: {error}");
            NoEntropy
        })
    }
}

/// `struct ast_sdp_crypto`.
pub struct StreamNegotiator {
    negotiation: Negotiation,
    /// The session with the keys that were agreed.
    session: Weak<Attached<Session>>,
    rules: Option<Arc<Srtp>>,
    /// What was told of the latest lines, so that each is told once though Asterisk asks again.
    told: Vec<u64>,
    /// It came while the module was being drained: it serves no call but one that had begun before.
    came_late: bool,
    _module: ModuleRef,
}

impl Negotiator for StreamNegotiator {
    fn new() -> Option<Self> {
        Some(Self {
            negotiation: Negotiation::new(),
            session: Weak::new(),
            rules: None,
            told: Vec::new(),
            came_late: drain::is_on(),
            _module: ModuleRef::enter()?,
        })
    }

    fn for_offer(stream: Stream<'_>) -> Option<Self> {
        let negotiator = Self::new()?;
        if negotiator.is_late(calls::call_of_stream(stream).as_ref()) {
            refusal::report_draining("no SRTP is offered", "a call of ours");
            // PJSIP keeps the session of a call that cannot be offered: with a negotiator it would keep the module.
            return None;
        }
        Some(negotiator)
    }

    fn receive(&mut self, rtp: RtpInstance<'_>, value: &str) -> bool {
        let call = calls::call_of(rtp);
        if self.is_late(call.as_ref()) {
            self.refuse(rtp, call, value, Refusal::Draining);
            return false;
        }
        let srtp = self.rules(call.as_ref(), Some(rtp));
        let session = self
            .live_session()
            // A stream can get another instance while the old one, and its session, still live.
            .filter(|session| engine::is_session_of(session, rtp));
        if session.is_none() {
            self.negotiation.session_lost();
        }
        let received = self.negotiation.receive(
            exchange(call.as_ref()),
            value,
            call.as_ref().and_then(|call| call.media_address),
            &terms(&srtp, &[]),
            &mut OpenSsl,
        );
        let step = match received {
            Ok(step) => step,
            Err(declined) => {
                self.refuse(rtp, call, value, declined.into());
                return false;
            }
        };
        if let Some(session) = &session {
            session.renew();
        }
        if !self.apply(&step.action, session, Some(rtp), &srtp) {
            self.refuse(rtp, call, value, Refusal::NotInForce);
            return false;
        }
        if let Some(session) = self.live_session() {
            session.set_offering(false);
            if let Some(call) = &call {
                session.set_owner(call);
            }
            keylog::session(&session, Some(rtp));
        }
        #[cfg(feature = "pjsip")]
        if let Some(call) = &call {
            clear_keys::agreed(call);
        }
        let warning = step.warning;
        self.negotiation.enter(step);
        if let Some(warning) = warning
            && self.is_new(value, "taken")
        {
            refusal::report_warning(rtp, call.as_ref(), value, warning);
        }
        if let Some((call, stream)) = answer_of(call.as_ref()) {
            for other in outcome::took(call.key, stream, value) {
                refusal::report_line(rtp, Some(call), &other.details, other.reason);
            }
        }
        true
    }

    fn describe(&mut self, stream: Stream<'_>, tag_32: bool) -> Vec<Zeroizing<String>> {
        let call = calls::call_of_stream(stream);
        if self.is_late(call.as_ref()) {
            // Told when its offer was refused.
            return Vec::new();
        }
        let srtp = self.rules(call.as_ref(), None);
        let session = self.live_session();
        if session.is_none() {
            self.negotiation.session_lost();
        }
        let age = session
            .as_ref()
            .map_or(KeyAge::Fresh, |session| session.local_age());
        let suites = offered_suites(&srtp.offer, tag_32);
        let description = self.negotiation.describe(
            exchange(call.as_ref()),
            &terms(&srtp, &suites),
            age,
            &mut OpenSsl,
        );
        let Ok(description) = description else {
            return Vec::new();
        };
        if !self.apply(&description.step.action, session, None, &srtp) {
            return Vec::new();
        }
        let exchange = exchange(call.as_ref());
        if let Some(session) = self.live_session()
            && !matches!(exchange, Exchange::TheirOffer | Exchange::Unknown)
        {
            session.set_offering(true);
        }
        self.negotiation.enter(description.step);
        description.lines.iter().map(|line| line.to_sdp()).collect()
    }
}

fn exchange(call: Option<&Call>) -> Exchange {
    call.map_or(Exchange::Unknown, |call| call.exchange)
}

fn terms<'a>(srtp: &'a Srtp, offer: &'a [srtp::Suite]) -> Terms<'a> {
    Terms {
        rules: Rules {
            suites: &srtp.accept,
            mki: srtp.mki,
            params: srtp.allow,
        },
        offer,
        lifetime: srtp.lifetime,
    }
}

impl StreamNegotiator {
    /// Whether this is a new call that a drain refuses. PJSIP's calls that began before are known; a new one is not, or known as one,
    /// and neither is any of chan_sip's, whose streams are as old as the call.
    fn is_late(&self, call: Option<&Call>) -> bool {
        self.came_late && drain::is_on() && call.is_none_or(|call| drain::is_late(call.key))
    }

    /// The configuration of the call: that of its begin, so that a reload is for new calls. A call of chan_sip's has its peer's
    /// from the answer to our offer on; one that the peer makes is not known to be its, and has `[srtp]` to its end.
    fn rules(&mut self, call: Option<&Call>, rtp: Option<RtpInstance<'_>>) -> Arc<Srtp> {
        if let Some(rules) = &self.rules {
            return Arc::clone(rules);
        }
        let config = config::current();
        let side = match (call, rtp) {
            (None, Some(rtp)) => chan_sip::side_of(rtp),
            _ => None,
        };
        let rules = match (call, side) {
            (Some(call), _) => config.srtp_of(Some(&call.endpoint)),
            (None, Some(side)) => config.srtp_of_peer(&side.peer),
            (None, None) => config.srtp_of(None),
        };
        let rules = rules.clone();
        #[cfg(feature = "pjsip")]
        let rules = match call {
            Some(call) => demand::restricted(call, rules),
            None => rules,
        };
        let rules = Arc::new(rules);
        if call.is_some() || rtp.is_some() {
            self.rules = Some(Arc::clone(&rules));
        }
        rules
    }

    /// The session with the keys that were agreed, unless Asterisk has destroyed it.
    fn live_session(&self) -> Option<LiveSession> {
        self.session
            .upgrade()
            .filter(|session| !session.is_detached())
    }

    /// Has `session` do what a step needs. `false`: it could not be done; the reason is logged.
    fn apply(
        &mut self,
        action: &Action,
        session: Option<LiveSession>,
        rtp: Option<RtpInstance<'_>>,
        srtp: &Srtp,
    ) -> bool {
        let strict = srtp.strict_lifetime;
        match (action, session, rtp) {
            (Action::None, _, _) => true,
            (Action::Begin(keys), _, Some(rtp)) => match begin(rtp, keys) {
                Some(session) => {
                    session.begin_lifetimes(keys.lifetimes, strict);
                    self.session = Arc::downgrade(&session);
                    true
                }
                None => false,
            },
            (Action::Propose(keys), Some(session), Some(rtp)) => session.propose(rtp, keys),
            (Action::PutInForce(keys), Some(session), Some(rtp)) => {
                let done = session.put_in_force(rtp, keys);
                if done {
                    session.begin_lifetimes(keys.lifetimes, strict);
                }
                done
            }
            (Action::Commit(lifetimes), Some(session), _) => {
                session.commit();
                session.begin_lifetimes(*lifetimes, strict);
                true
            }
            (Action::Cancel, Some(session), _) => {
                session.cancel();
                true
            }
            // Without a session the negotiation begins with `Begin`, and only `receive` brings keys.
            _ => false,
        }
    }

    /// What would have been taken, where that is a matter of suites.
    fn needed(&self, reason: Refusal, answers: bool) -> String {
        let Refusal::Declined(declined) = reason else {
            return String::new();
        };
        let other_suite = match declined {
            Declined::NotOffered => true,
            Declined::Line(error) => error.is_other_suite(),
            _ => false,
        };
        let needed: Vec<String> = match (other_suite, answers, &self.rules) {
            (true, true, _) => self
                .negotiation
                .offered()
                .map(|(tag, suite)| format!("tag {tag} with {suite}"))
                .collect(),
            (true, false, Some(rules)) => rules.accept.iter().map(ToString::to_string).collect(),
            _ => Vec::new(),
        };
        match needed.is_empty() {
            true => String::new(),
            false => format!("; needed: {}", needed.join(" or ")),
        }
    }

    /// Whether something about this line is to be told: it has not been, though Asterisk asks more than once.
    fn is_new(&mut self, value: &str, what: &str) -> bool {
        let mut hasher = DefaultHasher::new();
        (value, what).hash(&mut hasher);
        let hash = hasher.finish();
        let is_new = !self.told.contains(&hash);
        if is_new {
            // A peer that offers ever new lines gets a line in the log for each, but no memory of ours.
            self.told.truncate(MOST_TOLD - 1);
            self.told.insert(0, hash);
        }
        is_new
    }

    /// Counted and told, once for each line: who, which line, why. A line of an answer is told with what becomes of the call, when
    /// all of that answer is read.
    fn refuse(&mut self, rtp: RtpInstance<'_>, call: Option<Call>, value: &str, reason: Refusal) {
        let answer = answer_of(call.as_ref());
        let details = Details {
            shown: refusal::shown(value),
            needed: self.needed(reason, answer.is_some()),
        };
        if let Some((call, stream)) = answer {
            #[cfg(feature = "pjsip")]
            if demand::is_of_media(call.key) {
                close(rtp);
            }
            outcome::refused(call.key, stream, value, reason, details);
            calls::look_at_answer(rtp);
        } else if self.is_new(value, reason.code()) {
            refusal::report_line(rtp, call.as_ref(), &details, reason);
        }
    }
}

/// The call and the number of its stream whose answer is being read, if one is.
fn answer_of(call: Option<&Call>) -> Option<(&Call, usize)> {
    let call = call.filter(|call| call.exchange == Exchange::TheirAnswer)?;
    Some((call, call.stream?))
}

/// Lets nothing of a stream leave in clear. Where SRTP is the endpoint's option Asterisk goes on without it, and the call, of which it is
/// demanded, ends a moment later: until then its packets go under keys that nobody knows.
#[cfg(feature = "pjsip")]
fn close(rtp: RtpInstance<'_>) {
    if rtp.srtp_session().is_some() {
        return;
    }
    let keys = || {
        let suite = srtp::Suite::AesCm128HmacSha1_80;
        let mut octets = Zeroizing::new(vec![0; suite.key_salt_len()]);
        OpenSsl.fill(&mut octets).ok()?;
        srtp::Policy::new(suite, srtp::MasterKey::new(suite, &octets).ok()?, None).ok()
    };
    let is_closed = keys().zip(keys()).is_some_and(|(local, remote)| {
        let local = PolicyBuilder::negotiated(vec![local]);
        let remote = PolicyBuilder::negotiated(vec![remote]);
        add_keys(rtp, remote, local).is_some()
    });
    if !is_closed {
        log::error!("a stream that is to end goes in clear until then: it could not be given keys");
    }
}

/// Makes the stream's session.
fn begin(rtp: RtpInstance<'_>, keys: &Keys) -> Option<LiveSession> {
    let local = PolicyBuilder::negotiated(vec![keys.local.clone()]);
    let remote = PolicyBuilder::negotiated(keys.remote.clone());
    add_keys(rtp, remote, local)
}
