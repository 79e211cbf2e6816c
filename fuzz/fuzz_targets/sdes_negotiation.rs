//! Input: a script of descriptions that come and go (crates/srtp/tests/common/negotiation.rs, which also has what must
//! hold).
#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../crates/srtp/tests/common/negotiation.rs"]
mod negotiation;

fuzz_target!(|script: &[u8]| negotiation::run(script));
