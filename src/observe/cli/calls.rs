//! `ciphertrunk show calls`, `show call X`.

use policy::facts::fields::{Field, names as fields};
use policy::facts::{Facts, Known};

use crate::console;
use crate::ffi::channel::{Channel, OwnedChannel};
use crate::ffi::cli::{Console, Outcome};
use crate::proof::{self, Live};

use super::Rows;
use super::reasons::when;

/// What `ask` says of a call's channel, if there is one.
fn of_channel<T>(live: &Live, ask: impl FnOnce(Channel<'_>) -> T) -> Option<T> {
    let found = OwnedChannel::find(&live.call.channel)?;
    found.get().map(ask)
}

/// The name of a call's channel, and what is known of how it is encrypted.
pub fn look(live: &Live) -> (String, Option<Facts>) {
    match of_channel(live, |channel| (channel.name(), proof::look(channel).0)) {
        Some((name, facts)) => (name, Some(facts)),
        None => ("-".to_owned(), None),
    }
}

/// The technology of the bridge that its channel is in, if it is in one.
pub fn bridge(live: &Live) -> Option<String> {
    of_channel(live, |channel| channel.bridge_technology()).flatten()
}

fn known<T: ToString>(fact: &Known<T>) -> String {
    fact.as_ref()
        .map_or_else(|_| "unknown".to_owned(), T::to_string)
}

pub fn show_calls(console: &mut Console<'_>) -> Outcome {
    let Some(rows) = Rows::of(console, 3) else {
        return Outcome::Usage;
    };
    let all = proof::live();
    let total = all.len();
    for live in all.iter().take(rows.most()) {
        let (channel, facts) = look(live);
        let word = facts.as_ref().map(|facts| known(&facts.word()));
        console!(
            console,
            "Channel: {channel} Endpoint: {} Direction: {} Encrypted: {} Signaling: {} Since: {} Peer: {} Call-ID: {}",
            live.call.endpoint,
            if live.is_outgoing { "out" } else { "in" },
            word.as_deref().unwrap_or("unknown"),
            live.transport.as_deref().unwrap_or("-"),
            when(live.since),
            live.call.peer,
            live.call.call_id
        );
    }
    rows.end(console, total, "calls");
    Outcome::Done
}

pub fn show_call(console: &mut Console<'_>) -> Outcome {
    let (Some(wanted), Some(rows)) = (console.words.get(3).cloned(), Rows::of(console, 4)) else {
        return Outcome::Usage;
    };
    let mut count = 0;
    for live in proof::live() {
        let by_call = [&live.call.endpoint, &live.call.call_id, &live.call.channel];
        let is_it = by_call.contains(&&wanted);
        // A channel is asked for its name only where that may be what is wanted.
        if !is_it && !wanted.contains('/') {
            continue;
        }
        if is_it && count >= rows.most() {
            count += 1;
            continue;
        }
        let (channel, facts) = look(&live);
        if !is_it && channel != wanted {
            continue;
        }
        count += 1;
        console!(console, "Channel: {channel}");
        console!(console, "Endpoint: {}", live.call.endpoint);
        console!(console, "Call-ID: {}", live.call.call_id);
        console!(console, "Peer: {}", live.call.peer);
        console!(
            console,
            "Direction: {}",
            if live.is_outgoing { "out" } else { "in" }
        );
        console!(console, "Since: {}", when(live.since));
        console!(
            console,
            "Bridge: {}",
            bridge(&live).as_deref().unwrap_or("-")
        );
        let facts = facts.ok_or("the channel is gone, or there is none yet");
        for field in fields().filter_map(Field::parse) {
            console!(console, "{}: {}", field.name(), field.value(&facts));
        }
    }
    rows.end(console, count, &format!("calls of {wanted}"));
    Outcome::Done
}

/// Channels, endpoints and Call-IDs.
pub fn names(position: usize) -> Vec<String> {
    if position != 3 {
        return Vec::new();
    }
    let mut names: Vec<String> = proof::live()
        .iter()
        .flat_map(|live| {
            let call = [live.call.endpoint.clone(), live.call.call_id.clone()];
            of_channel(live, |channel| channel.name())
                .into_iter()
                .chain(call)
        })
        .collect();
    names.sort();
    names.dedup();
    names
}
