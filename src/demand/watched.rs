//! One call of which something is demanded, and the table of them.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};

use policy::demand::{Demand, DescribedMedia, Link, Unmet};
use policy::message::{self, CSeq, Tag};
use policy::offered::Offered;
use srtp::Suite;

use super::told::count;
use crate::ffi::call::{Call, SessionKey};
use crate::ffi::sync::Mutex;

/// One call.
#[derive(Debug)]
pub(super) struct Watched {
    pub(super) key: SessionKey,
    pub(super) endpoint: String,
    /// For the log.
    pub(super) call_id: String,
    /// Its channel's unique id, once it has one.
    pub(super) channel: Option<String>,
    pub(super) demand: Demand,
    /// The suite of the keys that a DTLS handshake has brought.
    pub(super) dtls: Option<Suite>,
    /// What the peer's first INVITE came over, and offered.
    pub(super) came: Option<(Link, Vec<DescribedMedia>)>,
    /// The latest descriptions: this side's, and the peer's answer to it.
    pub(super) sent: Vec<DescribedMedia>,
    pub(super) answer: Vec<DescribedMedia>,
    /// A description of the peer's has come.
    pub(super) is_described: bool,
    /// What was refused last.
    pub(super) unmet: Option<Unmet>,
    /// It is being hung up for that.
    pub(super) hung_up: bool,
    /// The latest request of the peer's that was refused in the call.
    pub(super) refused: Option<CSeq>,
    /// What the peer's latest request in the call offers, until it is answered.
    pub(super) offered: Offered,
    /// The same of one that was refused with this status, until that is [told](super::refused_offer).
    pub(super) refused_offer: Option<(u16, Vec<DescribedMedia>)>,
    /// Where the peer forwards it, the demand does not follow.
    pub(super) stays: bool,
    /// A certain name or certificate is demanded of its peer, and it is counted in [`BOUND`].
    pub(super) is_bound: bool,
}

impl Watched {
    pub(super) fn new(facts: &Call, demand: Demand) -> Self {
        Self {
            key: facts.key,
            endpoint: facts.endpoint.clone(),
            call_id: facts.call_id.clone(),
            channel: None,
            is_bound: false,
            demand,
            dtls: None,
            came: None,
            sent: Vec::new(),
            answer: Vec::new(),
            is_described: false,
            unmet: None,
            hung_up: false,
            refused: None,
            offered: Offered::default(),
            refused_offer: None,
            stays: false,
        }
    }

    /// Demands more of it.
    pub(super) fn demand_more(&mut self, more: &Demand) {
        self.demand = std::mem::take(&mut self.demand).and(more);
        self.count_bound();
    }

    /// This response leaves. Names the session where it refuses an offer in the call, of which nobody has told.
    pub(super) fn answers(&mut self, response: &[u8]) -> Option<SessionKey> {
        let refused = self.offered.refused_by(response)?;
        let which = message::cseq(response);
        if self.refused == which {
            return None;
        }
        self.refused = which;
        self.refused_offer = Some(refused);
        Some(self.key)
    }

    fn count_bound(&mut self) {
        if !self.is_bound && self.demand.is_of_handshake() {
            self.is_bound = true;
            BOUND.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// It lacks something, and is [to end](super::look).
    pub(super) fn lacks(&mut self, unmet: Unmet) {
        if self.unmet.is_none() {
            count(&unmet);
        }
        self.unmet = Some(unmet);
    }
}

/// The calls. One whose dialog has no tag of this side cannot be told from others, and is not among them; pjsip gives each its tag.
pub(super) struct Calls {
    pub(super) by_tag: BTreeMap<Tag, Watched>,
    tags: BTreeMap<SessionKey, Tag>,
}

impl Calls {
    pub(super) fn is_empty(&self) -> bool {
        self.by_tag.is_empty()
    }

    /// By the tag of this side in the dialog.
    pub(super) fn get_mut(&mut self, tag: &Tag) -> Option<&mut Watched> {
        self.by_tag.get_mut(tag)
    }

    /// By its session.
    pub(super) fn of(&mut self, key: SessionKey) -> Option<&mut Watched> {
        self.by_tag.get_mut(self.tags.get(&key)?)
    }

    pub(super) fn insert(&mut self, tag: Tag, mut call: Watched) {
        call.count_bound();
        self.tags.insert(call.key, tag.clone());
        self.by_tag.insert(tag, call);
    }

    pub(super) fn remove(&mut self, key: SessionKey) {
        let call = self
            .tags
            .remove(&key)
            .and_then(|tag| self.by_tag.remove(&tag));
        if call.is_some_and(|call| call.is_bound) {
            BOUND.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

pub(super) static CALLS: Mutex<Calls> = Mutex::new(Calls {
    by_tag: BTreeMap::new(),
    tags: BTreeMap::new(),
});
/// How many of them are bound to a name or certificate.
pub(super) static BOUND: AtomicUsize = AtomicUsize::new(0);
