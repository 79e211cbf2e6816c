//! What is known of each leg, in its CDR and as an event of CEL's, when it is hung up.

use std::sync::Arc;

use crate::config;
use crate::ffi::cdr::{self, If};
use crate::ffi::channel::Channel;
use crate::ffi::exchange::Exchange;
use crate::ffi::late::Pjsip;
use crate::ffi::pjsip::hangup;
use crate::ffi::prometheus;
use crate::ffi::sync::Mutex;

use super::{legs, words};

/// The variable of a leg's own CDR.
const OWN: &std::ffi::CStr = c"ciphertrunk";
/// That of a leg which a call of this side's made: its CDR is the caller's, whose own variable would hide it.
const PEER: &std::ffi::CStr = c"ciphertrunk_peer";
/// CEL's event.
const EVENT: &std::ffi::CStr = c"CIPHERTRUNK";

/// `None`: CDRs take no values.
static CDRS: Mutex<Option<Arc<cdr::Registered>>> = Mutex::new(None);

/// That legs are recorded; dropping it ends that.
#[derive(Debug)]
pub struct Recording {
    _watching: Exchange,
}

impl Recording {
    /// Whether it is wanted is asked at each leg's end, so that a reload decides.
    ///
    /// # Errors
    ///
    /// A sentence: PJSIP's channels cannot be watched.
    pub fn begin(pjsip: Pjsip) -> Result<Self, String> {
        let watching = hangup::watch::<Legs>(pjsip)
            .ok_or("the technology PJSIP has no hangup that could be watched")?;
        *CDRS.lock() = cdr::register().map(Arc::new);
        Ok(Self {
            _watching: watching,
        })
    }
}

impl Drop for Recording {
    fn drop(&mut self) {
        let cdrs = CDRS.lock().take();
        drop(cdrs);
    }
}

/// What is done at the end of a leg.
struct Legs;

impl hangup::Witness for Legs {
    fn hangs_up(channel: Channel<'_>) {
        let config = config::current();
        let is_counted = prometheus::is_known();
        if !config.cdr && !config.cel && !is_counted {
            return;
        }
        let (facts, is_dialed) = super::look(channel);
        if is_counted {
            words::count(&facts);
        }
        let line = facts.to_string();
        let cdrs = CDRS.lock().clone();
        if config.cdr
            && let Some(cdrs) = cdrs
        {
            record(&cdrs, channel, &line, is_dialed);
        }
        if config.cel {
            cdr::cel_event(channel, EVENT, &line);
        }
    }
}

/// Gives the line to the records of the call, and to this channel's those of the others: a record ends with its first channel, and
/// Asterisk hangs the one that was dialled up on a thread of its own, before that or behind it.
fn record(cdrs: &cdr::Registered, channel: Channel<'_>, line: &str, is_dialed: bool) {
    let name = channel.name();
    let set = |of: &str, variable, value: &str, condition: If<'_>| {
        cdrs.set(channel, of, variable, value, condition);
    };
    set(&name, OWN, line, If::Always);
    if is_dialed {
        set(&name, PEER, line, If::Alone);
    }
    for other in legs::beside(channel) {
        let other_line = other.facts.to_string();
        if other.is_dialed {
            set(&name, PEER, &other_line, If::With(&other.name));
        }
        // Its record is there: the end of it comes behind this.
        if is_dialed && !other.is_ending {
            // Its record may not be its last: it can dial another one.
            set(&other.name, OWN, &other_line, If::With(&name));
            set(&other.name, PEER, line, If::With(&name));
        }
    }
}
