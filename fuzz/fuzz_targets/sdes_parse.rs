//! Input: rules in one octet, then a crypto attribute (crates/srtp/tests/common/line.rs, which also has what must hold).
#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../crates/srtp/tests/common/line.rs"]
mod line;

fuzz_target!(|data: &[u8]| line::run(data));
