//! `CIPHERTRUNK(field[,channel])`, a function of the dialplan.

use std::ffi::CStr;

use log::Level;
use policy::facts::fields::{Field, names};

use crate::ffi::channel::{Channel, OwnedChannel};
use crate::ffi::function::{self, Registered};
use crate::limited;

/// What is known of how a call is encrypted.
struct Ciphertrunk;

/// Makes the dialplan know it, until the value is dropped.
///
/// # Errors
///
/// Another module has a function of this name.
pub fn register() -> Result<Registered, String> {
    function::register::<Ciphertrunk>()
        .ok_or_else(|| "the dialplan has another function CIPHERTRUNK".to_owned())
}

impl function::Function for Ciphertrunk {
    const NAME: &'static CStr = c"CIPHERTRUNK";

    fn read(channel: Option<Channel<'_>>, arguments: &str) -> Option<String> {
        let (field, other) = match arguments.split_once(',') {
            Some((field, other)) => (field, other.trim()),
            None => (arguments, ""),
        };
        let Some(parsed) = Field::parse(field) else {
            let known: Vec<&str> = names().collect();
            return fails(
                channel,
                arguments,
                &format!("there is no such field; there are: {}", known.join(", ")),
            );
        };
        if other.is_empty() {
            let Some(channel) = channel else {
                return fails(
                    channel,
                    arguments,
                    "there is no channel here; name one: CIPHERTRUNK(field,channel)",
                );
            };
            return Some(value(&parsed, channel));
        }
        let found = OwnedChannel::find(other);
        let Some(found) = found.as_ref().and_then(OwnedChannel::get) else {
            return fails(channel, arguments, "there is no such channel");
        };
        Some(value(&parsed, found))
    }

    fn write(channel: Option<Channel<'_>>, arguments: &str, _: &str) -> bool {
        fails(channel, arguments, "it says what is, and cannot be set").is_some()
    }
}

fn value(field: &Field, channel: Channel<'_>) -> String {
    if !field.is_bridged {
        return field.value(&Ok(super::look(channel).0));
    }
    let peer = channel.bridged_with();
    let facts = match peer.as_ref().and_then(OwnedChannel::get) {
        Some(peer) => Ok(super::look(peer).0),
        None => Err("the channel is not bridged with one other channel now"),
    };
    field.value(&facts)
}

/// Tells why; nothing.
fn fails(channel: Option<Channel<'_>>, arguments: &str, reason: &str) -> Option<String> {
    let name = channel.map_or_else(|| "no channel".to_owned(), Channel::name);
    limited::log(
        Level::Error,
        "CIPHERTRUNK(...)",
        arguments,
        format_args!("CIPHERTRUNK({arguments}) on {name}: {reason}"),
    );
    None
}
