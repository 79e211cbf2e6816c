//! What is refused is told: in the log, in the record of refusals, in the counts, and to the channels of its call.

use std::collections::{BTreeMap, VecDeque};

use log::Level;
use policy::demand::Unmet;

use crate::ffi::channel::{self, Channel};
use crate::ffi::sync::Mutex;
use crate::limited;
use crate::observe::refusals::{self, Who};

/// Calls that were refused since load, by code.
static REFUSED: Mutex<BTreeMap<&'static str, u64>> = Mutex::new(BTreeMap::new());

/// The calls whose channels were [told](tell_all) last, by the unique id of their first channel.
static TOLD: Mutex<VecDeque<String>> = Mutex::new(VecDeque::new());
/// Calls that are refused, go on, and are not tried again meanwhile.
const TOLD_MAX: usize = 256;

/// A call is refused for this.
pub fn count(unmet: &Unmet) {
    *REFUSED.lock().entry(unmet.code()).or_default() += 1;
}

/// Calls that were refused since load, by code.
pub fn refused() -> Vec<(&'static str, u64)> {
    let refused = REFUSED.lock();
    refused
        .iter()
        .map(|(code, count)| (*code, *count))
        .collect()
}

pub(super) fn report_unsent(endpoint: &str, call_id: &str, unmet: &Unmet) {
    report(endpoint, call_id, "is not sent", unmet);
}

pub(super) fn report(endpoint: &str, call_id: &str, what: &str, unmet: &Unmet) {
    let who = Who {
        endpoint,
        call_id,
        ..Who::default()
    };
    report_of("a message", who, what, unmet);
}

pub(super) fn report_of(subject: &str, who: Who<'_>, what: &str, unmet: &Unmet) {
    let Who {
        endpoint, call_id, ..
    } = who;
    refusals::note(unmet.code(), who, format_args!("{unmet}"));
    limited::log(
        Level::Warn,
        unmet.code(),
        endpoint,
        format_args!(
            "{subject} of a call with endpoint {endpoint} {what} ({}): {unmet}. Call-ID {call_id}",
            unmet.code()
        ),
    );
}

/// Tells every channel of the call: whoever dialled is among them, and what Asterisk knows of a call does not say who.
pub fn tell_all(channel: Channel<'_>, unmet: &Unmet) {
    let linked_id = channel.linked_id();
    {
        let mut told = TOLD.lock();
        told.retain(|id| *id != linked_id);
        if told.len() == TOLD_MAX {
            told.pop_front();
        }
        told.push_back(linked_id.clone());
    }
    channel::each_of_call(&linked_id, |channel| super::tell(channel, unmet));
}

/// A call is tried again, or another way: the reason of an earlier refusal is not its.
pub(super) fn take_back_reason(channel: Channel<'_>) {
    let linked_id = channel.linked_id();
    let was_told = {
        let mut told = TOLD.lock();
        let place = told.iter().position(|id| *id == linked_id);
        place.and_then(|place| told.remove(place)).is_some()
    };
    if was_told {
        channel::each_of_call(&linked_id, super::take_back_reason);
    }
}
