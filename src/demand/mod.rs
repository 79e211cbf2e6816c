//! What is demanded of calls, and that nothing of them leaves without it.
//!
//! A demand is made in the dialplan ([`function`], `CIPHERTRUNK_REQUIRE`), by Asterisk's own `CHANNEL(secure_bridge_...)`
//! ([`bridge`]), or for an endpoint in `ciphertrunk.conf`. The channels that a channel dials have its demands; a call of PJSIP's
//! gets those of its channel and of its endpoint when it begins ([`calls`]), and from then on each of its messages is judged
//! when it comes and before it leaves. Who comes to be bridged with a channel that demands is judged then ([`together`]). What is demanded and how it is judged is `policy::demand`.

mod bridge;
mod calls;
mod elsewhere;
mod function;
mod gatekeeper;
mod secure;
mod together;
mod told;
mod watched;

use std::sync::atomic::{AtomicBool, Ordering};

use policy::demand::{Demand, Unmet};

use crate::config;
use crate::ffi::bridge as bridge_technology;
use crate::ffi::channel::Channel;
use crate::ffi::datastore;
use crate::ffi::elsewhere::Watches;
use crate::ffi::exchange::Exchange;
use crate::ffi::function::{self as functions, Registered};
use crate::ffi::late::Pjsip;
use crate::ffi::local;
use crate::ffi::pjsip::{gate, reading, unresolved};
use crate::ffi::technology::Hook;
use crate::media::unmade::Requests;

pub use calls::{
    answered, answering, ended, ending, ends_in_clear, invited, inviting, is_of_media,
    is_offered_in_call, look, permits_dtls, refused_offer, restricted,
};
pub use gatekeeper::may_go_to;
pub use told::refused;

/// `${CIPHERTRUNK_REASON}`: why the latest call from this channel was refused, as a code.
const REASON: &std::ffi::CStr = c"CIPHERTRUNK_REASON";

/// What has Asterisk and PJSIP ask us; dropping it gives that up.
#[derive(Debug)]
pub struct Registration {
    _function: Option<Registered>,
    _pjsip: Option<Hook>,
    _local: Option<Hook>,
    _called: Option<Exchange>,
    _reading: Option<Exchange>,
    elsewhere: Watches,
    _together: bridge_technology::Registration,
    _unresolved: Option<Exchange>,
    _gate: gate::Registration,
}

/// Has Asterisk and PJSIP ask us.
///
/// # Errors
///
/// A sentence: a demand would not be heeded.
pub fn register(pjsip: Pjsip) -> Result<Registration, String> {
    let mut elsewhere = Watches::new();
    elsewhere.look::<elsewhere::Elsewhere>();
    let gate = gate::register::<gatekeeper::Gatekeeper>(pjsip)
        .ok_or("PJSIP does not take the module that looks at messages")?;
    let together = bridge_technology::register::<together::Judge>()
        .ok_or("Asterisk does not take the technology for bridges that may not be")?;
    Ok(Registration {
        elsewhere,
        _unresolved: unresolved::hook::<Requests>(&gate),
        _gate: gate,
        _together: together,
        _called: local::watch::<bridge::Bridge>(),
        _reading: reading::hook::<secure::Secure>(pjsip),
        _pjsip: Hook::pjsip::<bridge::Bridge>(),
        _local: Hook::local(),
        _function: functions::register::<function::Require>(),
    })
}

impl Registration {
    /// Has technologies ask us that were registered since. Only in a call of Asterisk's loader's; elsewhere it does nothing.
    pub fn look_again(&mut self) {
        self.elsewhere.look::<elsewhere::Elsewhere>();
    }
}

/// What the dialplan demands of the legs that this channel dials, or of the channel itself where it is one that was dialled.
fn demanded_of(channel: Channel<'_>) -> Demand {
    let kept = datastore::all(channel);
    let kept = kept.iter().map(|value| match value.downcast_ref::<Made>() {
        Some(made) => made.demand.clone(),
        None => Demand::lost(),
    });
    // What an originate sets is for the channel that it makes.
    let words = match channel.is_originated() {
        true => words(channel),
        false => Demand::default(),
    };
    kept.fold(words, |all, demand| all.and(&demand))
}

/// What `CHANNEL(secure_bridge_...)` of a channel demands.
fn words(channel: Channel<'_>) -> Demand {
    let of_each = [Demand::of_signaling(), Demand::of_media()];
    let demanded = channel.secure_bridge();
    of_each
        .iter()
        .zip(demanded)
        .filter_map(|(demand, is_on)| is_on.then_some(demand))
        .fold(Demand::default(), Demand::and)
}

/// A demand was made in the dialplan, since the library was mapped.
static MADE: AtomicBool = AtomicBool::new(false);
/// Calls that begin are not known to us: no demand on them could be heeded.
static UNSEEN: AtomicBool = AtomicBool::new(false);

/// Whether calls that begin may have demands.
pub fn may_be() -> bool {
    MADE.load(Ordering::Acquire) || config::current().has_demands()
}

/// Whether the sessions of PJSIP's that begin tell of themselves. While they do not, nothing can be demanded.
pub fn set_seen(are_seen: bool) {
    UNSEEN.store(!are_seen, Ordering::Release);
}

/// A demand as a channel keeps it, and hands it on.
#[derive(Clone, Default)]
struct Made {
    demand: Demand,
    /// The unique id of the channel that demands it of its own leg: what it dials gets the demand, and is not that leg.
    of_own_leg: Option<String>,
}

/// Demands more of it. `false`: it could not be kept, or not be heeded.
fn demand(channel: Channel<'_>, more: &Demand) -> bool {
    if UNSEEN.load(Ordering::Acquire) {
        log::error!(
            "a demand of channel {} is refused: the module is being drained or unloaded, and has stopped to look at new calls",
            channel.name()
        );
        return false;
    }
    MADE.store(true, Ordering::Release);
    let own = more.is_for_both_legs().then(|| channel.unique_id());
    datastore::change(channel, |before| {
        let before = before.and_then(|value| value.downcast_ref::<Made>());
        let before = before.cloned().unwrap_or_default();
        Some(std::sync::Arc::new(Made {
            demand: before.demand.and(more),
            of_own_leg: own.or(before.of_own_leg),
        }))
    })
}

/// Whether the channel itself has demanded `both_legs`.
fn asks_own_leg(channel: Channel<'_>) -> bool {
    let own = channel.unique_id();
    datastore::all(channel)
        .iter()
        .filter_map(|value| value.downcast_ref::<Made>())
        .any(|made| made.of_own_leg.as_ref() == Some(&own))
}

/// Tells a channel why its call is refused.
fn tell(channel: Channel<'_>, unmet: &Unmet) {
    channel.set_variable(REASON, unmet.code());
}

/// A call is tried again: what its channels were told is of an earlier one.
fn take_back_reason(channel: Channel<'_>) {
    channel.clear_variable(REASON);
}
