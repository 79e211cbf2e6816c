//! `CiphertrunkRefusals`, `CiphertrunkReasons`.

use std::ffi::CStr;

use policy::reasons;
use policy::record::KEPT;

use crate::ffi::manager::{Action, Fields, Privilege, Request};
use crate::observe::{events, refusals};

/// `CiphertrunkRefusals`: as `ciphertrunk show refusals`.
pub enum Refusals {}

/// How many it sends if nothing is said.
const MOST: usize = 100;

impl Action for Refusals {
    const NAME: &'static CStr = c"CiphertrunkRefusals";
    const PRIVILEGE: Privilege = Privilege::SystemOrReporting;

    fn run(request: &Request<'_>) {
        let most = match request.header(c"Limit").map(|limit| limit.parse()) {
            None => MOST,
            Some(Ok(most @ 1..=KEPT)) => most,
            Some(_) => return request.fail(&format!("Limit is a number from 1 to {KEPT}")),
        };
        let (latest, kept, total) = refusals::latest(most);
        request.list(
            &format!(
                "{} of {kept} refusals that are kept, {total} since load",
                latest.len()
            ),
            "CiphertrunkRefusalEntry",
            c"CiphertrunkRefusalsComplete",
            latest.iter().map(events::fields),
        );
    }
}

/// `CiphertrunkReasons`: as `ciphertrunk show reasons`.
pub enum Reasons {}

impl Action for Reasons {
    const NAME: &'static CStr = c"CiphertrunkReasons";
    const PRIVILEGE: Privilege = Privilege::SystemOrReporting;

    fn run(request: &Request<'_>) {
        let counts = refusals::counts();
        let entries = counts.iter().map(|(code, count)| {
            let row = reasons::find(code);
            Fields::new()
                .with("Code", code)
                .with("Count", count)
                .with("Stage", row.map_or("", |row| row.stage))
                .with("Side", row.map_or("", |row| row.side.word()))
                .with("Sentence", row.map_or("", |row| row.sentence))
                .with("Change", row.map_or("", |row| row.change))
        });
        request.list(
            "Reasons since load will follow",
            "CiphertrunkReasonEntry",
            c"CiphertrunkReasonsComplete",
            entries,
        );
    }
}
