//! Input: how many split lengths, the lengths, then a stream. However it is split, the same messages come out.
#![no_main]

#[path = "../../crates/sip-tls/tests/common/splits.rs"]
mod splits;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let [count, data @ ..] = data else {
        return;
    };
    let (lengths, stream) = data.split_at(usize::from(*count).min(data.len()));
    splits::check(stream, lengths);
});
