//! `CiphertrunkCalls`.

use std::ffi::CStr;

use policy::facts::fields::{Field, names};

use crate::ffi::manager::{Action, Fields, Privilege, Request};
use crate::observe::cli::calls::{bridge, look};
use crate::observe::cli::reasons::when;
use crate::proof;

/// `CiphertrunkCalls`: as `ciphertrunk show calls` and `show call`.
pub enum Calls {}

impl Action for Calls {
    const NAME: &'static CStr = c"CiphertrunkCalls";
    const PRIVILEGE: Privilege = Privilege::SystemOrReporting;

    fn run(request: &Request<'_>) {
        let wanted = |header| request.header(header);
        let (channel, endpoint) = (wanted(c"Channel"), wanted(c"Endpoint"));
        let call_id = wanted(c"CallID");
        let is = |wanted: &Option<String>, value: &str| {
            wanted.as_ref().is_none_or(|wanted| wanted == value)
        };
        let mut entries = Vec::new();
        for live in proof::live() {
            if !is(&endpoint, &live.call.endpoint) || !is(&call_id, &live.call.call_id) {
                continue;
            }
            let (name, facts) = look(&live);
            if !is(&channel, &name) {
                continue;
            }
            let has_channel = facts.is_some();
            let mut fields = Fields::new()
                .with("Channel", if has_channel { &name } else { "" })
                .with("Uniqueid", &live.call.channel)
                .with("Endpoint", &live.call.endpoint)
                .with("CallID", &live.call.call_id)
                .with("Peer", &live.call.peer)
                .with("Direction", if live.is_outgoing { "out" } else { "in" })
                .with("Since", when(live.since))
                .with("Bridge", bridge(&live).unwrap_or_default());
            let facts = facts.ok_or("the channel is gone, or there is none yet");
            for field in names().filter_map(Field::parse) {
                fields = fields.with(&camel(field.name()), field.value(&facts));
            }
            entries.push(fields);
        }
        request.list(
            "Calls will follow",
            "CiphertrunkCallEntry",
            c"CiphertrunkCallsComplete",
            entries.into_iter(),
        );
    }
}

/// The field `tls_version` of `CIPHERTRUNK(...)` as a header, `TlsVersion`: as Asterisk makes headers of PJSIP's options
/// (`ast_to_camel_case`).
fn camel(name: &str) -> String {
    let words = name.split(['_', '.']);
    words
        .map(|word| match word.split_at_checked(1) {
            Some((first, rest)) => first.to_ascii_uppercase() + rest,
            None => String::new(),
        })
        .collect()
}
