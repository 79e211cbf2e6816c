//! Calls over chan_sip and IAX2, which say of themselves only that they are encrypted: more cannot be demanded of them.

use log::Level;
use policy::demand::Unmet;

use super::told;
use crate::ffi::channel::Channel;
use crate::ffi::elsewhere::Judge;
use crate::ffi::technology::{Wanted, ask};
use crate::limited;
use crate::observe::refusals::{self, Who};

/// Judges them before anything of them leaves.
pub struct Elsewhere;

impl Judge for Elsewhere {
    type Unmet = Unmet;

    fn request(by: Channel<'_>, technology: &str) -> Result<(), Unmet> {
        super::demanded_of(by).judge_technology(technology)
    }

    fn call(channel: Channel<'_>) -> Result<(), Unmet> {
        let demand = super::demanded_of(channel);
        if demand.is_nothing() {
            return Ok(());
        }
        let technology = channel.technology();
        demand.judge_technology(&technology)?;
        // Asterisk's core has not, where a channel has its demands from one that has left, or was originated with them.
        if demand.is_of_signaling() && !ask(channel, Wanted::Signaling) {
            return Err(Unmet::SignalingInClear(technology));
        }
        if demand.is_of_media() && !ask(channel, Wanted::Media) {
            return Err(Unmet::MediaInClear("audio".to_owned()));
        }
        Ok(())
    }

    fn refuse(channel: Channel<'_>, technology: &str, unmet: &Unmet) {
        let name = channel.name();
        let who = Who {
            endpoint: &name,
            ..Who::default()
        };
        refusals::note(unmet.code(), who, format_args!("{unmet}"));
        limited::log(
            Level::Warn,
            unmet.code(),
            name.rsplit_once('-').map_or(&*name, |(peer, _)| peer),
            format_args!(
                "a call over {technology} of channel {name} is not made ({}): {unmet}",
                unmet.code()
            ),
        );
        told::count(unmet);
        told::tell_all(channel, unmet);
    }
}
