//! A phone's offer: by which keys it wants its audio encrypted.

use srtp::sdes::CryptoLine;

use super::sdp::{RULES, audio};
use crate::code::Code;
use crate::report::{Finding, Step};

/// Writes down what an INVITE's description offers.
pub(crate) fn judge(step: &mut Step, description: &str) {
    if description.trim().is_empty() {
        step.fact("its INVITE has no description: the offer is ours to make");
        return;
    }
    let Some(audio) = audio(description) else {
        step.fact("its offer has no audio");
        return;
    };
    step.fact(format!("it offers audio as {}", audio.transport));
    let mut usable = 0;
    let mut faults = Vec::new();
    for value in &audio.crypto {
        // The rest of the value is a key.
        let shown: Vec<&str> = value.split_whitespace().take(2).collect();
        let shown = shown.join(" ");
        match CryptoLine::parse(value, &RULES) {
            Ok(line) => {
                usable += 1;
                step.fact(format!("a=crypto:{} {}", line.tag, line.suite));
            }
            Err(error) => {
                step.fact(format!("a=crypto:{shown}: {error}"));
                faults.push(format!("a=crypto:{shown}: {error}"));
            }
        }
    }
    if usable == 0 && !faults.is_empty() {
        step.add(Finding::new(Code::PhoneOfferUnusable, faults.join("; ")));
    } else if audio.crypto.is_empty() && audio.fingerprint {
        step.add(Finding::new(Code::PhoneOfferDtls, audio.transport));
    } else if audio.crypto.is_empty() {
        step.add(Finding::new(Code::PhoneOfferClear, audio.transport));
    }
}
