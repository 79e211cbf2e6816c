//! Who may be bridged with whom, however they came there: by an attended transfer, a pick-up, from a parking lot.

use log::Level;
use policy::demand::{Demand, Unmet};

use super::{calls, told};
use crate::ffi::bridge::{Bridge, Together};
use crate::ffi::channel::Channel;
use crate::limited;
use crate::observe::refusals::{self, Who};
use crate::proof;

/// Channels that are Asterisk's own, and lead nowhere.
const INTERNAL: [&str; 6] = [
    "Announcer",
    "CBAnn",
    "CBRec",
    "Recorder",
    "Snoop",
    "Surrogate",
];

/// Judges bridges.
pub struct Judge;

impl Together for Judge {
    fn may_be(bridge: &Bridge<'_>) -> bool {
        let channels = bridge.channels();
        let mut all_may = true;
        for (at, by) in channels.iter().enumerate() {
            let demand = of_others(*by);
            if demand.is_nothing() {
                continue;
            }
            for (_, other) in channels.iter().enumerate().filter(|(it, _)| *it != at) {
                if let Err(unmet) = judge(*other, &demand) {
                    all_may = false;
                    refuse(*by, *other, &unmet);
                }
            }
        }
        all_may
    }
}

/// What a channel demands of those that it is bridged with.
fn of_others(channel: Channel<'_>) -> Demand {
    let all = super::demanded_of(channel);
    let by_words = super::words(channel);
    // A demand of the dialplan sets Asterisk's words as well; a channel that was dialled has the demand of who dialled it, which asks
    // both legs or its own.
    if all.is_for_both_legs() || (!by_words.is_nothing() && channel.runs_dialplan()) {
        all.and(&by_words)
    } else {
        Demand::default()
    }
}

/// Whether a channel may be heard by one that demands this.
fn judge(channel: Channel<'_>, demand: &Demand) -> Result<(), Unmet> {
    if calls::covers(channel, demand) {
        return Ok(());
    }
    match channel.technology().as_str() {
        "PJSIP" => {
            demand.judge_leg(&proof::now(channel))?;
            calls::demand_more(channel, demand);
            Ok(())
        }
        // Whoever is behind it was dialled with the demand that it got.
        "Local" => {
            let own = super::demanded_of(channel).and(&super::words(channel));
            own.covers(demand).then_some(()).ok_or(Unmet::Unseen)
        }
        internal if INTERNAL.contains(&internal) => Ok(()),
        // Others say it themselves, as they are asked by Asterisk's core when they are dialled.
        _ => {
            demand.judge_technology(&channel.technology())?;
            let says = |question| channel.function(question).is_some_and(|it| it == "1");
            if demand.is_of_signaling() && !says(c"CHANNEL(secure_signaling)") {
                return Err(Unmet::SignalingInClear(channel.technology()));
            }
            if demand.is_of_media() && !says(c"CHANNEL(secure_media)") {
                return Err(Unmet::MediaInClear("audio".to_owned()));
            }
            Ok(())
        }
    }
}

fn refuse(by: Channel<'_>, other: Channel<'_>, unmet: &Unmet) {
    // Asked again before it has left.
    if other.is_hung_up() {
        return;
    }
    let (by_name, name) = (by.name(), other.name());
    let device = name.rsplit_once('-').map_or(&*name, |(peer, _)| peer);
    let (endpoint, call_id) = calls::names(other);
    let who = Who {
        peer: device,
        endpoint: &endpoint,
        call_id: &call_id,
        came: None,
    };
    refusals::note(
        unmet.code(),
        who,
        format_args!("{unmet} (bridged with {by_name})"),
    );
    limited::log(
        Level::Warn,
        unmet.code(),
        device,
        format_args!(
            "channel {name} is hung up ({}): it came to be bridged with {by_name}, of which demands are made. {unmet}",
            unmet.code()
        ),
    );
    told::count(unmet);
    super::tell(by, unmet);
    super::tell(other, unmet);
    other.hang_up_in_bridge();
}
