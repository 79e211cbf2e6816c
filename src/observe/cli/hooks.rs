//! Commands of the test build.

use crate::console;
use crate::ffi::cli::{Console, Outcome};
use crate::ffi::srtp as engine;
use crate::test_hooks;

/// With the fault `console-prints-on`, a console that prints until the fault `console-ends` is armed.
pub fn print_on(console: &mut Console<'_>) {
    use crate::ffi::fault;
    if fault::fires("console-prints-on") {
        while !fault::fires("console-ends") {
            console!(console, "Still printing");
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
    }
}

pub fn test_panic(console: &mut Console<'_>) -> Outcome {
    match console.words.get(3).map(String::as_str) {
        Some(point @ (test_hooks::PROTECT | test_hooks::UNPROTECT)) => {
            crate::ffi::fault::arm(point);
        }
        _ => return Outcome::Usage,
    }
    Outcome::Done
}

pub fn test_age(console: &mut Console<'_>) -> Outcome {
    let Some(packets) = console.words.get(3).and_then(|word| word.parse().ok()) else {
        return Outcome::Usage;
    };
    test_hooks::set_extra_packets(packets);
    Outcome::Done
}

pub fn test_sources(console: &mut Console<'_>) -> Outcome {
    let Some(sources) = console.words.get(3).and_then(|word| word.parse().ok()) else {
        return Outcome::Usage;
    };
    test_hooks::set_extra_sources(sources);
    Outcome::Done
}

pub fn test_lose_engine(_console: &mut Console<'_>) -> Outcome {
    engine::lose();
    Outcome::Done
}

pub fn test_retransmit(_console: &mut Console<'_>) -> Outcome {
    test_hooks::retransmit();
    Outcome::Done
}

pub fn test_fault(console: &mut Console<'_>) -> Outcome {
    let [_, _, _, name] = console.words else {
        return Outcome::Usage;
    };
    crate::ffi::fault::arm(name);
    #[cfg(feature = "pjsip")]
    sip_tls::fault::arm(name);
    Outcome::Done
}
