//! `CIPHERTRUNK_REQUIRE(word)=value`.

use std::ffi::CStr;

use policy::demand::{Demand, Unmet};

use crate::ffi::channel::Channel;
use crate::ffi::function::Function;
use crate::observe::refusals::{self, Who};

use super::{calls, told};

/// The function.
pub struct Require;

impl Function for Require {
    const NAME: &'static CStr = c"CIPHERTRUNK_REQUIRE";

    fn read(channel: Option<Channel<'_>>, _arguments: &str) -> Option<String> {
        // 1: something is demanded.
        let demand = super::demanded_of(channel?);
        Some(u8::from(!demand.is_nothing()).to_string())
    }

    fn write(channel: Option<Channel<'_>>, word: &str, value: &str) -> bool {
        let Some(channel) = channel else {
            log::error!("CIPHERTRUNK_REQUIRE({word}) was set without a channel");
            return false;
        };
        let parsed = Demand::parse(word, value);
        let demand = parsed.clone().unwrap_or_else(|reason| {
            log::error!(
                "CIPHERTRUNK_REQUIRE of channel {}: {reason}. Its calls are refused until the dialplan is right",
                channel.name()
            );
            Demand::impossible(&reason)
        });
        let kept = super::demand(channel, &demand) && ask_the_core(channel, &demand);
        if !kept {
            log::error!(
                "CIPHERTRUNK_REQUIRE of channel {}: the demand could not be kept, so the call ends",
                channel.name()
            );
            channel.hang_up();
            return false;
        }
        if super::asks_own_leg(channel)
            && let all = super::demanded_of(channel)
            && let Err(unmet) = calls::judge_own_leg(channel, &all)
        {
            refuse_own_leg(channel, &unmet);
            return false;
        }
        parsed.is_ok()
    }
}

/// Technologies that know nothing of us are asked by the core, which refuses those that cannot.
fn ask_the_core(channel: Channel<'_>, demand: &Demand) -> bool {
    let signaling = !demand.is_of_signaling()
        || channel.set_function(c"CHANNEL(secure_bridge_signaling)", c"1");
    let media =
        !demand.is_of_media() || channel.set_function(c"CHANNEL(secure_bridge_media)", c"1");
    signaling && media
}

fn refuse_own_leg(channel: Channel<'_>, unmet: &Unmet) {
    let name = channel.name();
    let who = Who {
        endpoint: &name,
        ..Who::default()
    };
    refusals::note(unmet.code(), who, format_args!("{unmet}"));
    log::error!(
        "channel {} is hung up ({}): {unmet}",
        channel.name(),
        unmet.code()
    );
    told::count(unmet);
    super::tell(channel, unmet);
    channel.hang_up();
}
